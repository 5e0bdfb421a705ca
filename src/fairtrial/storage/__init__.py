"""Files that must not lie: one immutable file per attempt, sealed, published whole; locks, provenance, the cache.

Nothing here imports torch or knows how a cell is trained, judged or drawn.
"""
