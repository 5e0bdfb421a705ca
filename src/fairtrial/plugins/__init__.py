"""Files of the user's: read, checked and executed; plug-ins and what they add to the tables.

Knows the tables that a plug-in adds a row to, and no study, store or worker. Without torch.
"""
