"""Made-up accuracies of cells that start from checkpoints."""

from __future__ import annotations

OF_CHECKPOINT = (0.03, 0.0, -0.03)
OF_SUBSET = (-0.002, -0.001, 0.0, 0.001, 0.002)


def nested(cell, gain=0.02):
    """Fine-tuning gains 2 points, give or take 3 by checkpoint and far less by subset; both average to 0."""
    if cell.settings.finetune == "scratch":
        return 0.5
    checkpoint = cell.seed % cell.settings.upstream_seeds
    return 0.5 + gain + OF_CHECKPOINT[checkpoint] + OF_SUBSET[cell.seed // 3 % 5]
