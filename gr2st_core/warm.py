"""Modules that the step processes' fork server loads once, so that no step pays for them.

Belongs here: imports of what most steps need. Does not belong here: anything that starts threads or touches a GPU,
since both break in forked processes.
"""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import scanpy as sc
import scipy.sparse as sparse
import torch

LOADED = (pa, pd, pq, sc, sparse, torch)
