"""The command line: what is typed, checked and handed on; what is printed, and the exit code.

No rule of a study, a verdict or a file is decided here.
"""
