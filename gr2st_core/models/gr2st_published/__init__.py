"""GR2ST in its two published states: ``r1`` (contrast and retrieval) and ``r2`` (with regression head and ensemble).

Belongs here: the function that was published, computed without its waste. Does not belong here: improvements of it
(``models.gr2st``), the epoch loop (``training``).

Where the two states differ, the settings class decides: ``Gr2stR1Settings`` or ``Gr2stR2Settings``.
"""
