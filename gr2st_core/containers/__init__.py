"""Files and stores that hold many things: HDF5 and zarr from strangers, judged before they are read.

Belongs here: what readers of cohorts and of images both need: guards, and which image such a file holds. Does not
belong here: counts and spots (``cohorts``), pixels (``images``).
"""
