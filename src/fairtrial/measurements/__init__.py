"""Measurements that need no study: of networks at their start, of single layers, of BN's statistics, of costs.

Knows no cell, contrast or verdict.
"""
