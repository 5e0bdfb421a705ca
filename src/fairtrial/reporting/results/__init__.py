"""Recorded cells as tables: what was found, what may count as evidence, arms, contrasts, replication units.

Draws nothing and judges nothing.
"""
