"""Which checks refuse a contrast: parity seed by seed, and what must be the same inside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from fairtrial.reporting.results.load import Results
from fairtrial.reporting.wording import clean, listed, plural
from fairtrial.stats.cost_parity import OPEN, REFUSED, CostParity, cost_parity
from fairtrial.storage.calibrations import chosen_ways, launches_after_runs
from fairtrial.storage.record import Attempt
from fairtrial.study.budget import SPENT, Budget
from fairtrial.study.contrast import corners
from fairtrial.study.failure_policy import DONE
from fairtrial.study.identity import arm_key
from fairtrial.study.limits import PARITY_LIMIT
from fairtrial.study.study import Contrast

_LIMIT: Final = math.log1p(PARITY_LIMIT)
_ONE: Final[dict[str, Callable[[Attempt], Any]]] = {
    "data digest": lambda record: record.provenance.data,
    "precision": lambda record: record.provenance.precision,
    "device": lambda record: record.provenance.device,
    "torch": lambda record: record.provenance.torch,
    "kernels": lambda record: record.provenance.kernels,
    "test images": lambda record: record.measured.test_n,
}


def refusals(results: Results, contrast: Contrast) -> tuple[str, ...]:
    """Return every reason for which the records of a contrast refuse its verdict."""
    sides = [_records(results, contrast, levels) for levels in corners(contrast)]
    every = [record for side in sides for record in side]
    return (
        *_mixed(results, every),
        *_ways(results, every),
        *_draws(every),
        *_reads(every),
        *_declared(every, results.study.budget),
        *_unequal(sides, results.study.budget.kind),
        *_unequal_seconds(cost(results, contrast)),
    )


def cost(results: Results, contrast: Contrast) -> CostParity | None:
    """Return whether the sides of a contrast cost equal seconds; None where seconds are not the budget."""
    if results.study.budget.kind != "seconds":
        return None
    sides = [_records(results, contrast, levels) for levels in corners(contrast)]
    timed = [[record.timed for record in side if record.status == DONE] for side in sides]
    return cost_parity(timed, launches_after_runs(results.calibrations))


def _unequal_seconds(parity: CostParity | None) -> Iterator[str]:
    if parity is not None and parity.verdict == REFUSED:
        yield f"the seconds of its arms differ by more than {100 * PARITY_LIMIT:g} %: {parity.words}"


def open_cost(results: Results, contrast: Contrast) -> Iterator[str]:
    """Yield the stamp of a contrast of which neither runs nor launches could say that seconds were equal."""
    parity = cost(results, contrast)
    if parity is not None and parity.verdict == OPEN:
        yield f"cost parity open ({parity.words})"


def _records(results: Results, contrast: Contrast, levels: Mapping[str, Any]) -> list[Attempt]:
    cells, seeds = results.where(levels), results.seeds_of(contrast)
    return [results.records[c] for c in cells["cell"][cells["seed"].isin(seeds)] if c in results.records]


def _mixed(results: Results, records: Sequence[Attempt]) -> Iterator[str]:
    """Yield what must be one inside a contrast, and is not; what the study sweeps may differ."""
    swept = {name for name in ("data", "precision", "resolution") if name in results.study.factors}
    for name, value in _ONE.items():
        if name == "precision" and "precision" in swept:
            continue
        if name in ("data digest", "test images") and swept & {"data", "resolution"}:
            continue
        values = {clean(found) for record in records if (found := value(record)) is not None}
        if len(values) > 1:
            yield f"other {name} inside the contrast: {listed(sorted(values)[:5])}"


def _ways(results: Results, records: Sequence[Attempt]) -> Iterator[str]:
    """Yield runs in another layout or on other kernels than calibration chose for their arm in this study."""
    chosen = chosen_ways(results.calibrations) if results.study.budget.kind == "seconds" else {}
    odd = [one for one in records if one.drawn.way != chosen.get(arm_key(one.settings), {})]
    if odd:
        yield f"{plural(len(odd), 'run')} in another layout or on other kernels than calibration chose"
    elif len({bool(one.drawn.way) for one in records}) > 1:
        yield "some arms ran in the fastest layout with the fastest kernels, others as declared"


def _draws(records: Sequence[Attempt]) -> Iterator[str]:
    """Yield seeds at which arms of one data, shots and split drew other images or another order."""
    for stream in ("subset", "order"):
        drawn: dict[tuple, set[str]] = {}
        for record in records:
            if digest := getattr(record.drawn, stream):
                settings = record.settings
                key = (record.seed, settings.data, settings.shots, settings.val_per_class)
                drawn.setdefault(key, set()).add(digest)
        odd = sorted({key[0] for key, digests in drawn.items() if len(digests) > 1})
        if odd:
            yield f"other {stream} between arms at {plural(len(odd), 'seed')}"


def _reads(records: Sequence[Attempt]) -> Iterator[str]:
    most = max((record.measured.test_reads for record in records), default=0)
    if most > 1:
        yield f"the test split was opened {most} times in a run"


def _declared(records: Sequence[Attempt], budget: Budget) -> Iterator[str]:
    """Yield runs that spent another amount than declared; whole updates may round, by half a batch."""
    if budget.kind == "seconds":
        return
    odd = [record for record in records if record.status == DONE and _off(record, budget)]
    if odd:
        spent = _spent(odd[0], budget.kind)
        yield f"{plural(len(odd), 'run')} spent unlike the declared {budget.words}, such as {spent:,.15g}"


def _off(record: Attempt, budget: Budget) -> bool:
    spent = _spent(record, budget.kind)
    one_step = spent / record.spent.steps if record.spent.steps else 0.0
    return abs(spent - budget.amount) > max(one_step / 2, PARITY_LIMIT * budget.amount)


def _spent(record: Attempt, kind: str) -> float:
    return float(getattr(record.spent, SPENT[kind]))


def _unequal(sides: Sequence[Sequence[Attempt]], kind: str) -> Iterator[str]:
    """Yield seeds at which the arms spent unequal amounts; for seconds, see `_unequal_seconds`."""
    if kind == "seconds":
        return
    at_seed: list[dict[int, list[float]]] = []
    for side in sides:
        at_seed.append({})
        for record in side:
            if record.status == DONE:
                at_seed[-1].setdefault(record.seed, []).append(_spent(record, kind))
    shared = set(at_seed[0]).intersection(*at_seed[1:])
    gaps = [_gap([sum(side[seed]) / len(side[seed]) for side in at_seed]) for seed in sorted(shared)]
    odd = [gap for gap in gaps if gap > _LIMIT]
    if odd:
        worst = 100 * math.expm1(max(odd))
        yield f"{plural(len(odd), 'pair')} of {len(gaps)} differ in {kind}, by up to {worst:.3g} %"


def _gap(spent: Sequence[float]) -> float:
    """Return the largest |log ratio| of what arms spent; inf where one of them spent nothing."""
    low, high = min(spent), max(spent)
    return math.log(high / low) if low > 0 else math.inf
