"""Planted truths get the right verdict, from the right cells, under the declared policy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from fairtrial.reporting.verdicts.sentences import title
from fairtrial.study.failure_policy import WORDS
from fairtrial.study.study import Contrast
from tests.reporting.judging import AT_4, BN, GN_WS, judged, planted


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
