"""Methods behind one ``Predictor`` protocol.

Belongs here: how each method is trained, applied and stored, and the registry of them. Does not belong here: the
protocol itself (``gr2st_core.predictor``), the loop and the folds (``training``), scores (``evaluation``).
"""
