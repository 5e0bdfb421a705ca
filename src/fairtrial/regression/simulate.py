"""The error rates of the gate's own rule, on launches that are drawn: what it would do at a stated noise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from fairtrial.regression.decision import FINE, SLOWER, UNDECIDED, Plan, paired, until_decided
from fairtrial.stats import clopper_pearson

Law = Callable[[np.random.Generator, int], np.ndarray]

LAWS: Final[dict[str, Law]] = {  # each with standard deviation 1, but for the launches that are disturbed
    "normal": lambda rng, n: rng.standard_normal(n),
    "heavy tails (t, 3 df)": lambda rng, n: rng.standard_t(3, n) / np.sqrt(3),
    "1 launch in 20 disturbed sixfold": lambda rng, n: (
        rng.standard_normal(n) * np.where(rng.random(n) < 0.05, 6, 1)
    ),
}
BENCHES: Final = 4
SLOWED: Final = 2  # of them: the two of StdConv


@dataclass(frozen=True)
class Rates:
    """How many of `gates` ended in each way; low, high: the exact 95 % interval of the share of alarms."""

    law: str
    slowdown: float
    gates: int
    alarms: int
    fine: int
    undecided: int
    low: float
    high: float
    launches: float


def simulate(plan: Plan, slowdown: float, gates: int, noise: float, law: str, seed: int = 0) -> Rates:
    """`gates` gates with independent benches; two of them are slower by this share.

    noise: standard deviation of a bench's log ratio from launch to launch.
    """
    rng = np.random.default_rng([seed, round(1e6 * slowdown), list(LAWS).index(law)])
    shift = np.zeros(BENCHES)
    shift[:SLOWED] = np.log1p(slowdown)
    ends = [_gate(plan, lambda _: shift + noise * LAWS[law](rng, BENCHES)) for _ in range(gates)]
    count = Counter(state for state, _ in ends)
    share = clopper_pearson(count[SLOWER], gates, unit="gate", scope=law)
    launches = float(np.mean([used for _, used in ends]))
    return Rates(
        law, slowdown, gates, count[SLOWER], count[FINE], count[UNDECIDED], share.low, share.high, launches
    )


def table(plan: Plan, slowdown: float, gates: int, noise: float, seed: int = 0) -> list[Rates]:
    """Under each law of noise: nothing slower, slower by just what is tolerated, slower by `slowdown`."""
    return [
        simulate(plan, each, gates, noise, law, seed)
        for law in LAWS
        for each in (0.0, plan.tolerance, slowdown)
    ]


def lines(rows: list[Rates], plan: Plan, noise: float) -> Iterator[str]:
    """The table as a person reads it."""
    yield (
        f"the gate's rule on drawn launches: noise {noise:.1%} per launch, {BENCHES} benches, tolerance "
        f"{plan.tolerance:.0%}, looks after {', '.join(map(str, plan.looks))} launches"
    )
    for row in rows:
        what = "A/A" if not row.slowdown else f"{row.slowdown:.0%} slower"
        yield (
            f"{row.law:<33} {what:<12} alarms {row.alarms}/{row.gates} = {row.alarms / row.gates:.1%} "
            f"({row.low:.1%} to {row.high:.1%}); fine {row.fine}, undecided {row.undecided}; "
            f"{row.launches:.1f} launches"
        )


def plain(rows: list[Rates]) -> list[dict[str, Any]]:
    """The table for --json."""
    return [vars(row) for row in rows]


def _gate(plan: Plan, launch: Callable[[int], np.ndarray]) -> tuple[str, int]:
    decision = until_decided(
        plan,
        launch,
        lambda rows: {str(bench): paired(column) for bench, column in enumerate(np.transpose(rows))},
    )
    return decision.state, decision.launches
