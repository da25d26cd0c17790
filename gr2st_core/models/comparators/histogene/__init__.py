"""HisToGene: a transformer over the patches of a section (field.md 1.1).

Belongs here: its network. Does not belong here: the blocks it shares with others.
"""
