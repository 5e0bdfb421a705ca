"""The error rates of the gate's own rule, on launches that are drawn: what it would do at a stated noise."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from fairtrial.regression.decision import FINE, SLOWER, UNDECIDED, paired, until_decided
from fairtrial.stats import clopper_pearson

NOISE = 0.014  # standard deviation of launches that was measured on a busy virtual machine
BENCHES = 4
SLOWED = 2  # of them: the two of StdConv
LAWS = {  # each with standard deviation 1, but for the launches that are disturbed
    "normal": lambda rng, n: rng.standard_normal(n),
    "heavy tails (t, 3 df)": lambda rng, n: rng.standard_t(3, n) / np.sqrt(3),
    "1 launch in 20 disturbed sixfold": lambda rng, n: (
        rng.standard_normal(n) * np.where(rng.random(n) < 0.05, 6, 1)
    ),
}


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


def simulate(plan, slowdown, gates, noise, law, seed=0):
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
    states = (count[state] for state in (SLOWER, FINE, UNDECIDED))
    return Rates(law, slowdown, gates, *states, share.low, share.high, launches)


def line(rates):
    """The rates as a person reads them."""
    what = "A/A" if not rates.slowdown else f"{rates.slowdown:.0%} slower"
    return (
        f"gate     {rates.law:<33} {what:<10} alarms {rates.alarms}/{rates.gates} "
        f"({rates.low:.1%} to {rates.high:.1%}); fine {rates.fine}, undecided {rates.undecided}; "
        f"{rates.launches:.1f} launches"
    )


def _gate(plan, launch):
    decision = until_decided(
        plan,
        launch,
        lambda rows: {str(bench): paired(column) for bench, column in enumerate(np.transpose(rows))},
    )
    return decision.state, decision.launches
