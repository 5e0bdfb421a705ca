"""Whether the arms of a contrast cost equal seconds: held, refused or open (STATISTICS 17.3).

The runs decide first. Where their interval cannot, interleaved launches decide, at the numbers of steps that
the runs took: of each run the first session of launches after it. Those before it set its number: no judges.
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

# arm key, seed, training seconds, steps, seconds of a step that set them
Run: TypeAlias = tuple[str, int, float, int, float | None]
Costs: TypeAlias = Mapping[Any, float]  # seed, session or round -> seconds of one side of a contrast
# arm key -> seconds of a step as set, none after the runs; arm key -> round -> seconds of a step
Session: TypeAlias = tuple[Mapping[str, float], Mapping[str, Mapping[Hashable, float]]]


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


def cost_parity(sides: Sequence[Sequence[Run]], sessions: Sequence[Session]) -> CostParity | None:
    """Judge the finished runs of each side of a contrast; None where a side has none.

    sessions: oldest first. Machines change between them, so the session is the unit; the round, where one
    session judges all runs.
    """
    if not all(sides):
        return None
    by_runs = judge_costs([_seconds(side) for side in sides], "runs")
    launched = [_launched(side, sessions) for side in sides]
    shared = set.intersection(*map(set, launched))
    if by_runs.verdict != OPEN or not shared:
        return by_runs
    if len(_judges(sides, sessions)) == 1:
        (judge,) = shared
        return judge_costs([side[judge] for side in launched], "launches")
    means = [{each: fmean(side[each].values()) for each in shared} for side in launched]
    return judge_costs(means, "launches")


def open_arms(contrasts: Iterable[Sequence[Sequence[Run]]], sessions: Sequence[Session]) -> set[str]:
    """Return the keys of arms of open contrasts that more launches after the runs may decide.

    One session of them is enough where others lay between the runs: its rounds are no units then.
    """
    after = sessions[-1][1] if sessions and not sessions[-1][0] else {}
    found: set[str] = set()
    for sides in contrasts:
        parity = cost_parity(sides, sessions)
        if parity is not None and parity.verdict == OPEN:
            enough = MOST_ROUNDS if len(_judges(sides, sessions)) == 1 else ROUNDS
            arms = {arm for side in sides for arm, *_ in side}
            found |= {arm for arm in arms if len(after.get(arm, ())) < enough}
    return found


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
    for _, seed, seconds, *_ in runs:
        by_seed[seed].append(seconds)
    return {seed: fmean(values) for seed, values in by_seed.items()}


def _judges(sides: Sequence[Sequence[Run]], sessions: Sequence[Session]) -> set[int | None]:
    """Return the sessions that judge the runs of a contrast; None among them where one is still to come."""
    return {_first_after(arm, set_by, sessions) for side in sides for arm, *_, set_by in side}


def _launched(runs: Iterable[Run], sessions: Sequence[Session]) -> dict[int, Costs]:
    """Return session -> round -> seconds that the runs before it take by it, the mean over a side's arms."""
    steps: defaultdict[int, defaultdict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    arms = {arm for arm, *_ in runs}
    for arm, _, _, taken, set_by in runs:
        if (after := _first_after(arm, set_by, sessions)) is not None:
            steps[after][arm].append(taken)
    costs: dict[int, Costs] = {}
    for after, by_arm in steps.items():
        times = {arm: sessions[after][1][arm] for arm in by_arm}
        shared = set.intersection(*map(set, times.values()))
        if set(by_arm) == arms and shared:
            costs[after] = {
                each: fmean(fmean(taken) * times[arm][each] for arm, taken in by_arm.items())
                for each in shared
            }
    return costs


def _first_after(arm: str, set_by: float | None, sessions: Sequence[Session]) -> int | None:
    """Return the first session that timed an arm after the last one that set such a step.

    Where none did, another rule set it: only launches after all runs judge it then.
    """
    setters = [index for index, (step_s, _) in enumerate(sessions) if step_s.get(arm) == set_by is not None]
    for index, (step_s, times) in enumerate(sessions):
        if arm in times and (index > setters[-1] if setters else not step_s):
            return index
    return None
