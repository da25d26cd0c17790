"""Checks of what assets made: table contracts from the table descriptions, domain rules in plain Python.

Belongs here: judging a product, as rows. Does not belong here: computing it (``assets``), deciding whether it is
published (``steps``).
"""
