"""Evaluation: metrics, noise ceiling, depth oracle, equal depth, intervals, and what others published.

Belongs here: scores of predictions against counts, and what they could be at best and by chance. Does not belong
here: predicting (``models``), splitting into folds (``training``), storing scores (``gr2st_assets``).
"""
