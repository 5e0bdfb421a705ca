"""The figures of reports: their style, their layout, a file for each kind.

Decides no verdict and computes no interval of its own.
"""

import os

# The kernel of a notebook exports a backend that only its own process has; we draw files, and need none.
os.environ.pop("MPLBACKEND", None)
