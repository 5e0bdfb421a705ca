"""Published claims and numbers, and what the recorded studies say of them.

Holds the only published numbers of the library.
"""
