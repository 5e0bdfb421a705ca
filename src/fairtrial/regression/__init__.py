"""The regression gate: is this tree slower than its base, and how sure are we?

Knows no study; it launches the benches of two trees and decides from their rounds.
"""
