"""From recorded attempts to verdicts, tables, figures and pages.

Nothing here imports torch or trains; what is read, it reads through `storage`.
"""
