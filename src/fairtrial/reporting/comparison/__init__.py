"""Contrasts on a table that another tool made, judged as those of a study are.

Knows no study and no record: what only records can tell is the table's own claim.
"""
