"""Cell classes of a spot: from nuclei in the image, from deconvolution tables, from marker genes.

Belongs here: sources of cell proportions, brought to the same classes. Does not belong here: what a model does with
them (``models.gr2st``).
"""
