"""One immutable, sealed file per attempt, published whole; locks, provenance, the user's cache.

Nothing here imports torch or knows how a cell is trained, judged or drawn.
"""
