"""Measurements that need no study: networks at their start, single layers, BN's statistics, costs.

Knows no cell, contrast or verdict.
"""
