"""Each arm keeps its colour; names do not overlap."""

from __future__ import annotations

from itertools import pairwise, product

import pytest

from analysis.style import looks, spread


def test_an_arm_looks_the_same_whoever_stands_beside_it():
    arms = [
        {"norm": norm, "weight_std": ws}
        for norm, ws in product(("bn", "gn", "ln", "in", "none"), (False, True))
    ]
    alone = [looks([arm])[0] for arm in arms]
    assert looks(arms) == alone == looks(arms[::-1])[::-1]
    assert len({look.color for look in alone}) == len({look.marker for look in alone}) == 10


def test_arms_that_share_a_norm_still_look_different():
    arms = [{"norm": "gn", "weight_std": True, "mixup": alpha} for alpha in (0.0, 0.1, 0.4)]
    assert len({look.color for look in looks(arms)}) == 3


@pytest.mark.parametrize("ends", [[1.0, 1.0, 1.0], [9.9, 10.0, 3.0], [0.0, 0.1, 0.2, 5.0], []])
def test_spread_keeps_the_order_the_gap_and_the_range(ends):
    moved = spread(ends, 1.0, (0.0, 10.0))
    assert sorted(range(len(ends)), key=lambda i: (ends[i], i)) == sorted(
        range(len(ends)), key=lambda i: moved[i]
    )
    assert all(b - a >= 1 - 1e-9 for a, b in pairwise(sorted(moved)))
    assert all(-1e-9 <= position <= 10 + 1e-9 for position in moved)


def test_names_that_have_room_stay_where_they_are():
    assert spread([2.0, 5.0, 8.0], 1.0, (0.0, 10.0)) == [2.0, 5.0, 8.0]
