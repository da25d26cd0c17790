"""Training spots that a query spot is compared with.

Belongs here: the reference bank and its search. Does not belong here: how the compared embeddings are learnt
(``models.gr2st``).
"""
