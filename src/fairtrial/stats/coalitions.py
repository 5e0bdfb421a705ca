"""What each component earns, from runs of every coalition of components."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import partial
from itertools import combinations
from numbers import Real
from typing import Any, Final, TypeAlias

import numpy as np

from fairtrial.stats.inputs import Values, joined
from fairtrial.stats.records import MeanInterval
from fairtrial.stats.rules import check_share
from fairtrial.stats.structure import Attribution
from fairtrial.stats.student import fit_mean

Coalition: TypeAlias = frozenset[str]
_EMPTY: Final[Coalition] = frozenset()


def shapley(
    cells: Mapping[frozenset[str], float | Values],
    *,
    level: float = 0.95,
    valid: Collection[frozenset[str]] | None = None,
    unit: str = "seed",
    scope: str = "this test set",
) -> Attribution:
    """Shapley value, leave-one-out loss, add-one-in gain and pairwise interactions of k components.

    cells: set of components that are on -> a number, or seed -> value, or (n,) values in one seed order; all
    2^k sets, or those of `valid`. Per seed: loco = full - full without i, add_one_in = base with i - base,
    Shapley = the mean gain of i over all orders in which components can be switched on, interaction = from
    the base, both - first - second + base. Each is linear in the cells and gets a t interval over seeds;
    numbers alone give points. Per seed the Shapley values sum to full - base, the estimate of the record.
    valid: the sets that mean something, base and full among them; orders are then those that pass through
    valid sets alone, each with equal weight, and what lacks a set is absent. Cells outside it are not used.
    Missing sets, or no order through the valid ones: ValueError.
    Source: Shapley (1953), A value for n-person games; orders through valid sets: Faigle & Kern (1992).
    """
    check_share(level, "level")
    names = tuple(sorted(_EMPTY.union(*(valid or cells)), key=str))
    sets = _sets(names, valid)
    columns = _columns(cells, sets)
    fit = partial(_interval, columns=columns, level=level, unit=unit, scope=scope)
    full = frozenset(names)
    total = fit({full: 1.0, _EMPTY: -1.0})
    return Attribution(
        n=total.n,
        level=level,
        estimate=total.estimate,
        low=total.low,
        high=total.high,
        method="Student t on one value per seed" + ("" if valid is None else ", orders through valid sets"),
        unit=unit,
        scope=scope,
        warnings=total.warnings,
        components=names,
        shapley={name: fit(weights) for name, weights in _gains(names, sets).items()},
        loco={i: fit({full: 1.0, full - {i}: -1.0}) for i in names if full - {i} in sets},
        add_one_in={i: fit({frozenset({i}): 1.0, _EMPTY: -1.0}) for i in names if frozenset({i}) in sets},
        interaction={frozenset(pair): fit(w) for pair, w in _pairs(names).items() if w.keys() <= sets},
    )


def _sets(names: tuple[str, ...], valid: Collection[Coalition] | None) -> set[Coalition]:
    """The coalitions that are asked for, base and full among them."""
    if not names:
        raise ValueError("cells holds no component: name them in sets such as frozenset({'gn', 'ws'})")
    if valid is None:
        return {frozenset(c) for size in range(len(names) + 1) for c in combinations(names, size)}
    kept = {frozenset(each) for each in valid}
    if missing := {_EMPTY, frozenset(names)} - kept:
        raise ValueError(f"valid leaves out the base or the full set: {_told(missing)}")
    return kept


def _told(sets: Iterable[Coalition]) -> str:
    rows = sorted((sorted(map(str, each)) for each in sets), key=lambda each: (len(each), each))
    return ", ".join("{" + ", ".join(each) + "}" for each in rows)


def _columns(cells: Mapping[Coalition, Any], sets: set[Coalition]) -> dict[Coalition, np.ndarray]:
    """Coalition -> one value per seed, in a common seed order."""
    given = {frozenset(each): value for each, value in cells.items()}
    if missing := sets - given.keys():
        raise ValueError(f"cells lacks the coalitions {_told(missing)}")
    chosen = sorted(sets, key=lambda each: (len(each), sorted(map(str, each))))
    values = {
        _told([each]): [given[each]] if isinstance(given[each], Real) else given[each] for each in chosen
    }
    return dict(zip(chosen, joined(values), strict=True))


def _several(value: Any) -> Values:
    return [value] if isinstance(value, Real) else value  # type: ignore[list-item]


def _gains(names: tuple[str, ...], sets: set[Coalition]) -> dict[str, dict[Coalition, float]]:
    """Component -> the weight of each coalition in its Shapley value.

    A step from S to S with i belongs to (ways from the base to S) x (ways on to the full set) of the orders.
    """
    up, down = _ways(names, sets, _EMPTY), _ways(names, sets, frozenset(names))
    orders = up.get(frozenset(names), 0)
    if not orders:
        raise ValueError("valid leaves no order in which the components can be switched on one by one")
    weights: dict[str, dict[Coalition, float]] = {name: {} for name in names}
    for before in sets:
        for name in set(names) - before:
            after = before | {name}
            if share := up.get(before, 0) * down.get(after, 0) / orders:
                weights[name][after] = weights[name].get(after, 0.0) + share
                weights[name][before] = weights[name].get(before, 0.0) - share
    return weights


def _ways(names: tuple[str, ...], sets: set[Coalition], start: Coalition) -> dict[Coalition, int]:
    """Coalition -> in how many orders one comes to it from `start`, a component at a time."""
    found = {start: 1}
    for each in sorted(sets - {start}, key=lambda other: len(other ^ start)):
        found[each] = sum(found.get(each ^ {name}, 0) for name in names if (name in each) != (name in start))
    return found


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
    values = np.sum(parts, axis=0)
    fit = fit_mean(values, level, *parts)
    return MeanInterval(
        estimate=fit.estimate,
        low=fit.low,
        high=fit.high,
        level=level,
        method="Student t",
        n=len(values),
        unit=unit,
        scope=scope,
        warnings=fit.warnings,
        sd=fit.sd,
        se=fit.se,
        df=fit.df,
    )
