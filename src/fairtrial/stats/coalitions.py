"""What each component earns, from runs of every coalition of components."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from numbers import Real
from typing import Any, Final, TypeAlias

import numpy as np

from fairtrial.stats.inputs import Values, joined
from fairtrial.stats.records import MeanInterval, Record
from fairtrial.stats.rules import check_share
from fairtrial.stats.student import fit_mean

Coalition: TypeAlias = frozenset[str]
_EMPTY: Final[Coalition] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Attribution(Record):
    """What each component earns; `estimate low high` belong to full - base, the sum of all Shapley values.

    `shapley loco add_one_in`: component -> interval; `interaction`: pair -> interval.
    """

    n: int
    level: float
    estimate: float
    low: float
    high: float
    components: tuple[str, ...]
    shapley: Mapping[str, MeanInterval]
    loco: Mapping[str, MeanInterval]
    add_one_in: Mapping[str, MeanInterval]
    interaction: Mapping[frozenset[str], MeanInterval]


def shapley(
    cells: Mapping[frozenset[str], float | Values],
    *,
    level: float = 0.95,
    unit: str = "seed",
    scope: str = "this test set",
) -> Attribution:
    """Return Shapley value, leave-one-out loss, add-one-in gain and pairwise interactions of k components.

    cells: set of components that are on -> a number, or seed -> value, or (n,) values in one seed order; all
    2^k sets. Per seed: loco = full - full without i, add_one_in = base with i - base,
    Shapley = the mean gain of i over all orders in which components can be switched on, interaction = from
    the base, both - first - second + base. Each is linear in the cells and gets a t interval over seeds;
    numbers alone give points. Per seed the Shapley values sum to full - base, the estimate of the record.
    Missing sets: ValueError. Source: Shapley (1953), A value for n-person games.
    """
    check_share(level, "level")
    names = tuple(sorted(_EMPTY.union(*cells), key=str))
    if not names:
        raise ValueError("cells holds no component: name them in sets such as frozenset({'gn', 'ws'})")
    columns = _columns(cells, names)
    fit = partial(_interval, columns=columns, level=level, unit=unit, scope=scope)
    full = frozenset(names)
    total = fit({full: 1.0, _EMPTY: -1.0})
    return Attribution(
        n=total.n,
        level=level,
        estimate=total.estimate,
        low=total.low,
        high=total.high,
        method="Student t on one value per seed",
        unit=unit,
        scope=scope,
        warnings=total.warnings,
        components=names,
        shapley={name: fit(weights) for name, weights in _gains(names).items()},
        loco={i: fit({full: 1.0, full - {i}: -1.0}) for i in names},
        add_one_in={i: fit({frozenset({i}): 1.0, _EMPTY: -1.0}) for i in names},
        interaction={frozenset(pair): fit(weights) for pair, weights in _pairs(names).items()},
    )


def _listing(sets: Iterable[Coalition]) -> str:
    rows = sorted((sorted(map(str, each)) for each in sets), key=lambda each: (len(each), each))
    return ", ".join("{" + ", ".join(each) + "}" for each in rows)


def _columns(cells: Mapping[Coalition, Any], names: tuple[str, ...]) -> dict[Coalition, np.ndarray]:
    """Coalition -> one value per seed, in a common seed order."""
    sets = _subsets(names)
    given = {frozenset(each): value for each, value in cells.items()}
    if missing := set(sets) - given.keys():
        raise ValueError(f"cells lacks the coalitions {_listing(missing)}")
    chosen = sorted(sets, key=lambda each: (len(each), sorted(map(str, each))))
    values = {
        _listing([each]): [given[each]] if isinstance(given[each], Real) else given[each] for each in chosen
    }
    return dict(zip(chosen, joined(values), strict=True))


def _subsets(names: tuple[str, ...]) -> list[Coalition]:
    """Every coalition in one order, small ones first: sums then round the same way in each process."""
    return [frozenset(c) for size in range(len(names) + 1) for c in combinations(names, size)]


def _gains(names: tuple[str, ...]) -> dict[str, dict[Coalition, float]]:
    """Component -> the weight of each coalition in its Shapley value.

    In s!·(k-s-1)! of the k! orders, component i comes right after the s components of one coalition.
    """
    k = len(names)
    weights: dict[str, dict[Coalition, float]] = {name: {} for name in names}
    for before in _subsets(names):
        for name in (each for each in names if each not in before):
            share = 1 / (k * math.comb(k - 1, len(before)))
            weights[name] |= {before | {name}: share, before: -share}
    return weights


def _pairs(names: tuple[str, ...]) -> dict[tuple[str, str], dict[Coalition, float]]:
    """Pair -> the weights of both - first - second + base."""
    return {
        (i, j): {frozenset({i, j}): 1.0, frozenset({i}): -1.0, frozenset({j}): -1.0, _EMPTY: 1.0}
        for i, j in combinations(names, 2)
    }


def _interval(
    weights: Mapping[Coalition, float],
    *,
    columns: Mapping[Coalition, np.ndarray],
    level: float,
    unit: str,
    scope: str,
) -> MeanInterval:
    parts = [weight * columns[each] for each, weight in weights.items()]
    fit = fit_mean(np.sum(parts, axis=0), level, *parts)
    return MeanInterval(**fit.mean(), method="Student t", unit=unit, scope=scope)
