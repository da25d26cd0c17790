"""A comparator at several resolutions: a spot, its neighbours and the whole section, fused and distilled.

Its design is this project's own, and no published number is claimed for it. It stands for the idea that leads under
evaluation by patient (TRIPLEX and its successors, field.md 2): see a spot at several scales, predict from each and from
all together, and let each scale learn from the fused prediction.

Belongs here: its network and loss. Does not belong here: the blocks it shares with others.
"""
