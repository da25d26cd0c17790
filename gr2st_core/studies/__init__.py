"""Studies of GR2ST: what each of its parts is worth, and how much each setting matters.

Belongs here: which changes of the base are tried, and what their scores average to. Does not belong here: the method
(``models``), training and scoring a change (``gr2st_assets.studies``).
"""
