"""What is the same in every study: its metrics, the units that a claim takes, budgets that count as equal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fairtrial.study.study import Study

METRICS: Final = ("test_acc", "test_loss", "val_acc")
LOWER_IS_BETTER: Final = ("test_loss",)
# Fractions of the budget at which a run looks at its validation images.
VAL_POINTS: Final = (0.25, 0.5, 0.75, 1.0)
# With fewer replication units there is no interval, and no claim beyond the units at hand (STATISTICS 2).
MIN_UNITS: Final = 3
# Arms whose declared budgets differ by a larger share get no verdict (STATISTICS 7).
PARITY_LIMIT: Final = 0.02
UNEVEN: Final = 1.5  # times the mean size of a class, above which the largest one makes classes uneven


def units(study: Study) -> int:
    """Return how many replication units the seeds make: the checkpoints or searches that they take turns at.

    The fewest over its arms; an arm that starts from one checkpoint, or from scratch, leaves the seeds.
    """
    arms = (study.settings(levels) for levels in study.arms())
    checkpoints = (len({arm.upstream_seed(seed) for seed in study.seeds}) for arm in arms)
    searches = () if study.tuning is None else (study.tuning.studies,)
    return min([len(study.seeds), *(number for number in (*checkpoints, *searches) if number > 1)])


def majority(counts: Iterable[int]) -> float | None:
    """Return the share of the largest class where classes are uneven, which always answering it scores."""
    sizes = [count for count in counts if count]
    largest, total = max(sizes, default=0), sum(sizes)
    return largest / total if largest * len(sizes) > UNEVEN * total else None
