"""The core: a plain PyTorch library that computes; it knows nothing of Dagster, DuckDB or where things are kept.

Belongs here: sections, images, expression, graphs, models, scores. Does not belong here: when things run, files of the
lake (``gr2st_assets``). Importing this package, or any subpackage's ``__init__``, loads nothing heavy.
"""
