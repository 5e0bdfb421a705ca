"""Planted truths get the right verdict, from the right cells, under the declared policy."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from scipy import stats as scipy_stats

from fairtrial.reporting.results import load
from fairtrial.reporting.verdicts import findings
from fairtrial.reporting.verdicts.sentences import arms, grounds, sentence, title
from fairtrial.study.budget import Budget
from fairtrial.study.failure_policy import WORDS
from fairtrial.study.study import Contrast

GN_WS = {"norm": "gn", "weight_std": True}
BN = {"norm": "bn", "weight_std": False}
AT_4 = {"batch_size": 4}


def judged(store, **options):
    results = load.load(store)
    found = findings.judge(results, **options)
    return found, [sentence(finding, results.study) for finding in found]


def planted(noise, gain, sd=0.005):
    """gn+ws scores `gain` above everything else; seeds share a level, cells add a little of their own."""

    def outcome(cell):
        mine = gain if cell.levels["norm"] == "gn" and cell.levels["weight_std"] else 0.0
        return 0.8 + mine + 0.02 * math.sin(cell.seed) + sd * noise(cell, "acc") / math.sqrt(2)

    return outcome


@pytest.mark.parametrize(
    "gain, sd, word, says",
    [
        (0.05, 0.005, "better", "gn+ws beats bn at batch 4 by "),
        (-0.05, 0.005, "worse", "gn+ws loses to bn at batch 4 by "),
        (0.0, 0.003, "equivalent", "gn+ws and bn are equivalent at batch 4 within 1 point: "),
        (0.004, 0.001, "different_but_negligible", "a difference below the margin of ±1.0 points"),
        (0.005, 0.03, "inconclusive", "gn+ws and bn cannot be told apart at batch 4: "),
    ],
)
def test_a_planted_truth_gets_its_verdict_and_its_sentence(make_study, publish, noise, gain, sd, word, says):
    (finding,), (text,) = judged(publish(make_study(), planted(noise, gain, sd)))
    assert finding.verdict == word
    assert says in text
    assert "n = 10 paired seeds, equal examples" in text


def test_the_interval_and_p_agree_with_scipy_on_values_joined_by_seed(make_study, publish, noise):
    outcome = planted(noise, 0.05)
    study = make_study()
    (finding,), (text,) = judged(publish(study, outcome))
    arms = [
        [outcome(cell) for cell in study.cells() if cell.levels == levels and not cell.replica]
        for levels in (GN_WS | AT_4, BN | AT_4)
    ]
    test = scipy_stats.ttest_rel(*arms)
    low, high = test.confidence_interval(0.95)
    assert finding.interval.estimate == pytest.approx(np.mean(arms[0]) - np.mean(arms[1]))
    assert (finding.interval.low, finding.interval.high) == pytest.approx((low, high))
    assert finding.interval.p == pytest.approx(test.pvalue)
    assert f"[{100 * low:.1f}, {100 * high:.1f}]" in text


def test_a_worse_arm_is_told_in_the_direction_of_the_sentence(make_study, publish, noise):
    (finding,), (text,) = judged(publish(make_study(), planted(noise, -0.05)))
    low, high = 100 * finding.interval.low, 100 * finding.interval.high
    assert f"by {-100 * finding.interval.estimate:.1f} points [{-high:.1f}, {-low:.1f}]" in text


def test_an_interaction_is_the_difference_of_the_differences(make_study, publish, noise):
    def outcome(cell):  # weight standardization gives gn 14 points and bn 1
        gain = {"gn": 0.14, "bn": 0.01}[cell.levels["norm"]] if cell.levels["weight_std"] else 0.0
        return 0.75 + gain + 0.004 * noise(cell, "acc")

    contrast = Contrast(
        "WS repairs GN",
        {"weight_std": True},
        {"weight_std": False},
        {"batch_size": 64},
        {"norm": ("gn", "bn")},
    )
    (finding,), (text,) = judged(publish(make_study(primary=contrast), outcome))
    assert finding.verdict == "better"
    assert finding.interval.estimate == pytest.approx(0.13, abs=0.01)
    assert text.startswith('at one learning-rate rule, "WS repairs GN": weight standardization is worth 1')
    assert "points more with gn than with bn at batch 64 [" in text
    assert title(contrast) == "weight standardization at batch 64: gn against bn"


def test_an_interaction_that_turns_on_the_logit_scale_is_stamped(make_study, publish, noise):
    def outcome(cell):  # 60 -> 70 and 97 -> 99.5: fewer points, more logits
        low, high = {"gn": (0.6, 0.7), "bn": (0.97, 0.995)}[cell.levels["norm"]]
        return (high if cell.levels["weight_std"] else low) + 0.001 * noise(cell, "acc")

    contrast = Contrast("ceiling", {"weight_std": True}, {"weight_std": False}, by={"norm": ("gn", "bn")})
    (finding,), (text,) = judged(publish(make_study(primary=contrast), outcome))
    assert "scale-dependent: the sign turns on the logit scale" in finding.stamps
    assert "averaged over batch size" in text


def test_factors_that_a_contrast_does_not_name_are_averaged_within_a_seed(make_study, publish, noise):
    outcome = planted(noise, 0.02)
    study = make_study(primary=Contrast("norm", {"norm": "gn"}, {"norm": "bn"}))
    (finding,), (text,) = judged(publish(study, outcome))

    def mean(norm, seed):
        cells = [c for c in study.cells() if c.levels["norm"] == norm and c.seed == seed and not c.replica]
        assert len(cells) == 4
        return np.mean([outcome(cell) for cell in cells])

    expected = {seed: mean("gn", seed) - mean("bn", seed) for seed in range(10)}
    assert finding.differences == pytest.approx(expected)
    assert (
        text.startswith("at one learning-rate rule, gn beats bn by ")
        and "averaged over weight std and batch size" in text
    )


def test_a_shared_norm_is_part_of_both_names(make_study, publish, noise):
    contrast = Contrast("ws", {"weight_std": True}, {"weight_std": False}, {"norm": "gn", "batch_size": 4})
    _, (text,) = judged(publish(make_study(primary=contrast), planted(noise, 0.05)))
    assert text.startswith("at one learning-rate rule, gn+ws beats gn at batch 4 by ")


def test_a_lower_loss_is_better(make_study, publish, noise):
    def outcome(cell):
        better = cell.levels["norm"] == "gn" and cell.levels["weight_std"]
        return {"measured": {"test_loss": (0.2 if better else 0.4) + 0.01 * noise(cell, "loss")}}

    contrast = Contrast("loss", GN_WS, BN, AT_4, metric="test_loss", margin=0.02)
    (finding,), (text,) = judged(publish(make_study(primary=contrast), outcome))
    assert finding.verdict == "better" and finding.interval.estimate < 0
    assert (
        text.startswith("at one learning-rate rule, gn+ws beats bn at batch 4 by 0.")
        and "in test loss" in text
    )


def test_holm_runs_over_the_whole_declared_family(make_study, publish, noise):
    contrasts = [Contrast(f"at {b}", GN_WS, BN, {"batch_size": b}) for b in (4, 64)]
    other = Contrast("bn", {"weight_std": True}, {"weight_std": False}, {"norm": "bn", "batch_size": 4})
    found, texts = judged(
        publish(make_study(primary=tuple(contrasts), secondary=(other,)), planted(noise, 0.006))
    )
    raw = np.array([finding.interval.p for finding in found])
    order = np.argsort(raw)
    by_hand = np.empty(3)
    by_hand[order] = np.minimum(1, np.maximum.accumulate(raw[order] * [3, 2, 1]))
    assert [finding.step.adjusted_p for finding in found] == pytest.approx(by_hand.tolist())
    assert {finding.step.family for finding in found} == {3}
    assert all("Holm p" in text or "TOST p" in text for text in texts)
    assert all(finding.whisker.level == pytest.approx(1 - 0.05 / 3) for finding in found)


def test_failed_seeds_stay_in_n_and_score_chance(make_study, publish, noise):
    inner = planted(noise, 0.05)

    def outcome(cell):
        return "diverged" if cell.levels == BN | AT_4 and cell.seed in (2, 5, 7) else inner(cell)

    (finding,), (text,) = judged(publish(make_study(), outcome))
    assert finding.interval.n == 10
    assert finding.differences[2] > 0.6  # against chance, 0.1
    assert "3 of 10 seeds of bn, batch 4 diverged and score chance" in text
    (warning,) = [warning for warning in finding.warnings if warning.startswith("without the failed seeds")]
    assert warning.endswith("n = 7")


def test_chance_is_not_invented_where_no_run_counted_the_classes(make_study, publish):
    def outcome(cell):
        return {"status": "oom", "measured": {"classes": None}}

    (finding,), (text,) = judged(publish(make_study(oom="outcome"), outcome))
    assert finding.verdict == "refused" and "how many classes" in text


@pytest.mark.parametrize("status", ["error", "timeout", "oom"])
def test_a_broken_control_is_refused_and_beaten_by_nothing(make_study, publish, noise, status):
    inner = planted(noise, 0.05)
    store = publish(make_study(), lambda cell: status if cell.levels == BN | AT_4 else inner(cell))
    for partial in (False, True):
        (finding,), (text,) = judged(store, partial=partial)
        assert (finding.verdict, finding.interval) == ("refused", None) and "beats" not in text
        assert f"10 of 10 pairs missing: 10 runs of bn, batch 4 {WORDS[status]}" in text


def test_two_lost_pairs_of_ten_may_be_left_out_and_three_may_not(make_study, publish, noise):
    inner = planted(noise, 0.05)
    lost = publish(make_study(), lambda c: "error" if c.levels == BN | AT_4 and c.seed < 2 else inner(c))
    (finding,), (text,) = judged(lost)
    assert finding.verdict == "refused"
    assert "incomplete: 88 of 90 cells (2 runs broke and are missing)" in text
    (finding,), (text,) = judged(lost, partial=True)
    assert sorted(finding.differences) == list(range(2, 10)) and finding.verdict == "better"
    assert "2 of 10 pairs missing: 2 runs of bn, batch 4 broke" in text and "exploratory" in text
    publish(
        make_study(), lambda c: "timeout" if c.levels == GN_WS | AT_4 and c.seed == 4 else None, attempt=2
    )
    (finding,), _ = judged(lost, partial=True)
    assert finding.verdict == "better"  # what has ended stays, whatever is written after it


def test_over_a_fifth_of_the_pairs_lost_is_refused_even_of_a_partial_study(make_study, publish, noise):
    inner = planted(noise, 0.05)
    store = publish(make_study(), lambda c: "error" if c.levels == BN | AT_4 and c.seed < 3 else inner(c))
    (finding,), (text,) = judged(store, partial=True)
    assert finding.verdict == "refused" and "incomplete: 3 of 10 pairs lost, more than 20 %" in text


def test_a_study_of_memory_scores_out_of_memory_as_declared(make_study, publish, noise):
    inner = planted(noise, 0.05)
    store = publish(
        make_study(oom="outcome"), lambda c: "oom" if c.levels == BN | AT_4 and c.seed == 2 else inner(c)
    )
    assert store.declared()["declaration"]["oom"] == "outcome"
    (finding,), (text,) = judged(store)
    assert (
        finding.interval.n == 10 and "1 of 10 seeds of bn, batch 4 ran out of memory and score chance" in text
    )


def test_an_incomplete_study_has_no_verdict(make_study, publish, noise):
    inner = planted(noise, 0.05)
    store = publish(make_study(), lambda cell: inner(cell) if cell.seed < 4 else None)
    (finding,), (text,) = judged(store)
    assert (finding.verdict, finding.interval) == ("refused", None)
    assert text == "No verdict on gn+ws against bn at batch 4: incomplete: 36 of 90 cells."


def test_a_partial_look_uses_complete_pairs_and_is_stamped(make_study, publish, noise):
    inner = planted(noise, 0.05)

    def outcome(cell):
        missing = cell.seed >= 6 or (cell.seed == 5 and cell.levels == BN | AT_4)
        return None if missing else inner(cell)

    (finding,), (text,) = judged(publish(make_study(), outcome), partial=True)
    assert sorted(finding.differences) == [0, 1, 2, 3, 4]
    assert finding.verdict == "better"
    assert finding.stamps == ("exploratory", "5 of 10 seeds")
    assert text.endswith("(exploratory; 5 of 10 seeds).")


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
