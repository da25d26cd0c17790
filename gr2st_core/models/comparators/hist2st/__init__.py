"""Hist2ST: convolutions over a patch, attention over the section, a graph over near spots (field.md 1.2).

Belongs here: its stem, network and predictor. Does not belong here: the blocks it shares with others.
"""
