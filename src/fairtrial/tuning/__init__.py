"""Equal tuning for every arm: the space, the trials as recorded, and Optuna, which proposes.

The only folder that imports optuna; it trains nothing itself.
"""
