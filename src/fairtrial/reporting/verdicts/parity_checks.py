"""Whether arms spent the same: pair by pair, and as declared (STATISTICS 17.3)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from fairtrial.reporting.wording import clean, gap, listed, plural
from fairtrial.stats.cost_parity import OPEN, REFUSED, CostParity
from fairtrial.storage.record import Attempt
from fairtrial.study.budget import SPENT, Budget, parity_gap
from fairtrial.study.failure_policy import DONE
from fairtrial.study.limits import PARITY_LIMIT

Arms = Sequence[Sequence[Attempt]]  # of each arm, or of each side of a contrast, the attempts that count

BUDGET: Final = "budget"
LIMIT_WORDS: Final = f"{100 * PARITY_LIMIT:g} %"  # what arms may differ by in the declared budget
_LIMIT: Final = math.log1p(PARITY_LIMIT)


@dataclass(frozen=True)
class Check:
    """One promise of a fair comparison.

    problems: why it is broken; known: whether the records tell; open: what could not be decided; kept: the
    word for a promise that holds.
    """

    promise: str
    shown: str
    problems: tuple[str, ...] = ()
    known: bool = True
    open: tuple[str, ...] = ()
    kept: str = "yes"

    @property
    def holds(self) -> str:
        """'yes', 'as calibrated', 'NO', 'open', or 'unknown'."""
        if self.problems:
            return "NO"
        return "unknown" if not self.known else "open" if self.open else self.kept


def budget_parity(arms: Arms, budget: Budget, costs: Mapping[str, CostParity]) -> Check:
    """Judge what finished runs spent. costs: contrast -> of its seconds, where they are the budget.

    A run that diverged early spent less for that reason, and is not held against its arm.
    """
    done = [[record for record in arm if record.status == DONE] for arm in arms]
    every, kind = [record for arm in done for record in arm], budget.kind
    if not every:
        return Check(BUDGET, "no finished run", known=False)
    spread = {other: parity_gap([_mean(arm, other) for arm in done if arm]) for other in SPENT}
    others = [f"{other} by {gap(value)}" for other, value in spread.items() if other != kind]
    shown = f"{budget.words} per run; arms differ in {kind} by {gap(spread[kind])}, in {listed(others)}"
    unmeasured = sum(_spent(record, kind) <= 0 for record in every)
    if unmeasured:
        return Check(BUDGET, shown, (f"{kind} of {plural(unmeasured, 'run')} not measured",))
    if kind != "seconds":
        return Check(BUDGET, shown, (*_declared(every, budget), *_unequal(done, kind)))
    return _seconds(shown, costs)


def _seconds(shown: str, costs: Mapping[str, CostParity]) -> Check:
    refused, rest, undecided = [], [shown], []
    for name, cost in costs.items():
        whose = f"{clean(name)}: " if len(costs) > 1 else ""
        if cost.verdict == REFUSED:
            refused.append(f"{whose}the seconds of its arms differ by more than {LIMIT_WORDS}: {cost.words}")
        else:
            rest.append(f"{whose}{cost.verdict}, {cost.words}")
        if cost.verdict == OPEN:
            undecided.append(f"cost parity open ({cost.words})")
    return Check(BUDGET, "; ".join(rest), tuple(refused), open=tuple(undecided))


def parity_words(gap: float | None, kind: str) -> str:
    """Return 'equal examples', 'seconds within 0.8 %'."""
    if gap is None:
        return f"{kind} not compared"
    if gap <= 1e-9:
        return f"equal {kind}"
    return f"{kind} {'within' if gap <= PARITY_LIMIT else 'apart by'} {100 * gap:.2g} %"


def _mean(records: Sequence[Attempt], kind: str) -> float:
    return math.fsum(_spent(record, kind) for record in records) / len(records)


def _spent(record: Attempt, kind: str) -> float:
    return float(getattr(record.spent, SPENT[kind]))


def _declared(records: Sequence[Attempt], budget: Budget) -> Iterator[str]:
    """Yield runs that spent another amount than declared; whole updates may round, by half a batch."""
    odd = [record for record in records if _off(record, budget)]
    if odd:
        spent = _spent(odd[0], budget.kind)
        yield f"{plural(len(odd), 'run')} spent unlike the declared {budget.words}, such as {spent:,.15g}"


def _off(record: Attempt, budget: Budget) -> bool:
    spent = _spent(record, budget.kind)
    one_step = spent / record.spent.steps if record.spent.steps else 0.0
    return abs(spent - budget.amount) > max(one_step / 2, PARITY_LIMIT * budget.amount)


def _unequal(arms: Arms, kind: str) -> Iterator[str]:
    """Yield seeds at which the arms spent unequal amounts."""
    at_seed: list[dict[int, list[float]]] = []
    for arm in arms:
        at_seed.append({})
        for record in arm:
            at_seed[-1].setdefault(record.seed, []).append(_spent(record, kind))
    shared = set(at_seed[0]).intersection(*at_seed[1:])
    gaps = [_log_ratio([sum(arm[seed]) / len(arm[seed]) for arm in at_seed]) for seed in sorted(shared)]
    odd = [each for each in gaps if each > _LIMIT]
    if odd:
        worst = 100 * math.expm1(max(odd))
        yield f"{plural(len(odd), 'pair')} of {len(gaps)} differ in {kind}, by up to {worst:.3g} %"


def _log_ratio(spent: Sequence[float]) -> float:
    """Return the largest |log ratio| of what arms spent."""
    return math.log(max(spent) / min(spent))
