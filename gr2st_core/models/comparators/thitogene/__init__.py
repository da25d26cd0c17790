"""THItoGene: capsules of a patch, a transformer and graph attention over a section (field.md 1.3).

Belongs here: its network. Does not belong here: the blocks it shares with others.
"""
