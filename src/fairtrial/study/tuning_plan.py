"""How every arm gets its learning rate: the same trials for each, before the first confirmatory cell.

Declared with the study: the space, the tuning seeds, the share of the budget, the score (STATISTICS 17.1).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

FIRST_SEED: Final = 1_000_000  # tuning seeds start here; a study's own seeds stay below
TUNABLE: Final = ("lr", "weight_decay", "warmup", "mixup")  # numbers of the recipe
SAMPLERS: Final = ("grid", "random", "tpe")
SCORES: Final = ("val_loss", "val_acc")
WIDEST: Final = 2  # values that may be added beyond each edge of a grid
EDGE: Final = 0.05  # of a range: what lies nearer to a limit of it is at its edge

Params = Mapping[str, float]


@dataclass(frozen=True)
class Range:
    """The numbers between two limits, both included; log: evenly over their logarithms."""

    low: float
    high: float
    log: bool = True

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"a range from {self.low:g} to {self.high:g} has no room")
        if self.log and self.low <= 0:
            raise ValueError(f"a range from {self.low:g} has no logarithm")


@dataclass(frozen=True)
class Tuning:
    """The same search for every regime, an arm with everything that it trains with.

    space: setting -> its values (one setting, ascending: a grid), or its Range (sampled). trials: how many a
    sampled space gets; None for a grid. seeds: tuning seeds of each trial, none of them a seed of the study.
    share: of the study's budget, for a trial. score: what the validation images say at the end; "val_loss"
    is less noisy than "val_acc" where they are few. studies: independent searches; seed s of the study takes
    what search s modulo `studies` chose. paired_ties: a tie with the best is judged on paired differences of
    the tuning seeds, and not on the spread of the best. Raises ValueError with what is wrong.
    """

    space: Mapping[str, Sequence[float] | Range]
    trials: int | None = None
    seeds: int = 2
    share: float = 1.0
    score: str = "val_loss"
    sampler: str = ""
    studies: int = 1
    paired_ties: bool = False

    def __post_init__(self) -> None:
        space = {name: self._values(name, values) for name, values in sorted(dict(self.space).items())}
        sampled = [name for name, values in space.items() if isinstance(values, Range)]
        object.__setattr__(self, "space", space)
        object.__setattr__(self, "sampler", self.sampler or ("random" if sampled else "grid"))
        problem = self._problem(sampled)
        if problem:
            raise ValueError(problem)

    def _values(self, name: str, values: Any) -> tuple[float, ...] | Range:
        if name not in TUNABLE:
            raise ValueError(f"{name!r} cannot be tuned; these can: {', '.join(TUNABLE)}")
        return values if isinstance(values, Range) else tuple(float(value) for value in values)

    def _problem(self, sampled: list[str]) -> str:
        if not self.space:
            return "tuning has no setting to choose"
        if self.sampler not in SAMPLERS:
            return f"unknown sampler {self.sampler!r}; known: {', '.join(SAMPLERS)}"
        if self.score not in SCORES:
            return f"unknown score {self.score!r}; known: {', '.join(SCORES)}"
        if min(self.seeds, self.studies) < 1:
            return "tuning needs at least one seed and one study"
        if not 0 < self.share <= 1:
            return f"share={self.share:g} of the budget is not above 0 and at most 1"
        if self.sampler != "grid":
            return self._sampled_problem(sampled)
        return self._grid_problem(sampled)

    def _sampled_problem(self, sampled: list[str]) -> str:
        if len(sampled) < len(self.space):
            return "a sampled space has a Range for every setting"
        return "" if self.trials and self.trials > 0 else "a sampled space needs trials, at least 1"

    def _grid_problem(self, sampled: list[str]) -> str:
        if sampled or len(self.space) != 1:
            return "a grid has the values of one setting; give ranges to sample several"
        if self.trials is not None:
            return "a grid tries all of its values: leave trials out"
        values = self.grid
        if len(values) < 2 or any(later <= earlier for earlier, later in pairwise(values)):
            return "the values of a grid are two or more, ascending"
        return "the values of a grid are above 0" if values[0] <= 0 else ""

    @property
    def names(self) -> tuple[str, ...]:
        """The settings that are chosen, by name."""
        return tuple(self.space)

    @property
    def grid(self) -> tuple[float, ...]:
        """The values of a grid as declared."""
        (values,) = self.space.values()
        assert not isinstance(values, Range)
        return tuple(values)

    @property
    def middle(self) -> dict[str, float]:
        """The middle of the space."""
        return {name: _middle(values) for name, values in self.space.items()}

    def seeds_of(self, index: int) -> range:
        """The tuning seeds of one search."""
        return range(FIRST_SEED + index * self.seeds, FIRST_SEED + (index + 1) * self.seeds)

    def index_of(self, seed: int) -> int:
        """Return the search that a seed of the study takes its settings from: dealt out in turn."""
        return seed % self.studies

    @property
    def budget(self) -> str:
        """ "the study's budget", or its share."""
        return "the study's budget" if self.share == 1 else f"{100 * self.share:g} % of the study's budget"

    @property
    def words(self) -> str:
        """'lr 0.03, 0.1, 0.3, 1, 3 at 2 tuning seeds, half the budget, by validation loss'."""
        space = "; ".join(f"{name} {_spelled(values)}" for name, values in self.space.items())
        effort = "" if self.trials is None else f"{self.trials} {self.sampler} trials of "
        score = {"val_loss": "validation loss", "val_acc": "validation accuracy"}[self.score]
        searches = "" if self.studies == 1 else f", {self.studies} independent searches"
        ties = ", ties on paired seeds" if self.paired_ties else ""
        return f"{effort}{space} at {self.seeds} tuning seeds, {self.budget}, by {score}{ties}{searches}"

    def record(self) -> dict[str, Any]:
        """JSON-ready, for the declaration."""
        space = {name: _recorded(values) for name, values in self.space.items()}
        return {
            "space": space, "trials": self.trials, "seeds": self.seeds, "share": self.share,
            "score": self.score, "sampler": self.sampler, "studies": self.studies,
            **({"paired_ties": True} if self.paired_ties else {}),  # no declaration of before has it
        }  # fmt: skip

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Tuning:
        """The tuning that a declaration holds."""
        space = {name: _read(values) for name, values in record["space"].items()}
        return cls(**{**record, "space": space})


def _spelled(values: Iterable[float] | Range) -> str:
    if isinstance(values, Range):
        return f"{values.low:g} to {values.high:g}" + (" (log)" if values.log else "")
    return ", ".join(f"{value:g}" for value in values)


def _middle(values: Sequence[float] | Range) -> float:
    if not isinstance(values, Range):
        return values[len(values) // 2]
    return math.sqrt(values.low * values.high) if values.log else (values.low + values.high) / 2


def _recorded(values: Sequence[float] | Range) -> Any:
    if isinstance(values, Range):
        return {"low": values.low, "high": values.high, "log": values.log}
    return list(values)


def _read(values: Any) -> tuple[float, ...] | Range:
    return Range(**values) if isinstance(values, Mapping) else tuple(values)


def widen(grid: Sequence[float], chosen: Iterable[float], declared: Sequence[float]) -> tuple[float, ...]:
    """Return the grid with a value beyond each edge at which something was chosen; at most WIDEST an edge.

    grid: ascending, `declared` widened so far. The new value keeps the ratio of the two values at the edge.
    """
    values, wider = set(chosen), tuple(grid)
    if grid[0] in values and sum(value < declared[0] for value in grid) < WIDEST:
        wider = (_rounded(grid[0] * grid[0] / grid[1]), *wider)
    if grid[-1] in values and sum(value > declared[-1] for value in grid) < WIDEST:
        wider = (*wider, _rounded(grid[-1] * grid[-1] / grid[-2]))
    return wider


def may_be_added(declared: Sequence[float], tried: Iterable[float]) -> int:
    """Return how many values `widen` may still add to a grid of which these were tried by now."""
    return 2 * WIDEST - len(set(tried) - set(declared))


def at_edge(value: float, tried: Sequence[float] | Range) -> bool:
    """Say whether a chosen value lies at an edge: the first or last of a grid, near a limit of a range."""
    if not isinstance(tried, Range):
        return value in (tried[0], tried[-1])
    low, at, high = (math.log(each) if tried.log else each for each in (tried.low, value, tried.high))
    return not EDGE < (at - low) / (high - low) < 1 - EDGE


def _rounded(value: float) -> float:
    """Three digits, as a person would type it: a tail of a division would be part of a cell's id."""
    return float(f"{value:.3g}")


@dataclass(frozen=True)
class Choice:
    """What one search gave one regime. stability: share of resampled tuning seeds that choose the same."""

    params: Params
    stability: float
    trials: int
    failed: int
    device_s: float
