"""The figures of reports: their style, their layout, a file for each kind.

Decides no verdict and computes no interval of its own.
"""
