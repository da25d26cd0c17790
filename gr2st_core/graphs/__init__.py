"""Which spots of a section exchange messages: by place, by function.

Belongs here: rules from coordinates or similarities to edges. Does not belong here: layers that pass messages, and
how similarity is learnt (``models.gr2st``).
"""
