"""Sections as they lie on disk: one reader per folder layout, and a synthetic cohort in the same layout.

Belongs here: listing a cohort folder, parsing its tables into validated values, naming every fault. Does not belong
here: opening images (``images``), normalising counts (``expression``), deciding what is trained on (``training``).
"""
