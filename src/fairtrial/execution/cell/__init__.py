"""One cell in a worker process: its data, network, start and training, and its one look at the test split.

Knows no store, no driver and no other cell.
"""
