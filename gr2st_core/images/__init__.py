"""Slides, patches in micrometres, stain, and the frozen encoders that turn patches into features.

Belongs here: everything between an image file and features of its spots. Does not belong here: cell types
(``cells``), anything trained on expression (``models``).
"""
