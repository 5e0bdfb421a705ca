"""The regression gate: is this tree slower than its base, and how sure are we?"""
