"""Shapley values against all orders, and what each component earns alone and last."""

from itertools import chain, combinations, permutations

import numpy as np
import pytest

from fairtrial.stats import shapley


def table(names, seeds=5, root=0):
    rng = np.random.default_rng(root)
    sets = chain.from_iterable(combinations(names, size) for size in range(len(names) + 1))
    return {frozenset(each): rng.normal(size=seeds) for each in sets}


def by_orders(cells, names):
    total, count = dict.fromkeys(names, 0.0), 0
    for order in permutations(names):
        path = [frozenset(order[:i]) for i in range(len(order) + 1)]
        count += 1
        for i, name in enumerate(order):
            total[name] = total[name] + cells[path[i + 1]] - cells[path[i]]
    return {name: value / count for name, value in total.items()}


@pytest.mark.parametrize("names", ["ab", "abc", "abcd"])
def test_shapley_is_the_mean_gain_over_all_orders_and_sums_to_full_minus_base(names):
    cells = table(names)
    got, want = shapley(cells), by_orders(cells, names)
    for name in names:
        assert got.shapley[name].estimate == pytest.approx(want[name].mean())
        assert got.shapley[name].sd == pytest.approx(want[name].std(ddof=1))
    assert sum(each.estimate for each in got.shapley.values()) == pytest.approx(got.estimate)


def test_loco_add_one_in_and_interaction_by_hand():
    got = shapley({frozenset(): 1.0, frozenset("a"): 2.0, frozenset("b"): 4.0, frozenset("ab"): 10.0})
    assert (got.loco["a"].estimate, got.add_one_in["a"].estimate, got.shapley["a"].estimate) == (6, 1, 3.5)
    assert got.interaction[frozenset("ab")].estimate == 5


def test_missing_coalitions_are_listed():
    cells = table("ab")
    del cells[frozenset("b")]
    with pytest.raises(ValueError, match=r"lacks the coalitions \{b\}"):
        shapley(cells)
