"""Low-rank linear regression from feature blocks to genes: a few directions that images can predict.

Belongs here: its scaling, targets, gene loadings, solver, search, and what is stored. Does not belong here: feature
blocks (``models.blocks``), inner splits (``training.folds``).
"""
