"""The report of a cohort: one HTML file that asks nothing of anyone, every number with the query that gives it.

Belongs here: what the report asks, says and draws. Does not belong here: when it is made and where it is kept
(``assets.report``), scores of any kind.
"""
