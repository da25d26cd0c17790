"""mclSTExp: an image encoder taught by contrast, and training spots looked up by what it sees (field.md 1.5).

Belongs here: its two towers, their training, the bank and the look-up. Does not belong here: the blocks it shares with
others, the search of a bank (``gr2st_published.retrieval``).
"""
