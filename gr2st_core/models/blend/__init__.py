"""The method ``blend``: a mixture of other methods, its weights chosen inside training.

Belongs here: parts of other methods' predictions, the search for weights, what is stored. Does not belong here: the
methods that are mixed, inner splits (``training.folds``).
"""
