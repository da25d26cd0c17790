"""The assets, one module per group of the graph.

Belongs here: compute functions that read lake tables, call the core, and return a table with what a person would
want to see of it. Does not belong here: arithmetic (``gr2st_core``), the loop over partitions (``steps``).
"""
