"""GR2ST: graph-guided contrastive retrieval and a cell-type guided regression head on frozen patch features.

Belongs here: the network, its losses, one training step, prediction. Does not belong here: the epoch loop
(``training``), rules of edges (``graphs``), search of the bank (``retrieval``), patch features (``images``).
"""
