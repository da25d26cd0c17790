"""The section explorer: one section, its predictions and what they were made from, as one HTML file.

Belongs here: choosing a prediction, reading it from the lake, writing the page. Does not belong here: the command
(``journeys``), the asset (``assets.explorer``).
"""
