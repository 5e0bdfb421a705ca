"""What is declared: factors, settings, contrasts, budget, presets, recipes; how a study file is loaded.

Nothing here imports torch, opens a result or starts a process.
"""
