"""How far a section lies from what a model was trained on.

Belongs here: distances of spots and sections from training sections, thresholds learnt by leaving some of these out.
Does not belong here: scores of predictions against counts (``evaluation``), reading tables (``gr2st_assets``).
"""
