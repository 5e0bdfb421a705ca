"""What a study will do, cost and be able to see, and how far it is; read from declarations and records.

Nothing here imports torch at load, trains, or writes a result.
"""
