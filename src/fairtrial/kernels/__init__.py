"""Kernels of our own: C for CPUs, compiled at first use where a compiler is at hand."""
