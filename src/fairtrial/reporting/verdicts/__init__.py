"""What the recorded cells say of each contrast, and the sentences and captions that say it.

Draws nothing and writes no file.
"""
