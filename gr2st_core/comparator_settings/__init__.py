"""Settings of the systems that GR2ST is compared with.

Belongs here: one module per system, its class's defaults those of its own publication, and its small setting. Does not
belong here: the systems (``gr2st_core.models.comparators``).
"""
