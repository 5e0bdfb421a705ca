"""Budget parity and fairness are read from the records, and bad news is not hidden."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fairtrial.norm_table import BLOCK_TABLE
from fairtrial.reporting.results import load
from fairtrial.reporting.tables.budget_parity import parity
from fairtrial.reporting.tables.fairness import fairness


def row(frame, arm):
    return frame[frame.iloc[:, 0] == arm].iloc[0]


def test_each_arm_has_a_row_and_each_column_its_largest_gap(make_study, publish):
    def outcome(cell):
        return {"spent": {"train_s": 3.0 if cell.levels["norm"] == "gn" else 2.0}}

    made = parity(load.load(publish(make_study(), outcome)))
    assert len(made.frame) == 8 + 1 + 1  # arms, the A/A arm, the gaps
    gaps = row(made.frame, "largest gap")
    assert (gaps["examples"], gaps["training s"]) == ("0 %", "50 %")
    assert gaps["steps"] == "x16"  # 768 against 48
    assert made.marked == () and "within the 2 % that a verdict allows" in made.caption
    assert "joules" not in made.frame.columns  # no counter, no column


def test_a_declared_budget_that_differs_is_marked(make_study, publish):
    def outcome(cell):
        return {"spent": {"examples": 3200 if cell.levels["norm"] == "gn" else 3072}}

    made = parity(load.load(publish(make_study(), outcome)))
    assert made.marked == ("examples",) and "such contrasts are refused" in made.caption


def test_failures_have_a_rate_with_its_interval(make_study, publish):
    def outcome(cell):
        return "diverged" if cell.seed in (1, 2) and cell.arm == "bn, batch 4" else 0.9

    frame = parity(load.load(publish(make_study(), outcome))).frame
    assert tuple(row(frame, "bn, batch 4")[["seeds", "failed", "failed, 95 %"]]) == (
        "10",
        "2/10",
        "3 to 56 %",
    )
    assert row(frame, "gn, batch 4")["failed"] == "0/10"


def test_a_fair_study_shows_that_it_is(make_study, publish):
    frame = fairness(load.load(publish(make_study(), lambda cell: 0.9))).frame
    assert "NO" not in set(frame["holds"])
    assert "digests cannot be compared" in row(frame, "same start").iloc[2]
    assert "in 10 of 10 blocks" in row(frame, "same images").iloc[2]


@pytest.mark.parametrize(
    "promise, part, unfair",
    [
        ("same images", "drawn", {"subset": "another"}),
        ("same order", "drawn", {"order": "another"}),
        ("same start", "drawn", {"init": "another"}),
        ("test set", "measured", {"test_reads": 2}),
        ("budget", "spent", {"examples": 4000}),
        ("one machine", "origin", {"torch": "9.9"}),
    ],
)
def test_each_broken_promise_is_seen(make_study, publish, promise, part, unfair):
    def outcome(cell):
        return {part: unfair} if cell.arm == "gn+ws, batch 4" and cell.seed == 4 else 0.9

    frame = fairness(load.load(publish(make_study(), outcome))).frame
    assert row(frame, promise)["holds"] == "NO"
    assert list(frame["holds"]).count("NO") == 1


@pytest.mark.parametrize(("factor", "levels"), [("head", ("drawn", "zero")), ("block", tuple(BLOCK_TABLE))])
def test_networks_of_another_shape_or_head_are_not_held_against_each_other(
    make_study, publish, factor, levels
):
    def outcome(cell):
        init = f"{cell.settings.norm} {getattr(cell.settings, factor)} {cell.seed}"
        return {"drawn": {"init": "another" if spoiled and cell.arm.startswith("gn+ws, ") else init}}

    factors = {"norm": ("bn", "gn"), "weight_std": (False, True), factor: levels}
    made = make_study(factors=factors, primary=(), aa=None)
    results = []
    for spoiled in (False, True):
        again = replace(made, name=f"again-{spoiled}".lower())
        results.append(fairness(load.load(publish(again, outcome))).frame)
    assert [row(frame, "same start")["holds"] for frame in results] == ["yes", "NO"]


def test_arms_from_checkpoints_are_not_said_to_start_alike(make_transfer, publish):
    """Each arm of a study of norms starts from a checkpoint of its own: none of 50 blocks was equal."""
    told = []
    for norms in (("bn", "gn"), ("bn",)):
        study = make_transfer(name=f"of-{len(norms)}", factors={"norm": norms, "shots": (1, 5)}, primary=())
        store = publish(study, lambda cell: 0.9)
        told.append(row(fairness(load.load(store)).frame, "same start").iloc[2])
    alike = "arms that start from one checkpoint have equal weights in "
    assert all(shown.startswith(alike) for shown in told) and "digests" not in "".join(told)
    assert [shown.endswith("start from checkpoints of their own") for shown in told] == [True, False]
