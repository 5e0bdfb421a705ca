"""The rule of the gate: launches in, one of "slower", "fine" or "undecided" out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np

from fairtrial.stats import holm, trimmed_interval, welch_interval
from fairtrial.stats.student import t_cdf, t_quantile
from fairtrial.study.limits import MIN_UNITS

SLOWER: Final = "slower"
FINE: Final = "fine"
UNDECIDED: Final = "undecided"
LEVEL: Final = 0.95  # of the interval that is shown

Reading = TypeVar("Reading")


class Estimate(NamedTuple):
    """The log of candidate time / base time of one bench over `n` launches."""

    log_ratio: float
    se: float
    df: float
    n: int


@dataclass(frozen=True)
class Plan:
    """What is tolerated, the error of the decision, and after how many launches it is looked at.

    tolerance: a slow-down up to this share is none. alpha: over all benches and looks, the chance of an alarm
    when no bench is slower than the tolerance; also that of a pass when one is.
    """

    tolerance: float = 0.03
    alpha: float = 0.05
    looks: tuple[int, ...] = (8, 12, 16, 24)

    @property
    def alpha_of_look(self) -> float:
        """Equal shares: by Bonferroni the error holds however the looks hang together."""
        return self.alpha / len(self.looks)


@dataclass(frozen=True)
class Bench:
    """One bench: ratio of times with its 95 % interval, and the two one-sided tests at the tolerance.

    p_slower: against "at most the tolerance", adjusted by Holm over the benches. p_fine: against "at least
    the tolerance".
    """

    name: str
    state: str
    ratio: float
    low: float
    high: float
    p_slower: float
    p_fine: float
    launches: int


@dataclass(frozen=True)
class Decision:
    """The state of the gate and of every bench of it."""

    state: str
    launches: int
    benches: tuple[Bench, ...]
    plan: Plan

    def named(self, state: str) -> list[str]:
        """The benches in this state."""
        return [bench.name for bench in self.benches if bench.state == state]


def decide(found: Mapping[str, Estimate], plan: Plan) -> Decision:
    """One look. A regression: any bench is surely slower than tolerated. Fine: every bench surely is not.

    H0 "time ratio <= 1 + tolerance" is tested per bench, with Holm over the benches, each look at its share
    of alpha; "ratio >= 1 + tolerance" likewise, without Holm, because all of them must be refuted for a pass.
    An estimate without a standard error (too few launches, or none that differ) leaves its bench undecided.
    """
    if not found:
        raise ValueError("no bench to decide on: the gate needs at least one")
    bound = math.log1p(plan.tolerance)
    excess = {name: _t(each, bound) for name, each in found.items()}
    slower = holm(
        [_upper_tail(excess[name], each.df) for name, each in found.items()], alpha=plan.alpha_of_look
    )
    benches = []
    for (name, each), p, reject in zip(found.items(), slower.adjusted_p, slower.reject, strict=True):
        p_fine = _upper_tail(-excess[name], each.df)
        state = SLOWER if reject else FINE if p_fine <= plan.alpha_of_look else UNDECIDED
        benches.append(Bench(name, state, *_limits(each), float(p), p_fine, each.n))
    return Decision(_overall(benches), max(each.n for each in found.values()), tuple(benches), plan)


def until_decided(
    plan: Plan,
    launch: Callable[[int], Reading],
    estimates: Callable[[Sequence[Reading]], Mapping[str, Estimate]],
) -> Decision:
    """Launch up to each look in turn, until one decides or the last has been taken."""
    readings: list[Reading] = []
    for look in plan.looks:
        readings += [launch(number) for number in range(len(readings), look)]
        decision = decide(estimates(readings), plan)
        if decision.state != UNDECIDED:
            break
    return decision


def paired(log_ratios: Sequence[float] | np.ndarray) -> Estimate:
    """Of pairs of processes that took turns: one log ratio per launch; a fifth on each side is trimmed.

    A launch during which the machine did something else may be off by 30 %.
    """
    fit = trimmed_interval(log_ratios, unit="launch")
    return Estimate(fit.estimate, math.inf if fit.warnings else fit.se, fit.df, fit.n)


def unpaired(candidate: Sequence[float] | np.ndarray, base: Sequence[float] | np.ndarray) -> Estimate:
    """Of launches at different times: one log of seconds per launch, by Welch."""
    fit = welch_interval(candidate, base, unit="launch")
    return Estimate(fit.estimate, math.inf if fit.warnings else fit.se, fit.df, fit.n_a)


def plain(decision: Decision) -> dict[str, Any]:
    """The decision as JSON holds it; infinite limits are null."""
    benches = [
        {key: None if isinstance(value, float) and math.isinf(value) else value for key, value in row.items()}
        for row in (vars(bench) for bench in decision.benches)
    ]
    return {
        "state": decision.state,
        "launches": decision.launches,
        "plan": vars(decision.plan),
        "benches": benches,
    }


def _t(each: Estimate, bound: float) -> float:
    return (each.log_ratio - bound) / each.se if 0 < each.se < math.inf else 0.0


def _upper_tail(t: float, df: float) -> float:
    return 0.5 if t == 0 else t_cdf(-t, df)


def _limits(each: Estimate) -> tuple[float, float, float]:
    """The ratio and its limits."""
    ratio = math.exp(each.log_ratio)
    if not 0 < each.se < math.inf:
        return ratio, 0.0, math.inf
    half = t_quantile(0.5 + LEVEL / 2, each.df) * each.se
    return ratio, math.exp(each.log_ratio - half), math.exp(min(each.log_ratio + half, 700))


def _overall(benches: Sequence[Bench]) -> str:
    states = {bench.state for bench in benches}
    if SLOWER in states:
        return SLOWER
    return FINE if states == {FINE} else UNDECIDED


def lines(decision: Decision, facts: Mapping[str, Any]) -> list[str]:
    """Return the decision as a person reads it: benches, what they were compared with, the end."""
    against = facts.get("base") or facts.get("baseline")
    said = [f"against    {against} ({facts['why']}), {facts['mode']}"]
    said += [f"label      {label}" for label in facts["labels"]]
    if facts["planted"]:
        said.append(f"planted    StdConv benches of the candidate are slowed by {facts['planted']:g} %")
    width = max(len(bench.name) for bench in decision.benches)
    said += [f"bench      {bench.name:<{width}}  {_row(bench)}" for bench in decision.benches]
    said += [f"bench      {name:<{width}}  new: nothing to compare with" for name in facts["new"]]
    if "recorded" in facts:
        said.append(f"recorded   {facts['recorded']}")
    return [*said, f"gate       {_end(decision)}"]


def markdown(decision: Decision, facts: Mapping[str, Any]) -> str:
    """Return the decision for a pull request: what was decided, and a row per bench."""
    against = facts.get("base") or facts.get("baseline")
    rows = [
        f"| {bench.name} | {bench.ratio:.3f} | {_interval(bench)} | {bench.state} |"
        for bench in decision.benches
    ]
    rows += [f"| {name} | | | new: nothing to compare with |" for name in facts["new"]]
    said = [f"**{_end(decision)}**", f"Against `{against}` ({facts['why']}), {facts['mode']}."]
    head = "| bench | time, as a ratio to the base | 95 % interval | verdict |\n| --- | ---: | ---: | --- |"
    return "\n\n".join(["### Gate", *said, *facts["labels"], "\n".join([head, *rows])]) + "\n"


def _interval(bench: Bench) -> str:
    return "none" if math.isinf(bench.high) else f"{bench.low:.3f} to {bench.high:.3f}"


def _row(bench: Bench) -> str:
    shift = f"{100 * (bench.ratio - 1):+.1f} % time"
    if math.isinf(bench.high):
        few = f"fewer than {MIN_UNITS} launches"
        return f"{shift} (no interval: {few}, or none that differ)  {bench.state}"
    limits = f"({100 * (bench.low - 1):+.1f} to {100 * (bench.high - 1):+.1f}, 95 %)"
    p = bench.p_fine if bench.state == FINE else bench.p_slower
    return f"{shift} {limits}  {bench.state}, p = {p:.1g}"


def _end(decision: Decision) -> str:
    much, after = f"{decision.plan.tolerance:.1%}", f"after {decision.launches} launches"
    if decision.state == SLOWER:
        return f"REGRESSION {after}: slower by more than {much}: {', '.join(decision.named(SLOWER))}"
    if decision.state == FINE:
        return f"fine {after}: no bench is slower by {much}"
    names = ", ".join(decision.named(UNDECIDED))
    return (
        f"undecided {after}: {names} may or may not be slower by {much}; run it again when the machine is "
        "quieter, or state a larger --tolerance"
    )
