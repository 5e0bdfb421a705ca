"""What is the same in every study: its metrics, the units that a claim takes, budgets that count as equal."""

from __future__ import annotations

from typing import Final

METRICS: Final = ("test_acc", "test_loss", "val_acc")
LOWER_IS_BETTER: Final = ("test_loss",)
# With fewer replication units there is no interval, and no claim beyond the units at hand (STATISTICS 2).
MIN_UNITS: Final = 3
# Arms whose declared budgets differ by a larger share get no verdict (STATISTICS 7).
PARITY_LIMIT: Final = 0.02
