"""Chains of contrasts that change one factor at a time: found, drawn and told, or nothing."""

from __future__ import annotations

import pytest

from fairtrial.reporting.figures.ladder_figure import ladder_figure
from fairtrial.reporting.results import load as table
from fairtrial.reporting.tables.ladder_table import ladder_tables
from fairtrial.reporting.verdicts.ladder_steps import ladder, rung_names
from fairtrial.reporting.verdicts.study_verdicts import judge_results
from fairtrial.study.loader import find, load
from fairtrial.study.study import Contrast
from tests.reporting.judging import truth

FACTORS = {"norm": ("bn", "gn"), "weight_std": (False, True), "mixup": (0.0, 0.1)}
FIRST = {"norm": "bn", "weight_std": False, "mixup": 0.0}
GN = FIRST | {"norm": "gn"}
WS = GN | {"weight_std": True}
LAST = WS | {"mixup": 0.1}
STEPS = (Contrast("gn", GN, FIRST), Contrast("ws", WS, GN), Contrast("mixup", LAST, WS))
WITHOUT = (
    Contrast("no gn", LAST, LAST | {"norm": "bn"}),
    Contrast("no ws", {"weight_std": True}, {"weight_std": False}, at={"norm": "gn", "mixup": 0.1}),
)


@pytest.fixture
def study(make_study):
    def make(primary=STEPS, secondary=WITHOUT, **options):
        options = {"factors": FACTORS, "aa": LAST, "fixed": {"batch_size": 4}, **options}
        return make_study(primary=primary, secondary=secondary, **options)

    return make


def test_the_chain_and_what_is_left_out_of_its_end_are_found(study):
    found = ladder(study())
    assert list(found.rungs) == [FIRST, GN, WS, LAST]
    assert [(step.factor, step.added, step.left_out) for step in found.steps] == [
        ("norm", 0, 3),
        ("weight_std", 1, 4),  # declared by `at`, the same contrast
        ("mixup", 2, 2),  # the last step, left out, is the step itself
    ]
    assert rung_names(found) == ["bn, mixup off", "+ gn", "+ ws", "+ mixup 0.1"]


def test_the_order_of_the_contrasts_does_not_matter(study):
    turned = study(primary=STEPS[::-1], secondary=WITHOUT[::-1])
    assert list(ladder(turned).rungs) == [FIRST, GN, WS, LAST]
    assert [(step.added, step.left_out) for step in ladder(turned).steps] == [(2, 4), (1, 3), (0, 0)]


@pytest.mark.parametrize(
    "primary",
    [
        STEPS[:2],
        (STEPS[0], STEPS[2]),
        (*STEPS[:2], Contrast("two at once", LAST, GN)),
        (*STEPS[:2], Contrast("averaged", {"mixup": 0.1}, {"mixup": 0.0})),
    ],
    ids=["two steps", "a gap", "two factors at once", "over several arms"],
)
def test_what_is_no_chain_of_three_is_no_ladder(study, primary):
    made = study(primary=primary, secondary=())
    assert ladder(made) is None


def test_two_chains_of_one_length_are_none(study):
    other = (Contrast("mixup first", GN | {"mixup": 0.1}, GN), Contrast("then ws", LAST, GN | {"mixup": 0.1}))
    assert ladder(study(primary=(*STEPS, *other), secondary=())) is None


def test_each_step_earns_what_it_was_given(study, publish, noise):
    made = study()
    results = table.load(publish(made, lambda cell: truth(cell, noise)))
    (told,) = ladder_tables(judge_results(results))
    rows = told.frame.to_dict("records")
    assert [row["added"].split(" ")[0] for row in rows] == ["", "4.0", "4.0", "-2.0"]
    assert [row["left out of the last"].split(" ")[0] for row in rows] == ["", "7.0", "4.0", "-2.0"]
    assert [row["verdict"] for row in rows] == ["", "better", "better", "worse"]
    mean = sum(made.seeds) / len(made.seeds) / 10  # points
    assert float(rows[2]["test accuracy, %"]) == pytest.approx(58 + mean, abs=0.06)
    ((name, caption, figure),) = ladder_figure(judge_results(results))
    assert name == "ladder"
    assert "left out of the last rung" in caption and f"n = {len(made.seeds)}" in caption
    left, right = figure.axes
    assert [tick.get_text() for tick in left.get_yticklabels()] == rung_names(ladder(made))
    drawn = [
        line.get_xdata()[0] for line in right.lines if line.get_marker() in "Do" and line.get_zorder() == 3.5
    ]
    assert drawn == pytest.approx([4, 7, 4, 4, -2], abs=0.01)


def test_an_incomplete_ladder_has_no_interval(study, publish, noise):
    made = study()
    last = made.seeds[-1]
    results = table.load(publish(made, lambda cell: None if cell.seed == last else truth(cell, noise)))
    (told,) = ladder_tables(judge_results(results))
    assert not any("[" in row["added"] for row in told.frame.to_dict("records"))
    ((_, caption, _),) = ladder_figure(judge_results(results))
    assert "no intervals" in caption


def test_the_study_that_ships_is_a_ladder_and_no_other():
    found = ladder(load(find("ladder")))
    assert [step.factor for step in found.steps] == [
        "stride_on",
        "block",
        "norm",
        "weight_std",
        "head",
        "model",
    ]
    assert all(step.left_out is not None for step in found.steps)
    assert ladder(load(find("components"))) is None
