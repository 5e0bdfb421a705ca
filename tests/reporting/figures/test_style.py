"""Each arm keeps its colour; names do not overlap."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fairtrial.reporting.figures.figure_files import styled
from fairtrial.reporting.figures.style import looks, spread


@pytest.mark.parametrize("weight", ["normal", "bold"])
def test_a_text_is_as_wide_in_every_format_as_where_it_was_laid_out(weight):
    with styled():
        widths = []
        for dpi in (72, 100, 200, 800):  # of svg and pdf, of the layout, of png, and nearly exact
            figure = Figure(dpi=dpi)
            renderer = FigureCanvasAgg(figure).get_renderer()
            text = figure.text(0, 0, "batch matters more to BN", fontweight=weight)
            widths.append(text.get_window_extent(renderer).width / dpi)
    assert widths == pytest.approx([widths[-1]] * 4, rel=0.005)  # a hinted text: 5 % too narrow at 100


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


def test_ways_of_tuning_are_variants_of_their_arm_and_the_same_everywhere():
    arms = [
        {"norm": "gn", "weight_std": True, "finetune": tune}
        for tune in ("full", "linear_probe", "scratch", "last")
    ]
    full, probe, scratch, _ = found = looks(arms)
    assert full == looks([{"norm": "gn", "weight_std": True}])[0]
    assert len({look.color for look in found}) == len({look.dash for look in found}) == 4
    assert {look.marker for look in found} == {full.marker} and probe != full
    assert looks([arms[2], arms[0]]) == [scratch, full]
    assert {look.name_color for look in found} == {full.color}  # a name is written in the colour of its arm


def test_no_upstream_looks_like_training_from_scratch():
    arm = {"norm": "gn", "weight_std": True}
    none, first, second = looks([arm | {"upstream": each} for each in ("none", "upstream", "upstream-mini")])
    assert none == looks([arm | {"finetune": "scratch"}])[0]
    assert first == looks([arm])[0] and second not in (none, first)


def test_more_arms_than_variants_get_looks_of_their_own():
    arms = [{"norm": "gn", "weight_std": True, "lr": lr} for lr in (0.01, 0.02, 0.05, 0.1, 0.2)]
    assert len({(look.color, look.marker) for look in looks(arms)}) == 5


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
