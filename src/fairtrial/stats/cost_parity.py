"""Whether the arms of a contrast cost equal seconds: held, refused or open (STATISTICS 17.3).

The runs decide first. Where their interval cannot, launches decide that were timed after the runs,
interleaved, at the numbers of steps that the runs took. Those before the runs set these numbers: no judges.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean
from typing import Any, Final, TypeAlias

from fairtrial.study.limits import MIN_UNITS, PARITY_LIMIT

ROUNDS: Final = 8  # interleaved launches of each arm between two judgements
MOST_ROUNDS: Final = 32  # a gap of 5 % is caught 97 times in 100 at a noise of 2.9 % a launch
HELD: Final = "held"
REFUSED: Final = "refused"
OPEN: Final = "open"

Run: TypeAlias = tuple[str, int, float, int]  # arm key, seed, training seconds, steps
Costs: TypeAlias = Mapping[Any, float]  # seed or round -> seconds of one side of a contrast
Times: TypeAlias = Mapping[str, Mapping[Hashable, float]]  # arm key -> round -> seconds of one step


@dataclass(frozen=True)
class CostParity:
    """What is known of the costs of a contrast's arms.

    ratio: of geometric mean seconds, of the two arms that decide, with its 95 % t interval over pairs; 1 or
    more. source: "runs" or "launches".
    """

    verdict: str
    ratio: float
    low: float
    high: float
    source: str

    @property
    def words(self) -> str:
        """'ratio 1.031 [0.982, 1.083] by runs'."""
        limits = f" [{self.low:.3f}, {self.high:.3f}]" if math.isfinite(self.high) else ", no interval,"
        return f"ratio {self.ratio:.3f}{limits} by {self.source}"


def cost_parity(sides: Sequence[Sequence[Run]], times: Times) -> CostParity | None:
    """Judge the finished runs of each side of a contrast; None where a side has none.

    times: of launches after the runs.
    """
    if not all(sides):
        return None
    by_runs = judge_costs([_seconds(side) for side in sides], "runs")
    launched = [_launched(side, times) for side in sides]
    return judge_costs(launched, "launches") if by_runs.verdict == OPEN and all(launched) else by_runs


def open_arms(contrasts: Iterable[Sequence[Sequence[Run]]], times: Times) -> set[str]:
    """Return the keys of arms that more launches may decide: of open contrasts, below MOST_ROUNDS each."""
    arms: set[str] = set()
    for sides in contrasts:
        parity = cost_parity(sides, times)
        if parity is not None and parity.verdict == OPEN:
            arms |= {arm for side in sides for arm, *_ in side}
    return {arm for arm in arms if len(times.get(arm, ())) < MOST_ROUNDS}


def judge_costs(sides: Sequence[Costs], source: str) -> CostParity:
    """Judge each two sides by the interval of their ratio: one beyond the limit refuses, all inside hold."""
    limit = math.log1p(PARITY_LIMIT)
    pairs = [_log_ratio(one, other) for one, other in combinations(sides, 2)]
    nearest = [max(low, -high) for _, low, high in pairs]
    farthest = [max(-low, high) for _, low, high in pairs]
    if max(nearest) > limit:
        verdict, decides = REFUSED, nearest.index(max(nearest))
    else:
        verdict, decides = OPEN if max(farthest) > limit else HELD, farthest.index(max(farthest))
    estimate, low, high = pairs[decides]
    if estimate < 0:
        estimate, low, high = -estimate, -high, -low
    return CostParity(verdict, math.exp(estimate), math.exp(low), math.exp(high), source)


def _log_ratio(one: Costs, other: Costs) -> tuple[float, float, float]:
    """Return the log ratio with its limits; a ratio that never varies is its own interval."""
    from fairtrial.stats.contrasts import ratio_interval  # with numpy and scipy: a plan does without

    units = [unit for unit in one if unit in other and one[unit] > 0 < other[unit]]
    if not units:
        return 0.0, -math.inf, math.inf
    found = ratio_interval([one[unit] for unit in units], [other[unit] for unit in units])
    estimate = math.log(found.estimate)
    if not found.warnings:
        return estimate, math.log(found.low), math.log(found.high)
    half = 0.0 if found.n >= MIN_UNITS else math.inf
    return estimate, estimate - half, estimate + half


def _seconds(runs: Iterable[Run]) -> Costs:
    """Return seed -> training seconds, the mean over the runs of a side."""
    by_seed: defaultdict[int, list[float]] = defaultdict(list)
    for _, seed, seconds, _ in runs:
        by_seed[seed].append(seconds)
    return {seed: fmean(values) for seed, values in by_seed.items()}


def _launched(runs: Iterable[Run], times: Times) -> Costs:
    """Return round -> seconds that a run of a side takes by that round, the mean over its arms."""
    steps: defaultdict[str, list[int]] = defaultdict(list)
    for arm, _, _, taken in runs:
        steps[arm].append(taken)
    shared = set.intersection(*(set(times.get(arm, ())) for arm in steps))
    return {each: fmean(fmean(steps[arm]) * times[arm][each] for arm in steps) for each in shared}
