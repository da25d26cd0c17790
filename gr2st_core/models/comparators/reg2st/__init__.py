"""Reg2ST: image rows read from a gene space, joined by a graph that it draws itself (field.md 1.6).

Belongs here: its network and loss. Does not belong here: the blocks it shares with others.
"""
