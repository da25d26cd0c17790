"""Training: outer and inner folds, the epoch loop, stored models.

Belongs here: what every method's training shares. Does not belong here: networks and losses (``models``), scores
(``evaluation``), when training runs (``gr2st_assets``).
"""
