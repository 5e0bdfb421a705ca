"""What a finding is refused for by its budgets, stamped with and warned of; the interval it prints."""

from __future__ import annotations

import re

import numpy as np
import pytest

from fairtrial.reporting.verdicts.sentences import arms, grounds
from fairtrial.study.budget import Budget
from fairtrial.study.study import Contrast
from tests.reporting.judging import AT_4, BN, GN_WS, judged, planted


def test_arms_with_unequal_budgets_are_refused(make_study, publish, noise):
    inner = planted(noise, 0.05)

    def outcome(cell):
        more = 3072 * 1.03 if cell.levels["norm"] == "gn" else 3072
        return {"measured": {"test_acc": inner(cell)}, "spent": {"examples": round(more)}}

    (finding,), (text,) = judged(publish(make_study(), outcome))
    assert finding.verdict == "refused"
    assert text.startswith("No verdict on gn+ws against bn at batch 4: 10 runs spent unlike the declared")
    assert "10 pairs of 10 differ in examples, by up to 2.99 %" in text


def test_a_small_gap_in_the_budget_is_told(make_study, publish, noise):
    inner = planted(noise, 0.05)

    def outcome(cell):
        more = 3072 * 1.01 if cell.levels["norm"] == "gn" else 3072
        return {"measured": {"test_acc": inner(cell)}, "spent": {"examples": round(more)}}

    _, (text,) = judged(publish(make_study(), outcome))
    assert "examples within 1 %" in text


def test_a_run_that_diverged_early_does_not_count_as_an_unequal_budget(make_study, publish, noise):
    inner = planted(noise, 0.05)

    def outcome(cell):
        if cell.seed == 3 and cell.levels == BN | AT_4:
            return {"status": "diverged", "spent": {"examples": 12, "steps": 3}}
        return inner(cell)

    (finding,), _ = judged(publish(make_study(), outcome))
    assert finding.gap == 0


def test_a_budget_in_seconds_is_compared_as_measured(make_study, publish, noise):
    inner = planted(noise, 0.05)

    def outcome(cell):
        seconds = 60.9 if cell.levels["norm"] == "gn" else 60.0
        return {"measured": {"test_acc": inner(cell)}, "spent": {"train_s": seconds}}

    (finding,), (text,) = judged(publish(make_study(budget=Budget(seconds=60)), outcome))
    assert finding.gap == pytest.approx(0.015)
    assert "seconds within 1.5 %" in text


def test_a_contrast_declared_after_a_look_is_exploratory(make_study, publish, noise):
    outcome = planted(noise, 0.05)
    publish(make_study(), outcome)
    later = Contrast("thought of later", GN_WS, BN, {"batch_size": 64})
    study = make_study()
    changed = make_study(primary=study.contrasts, secondary=(later,))
    found, _ = judged(publish(changed, outcome))
    assert ["exploratory" in finding.stamps for finding in found] == [False, True]


def test_an_exact_test_that_cannot_reject_says_so(make_study, publish, noise):
    (finding,), _ = judged(publish(make_study(seeds=range(5)), planted(noise, 0.05)))
    assert finding.verdict == "better"
    assert "the exact sign-flip test cannot reject at n = 5 and level 0.05" in finding.warnings


def test_an_exact_test_that_disagrees_is_a_warning(make_study, publish):
    values = [
        0.001,
        0.001,
        0.001,
        0.001,
        0.001,
        0.001,
        0.001,
        0.09,
    ]  # one seed carries it all: t is not impressed

    def outcome(cell):
        return 0.8 + (values[cell.seed] if cell.levels["norm"] == "gn" else 0.0)

    (finding,), _ = judged(publish(make_study(seeds=range(8)), outcome))
    assert any("unlike the t interval" in warning for warning in finding.warnings)


def test_two_seeds_give_points_and_no_interval(make_study, publish, noise):
    (finding,), (text,) = judged(publish(make_study(seeds=range(2)), planted(noise, 0.05)))
    assert finding.verdict == "inconclusive"
    assert "no interval: fewer than 3 replication units" in text and "[" not in text


def test_an_inconclusive_contrast_says_what_it_would_take(make_study, publish, noise):
    (finding,), (text,) = judged(publish(make_study(), planted(noise, 0.008, 0.03)))
    more, margin = finding.ruling.more, finding.ruling.more_margin
    effect = f"{abs(100 * finding.interval.estimate):.1f} points"
    for aim, wish in (
        (f"decide this effect ({effect}, power .8)", more),
        ("exclude the margin of ±1.0 points", margin),
    ):
        assert (
            f"to {aim} takes about {wish.more_plugin} to {wish.more_conservative} more seeds (up to " in text
        )
    assert "device-" in text
    per_seed = 9 * (2.0 + 0.45 + 0.1)  # nine arms, their mean training and evaluation seconds
    assert more.conservative_s == pytest.approx(more.more_conservative * per_seed)


