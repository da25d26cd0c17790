"""The platform: decides when the core runs, checks what it made, keeps it, and answers questions about it.

Belongs here: Dagster assets, checks, partitions, the lake, the catalogue, the command line. Does not belong here:
any arithmetic on images, counts or models (``gr2st_core``). Modules import only Dagster, the standard library and
light packages at module level, so that definitions load in about a second; heavy imports stand inside the
functions that need them.
"""
