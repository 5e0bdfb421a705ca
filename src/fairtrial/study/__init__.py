"""What is declared: factors and settings, contrasts, budget, presets, recipes, and how a study file is loaded.

Nothing here imports torch, opens a result or starts a process.
"""