def test_equal_values_everywhere_ask_whether_the_factor_is_used(make_study, publish):
    (finding,), (text,) = judged(publish(make_study(), lambda cell: 0.9))
    assert finding.verdict == "inconclusive"
    assert "is the factor consumed at all?" in text


def test_a_metric_that_was_not_recorded_is_named(make_study, publish):
    contrast = Contrast("val", GN_WS, BN, AT_4, metric="val_acc")
    store = publish(make_study(primary=contrast), lambda cell: {"measured": {"val_acc": None}})
    _, (text,) = judged(store)
    assert "val_acc was not recorded for gn+ws, batch 4" in text


def test_the_grounds_name_both_intervals(make_study, publish, noise):
    (finding,), _ = judged(publish(make_study(), planted(noise, 0.05)))
    assert grounds(finding).startswith("Decided by the 95 % interval [")
    assert "excludes 0" in grounds(finding) and "not inside the margin of ±1.0 points" in grounds(finding)


def _family(contrasts):
    return tuple(Contrast(f"at {b}", GN_WS, BN, {"batch_size": b}) for b in contrasts)


@pytest.mark.parametrize("gain", np.linspace(-0.02, 0.02, 9))
def test_the_printed_interval_is_the_one_that_decided(make_study, publish, noise, gain):
    """No "cannot be told apart" beside an interval without 0, no "beats" beside one that contains 0."""
    found, texts = judged(publish(make_study(primary=_family((4, 64))), planted(noise, float(gain), 0.02)))
    for finding, text in zip(found, texts, strict=True):
        low, high = map(float, re.search(r"\[(-?[\d.]+), (-?[\d.]+)\]", text).groups())
        level = re.search(r"\] \(([\d.]+) %\)", text)
        assert float(level[1] if level else 95) == pytest.approx(100 * finding.step.step_level, abs=0.005)
        assert finding.verdict in ("inconclusive", "better", "worse")
        assert (low <= 0 <= high) == (finding.verdict == "inconclusive")


def test_equivalence_goes_through_holm_and_prints_the_interval_of_its_step(make_study, publish, noise):
    found, texts = judged(publish(make_study(primary=_family((4, 64))), planted(noise, 0.0, 0.003)))
    assert {finding.verdict for finding in found} == {"equivalent"}
    assert sorted(f.equivalence_step.step for f in found) == [1, 2]
    for finding, text in zip(found, texts, strict=True):
        alpha = 0.05 / (3 - finding.equivalence_step.step)
        assert finding.ruling.equivalence_level == pytest.approx(1 - 2 * alpha)
        assert "Holm TOST p" in text
        assert (f"({100 - 200 * alpha:.4g} %)" in text) == (alpha != 0.025)


@pytest.mark.parametrize(
    ("lacking", "stamp"),
    [
        ("bn", "control not converged at this budget"),
        ("gn", "treatment not converged at this budget"),
        ("bn gn", "neither converged at this budget"),
        ("", None),
    ],
)
@pytest.mark.parametrize("sign", ["loss", "gain"])
def test_an_arm_that_was_hardly_trained_is_stamped(make_study, publish, noise, lacking, stamp, sign):
    inner = planted(noise, 0.05)

    def outcome(cell):
        ill, steps = cell.levels["norm"] in lacking.split(), 768
        rise = 0.02 if ill and sign == "gain" else 0.005
        curve = [[steps // 4, 0.5, 1.0], [3 * steps // 4, 0.8, 0.5], [steps, 0.8 + rise, 0.4]]
        loss = 1.2 if ill and sign == "loss" else 1.1  # half of ln(10) is 1.15
        measured = {"test_acc": inner(cell), "train_loss": loss, "val_curve": curve}
        return {"measured": measured, "spent": {"steps": steps}}

    (finding,), (text,) = judged(publish(make_study(), outcome))
    stamps = tuple(one for one in finding.stamps if "converged" in one)
    assert stamps == ((stamp,) if stamp else ())
    assert finding.verdict == "better" and (stamp or "gn+ws beats") in text


def test_images_per_statistic_are_no_part_of_the_name_of_a_norm_that_has_none():
    gn, bn = ({"norm": norm, "stat_batch": count} for norm, count in (("gn", 64), ("bn", 2)))
    assert arms(Contrast("few", gn, bn)) == ("gn", "bn, statistics batch 2", "")
    assert arms(Contrast("other way", bn, gn))[:2] == ("bn, statistics batch 2", "gn")
    counts = ({"stat_batch": count} for count in (2, 64))
    assert arms(Contrast("of BN", *counts, {"norm": "bn"}))[:2] == (
        "statistics batch 2",
        "statistics batch 64",
    )
