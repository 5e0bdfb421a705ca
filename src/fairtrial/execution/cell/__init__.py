"""One cell in a worker process: its data, its network, its start, its training, its one look at the test split.

Knows no store, no driver and no other cell.
"""
