"""HGGEP: three taps of an image encoder, a transformer on each, groups of spots that look alike (field.md 1.4).

Belongs here: its taps, network and predictor. Does not belong here: the blocks it shares with others.
"""
