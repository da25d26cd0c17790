"""Predicted slides as files that other programs open.

Belongs here: one value per predicted slide, and what writes it as parquet, h5ad, SpatialData and GeoJSON. Does not
belong here: predicting, intervals, drift; the lake's own tables (``gr2st_assets``).
"""
