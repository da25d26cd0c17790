"""Counts to expression: prediction targets, thinning of depth, highly variable genes, gene panels.

Belongs here: what is computed from counts and gene symbols alone. Does not belong here: reading count tables
(``cohorts``), scoring predictions (``evaluation``).
"""
