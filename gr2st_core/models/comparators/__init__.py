"""The systems that GR2ST is compared with, written from their published descriptions.

Belongs here: one folder per system (its network and what is peculiar to it), and the blocks, learner and predictor that
they share. Does not belong here: GR2ST itself, their settings (``gr2st_core.comparator_settings``).

Every system trains on whole sections in the target that is scored, chooses its number of epochs on one inner split, and
predicts a section from its ``ImageSection`` alone, whatever the order of its spots.
"""
