"""Where networks start from checkpoints, the checkpoint is what n counts, and every sentence says so."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from scipy import stats as scipy_stats

from fairtrial.reporting.report.study_report import build
from fairtrial.reporting.results import load
from fairtrial.reporting.results.replication_units import unit_of
from fairtrial.reporting.verdicts import findings
from fairtrial.reporting.verdicts.sentences import sentence
from fairtrial.study.initial_checkpoint import FILE
from fairtrial.study.study import Contrast
from tests.reporting.judging import judged
from tests.reporting.results.nested import OF_CHECKPOINT, nested


def test_differences_are_averaged_within_each_checkpoint_first(make_transfer, publish):
    (finding,), (text,) = judged(publish(make_transfer(), nested))
    half = 4.302653 * 0.03 / math.sqrt(3)  # t(.975, 2) on the three means 5, 2 and -1 points
    assert (finding.interval.low, finding.interval.high) == pytest.approx(
        (0.02 - half, 0.02 + half), abs=1e-6
    )
    assert (finding.interval.n, finding.interval.df, finding.interval.unit) == (3, 2, "upstream checkpoint")
    assert finding.interval.p == pytest.approx(1 - 1.1547005 / math.sqrt(1.1547005**2 + 2), abs=1e-6)
    assert finding.verdict == "inconclusive"
    assert text.startswith(
        "at one learning-rate rule, fine-tuned and from scratch cannot be told apart at 5-shot: "
        "2.0 points [-5.5, 9.5], n = 3 upstream checkpoints (15 few-shot subsets), equal examples, "
        "p = 0.37; to decide "
    )


def test_the_naive_interval_would_have_claimed_it(make_transfer, publish):
    (finding,), _ = judged(publish(make_transfer(), nested))
    naive = scipy_stats.ttest_1samp(list(finding.differences.values()), 0)
    assert len(finding.differences) == 15 and naive.pvalue < 0.01
    assert finding.interval.p > 0.3


def test_every_statistic_of_a_verdict_counts_checkpoints(make_transfer, publish):
    (finding,), _ = judged(publish(make_transfer(), nested))
    for each in (finding.interval, finding.whisker, finding.flip, finding.equivalence, finding.ruling):
        assert (each.n, each.unit) == (3, "upstream checkpoint")
    assert finding.effect == pytest.approx(0.02 / 0.03 * 0.5641896, abs=1e-6)  # J(2) = 1 / sqrt(pi)
    assert finding.flip.smallest_p == 0.25
    assert any("cannot reject at n = 3" in warning for warning in finding.warnings)
    assert finding.n == 3


def test_more_seeds_are_more_checkpoints(make_transfer, publish):
    results = load.load(publish(make_transfer(), nested))
    (finding,) = findings.judge(results)
    text = sentence(finding, results.study)
    assert re.search(
        r"takes about \d+ to \d+ more upstream checkpoints \(up to .+, and their pre-training\)", text
    )
    more = finding.ruling.more
    assert more.conservative_s == pytest.approx(
        more.more_conservative * 5 * results.block_s
    )  # five subsets each
    assert "more upstream checkpoints" in finding.reason and "more seeds" not in finding.reason


def test_few_checkpoints_that_agree_decide(make_transfer, publish):
    def outcome(cell):
        return nested(cell, 0.2) - OF_CHECKPOINT[cell.seed % 3] * (cell.settings.finetune == "full") * 0.9

    (finding,), (text,) = judged(publish(make_transfer(), outcome))
    assert finding.verdict == "better" and finding.stamps == ()
    assert "fine-tuned beats from scratch at 5-shot by 20.0 points" in text
    assert "n = 3 upstream checkpoints (15 few-shot subsets)" in text


def test_an_interaction_counts_checkpoints_too(make_transfer, publish):
    contrast = Contrast("fewer shots", {"finetune": "full"}, {"finetune": "scratch"}, by={"shots": (1, 5)})

    def outcome(cell):
        return nested(cell) + (0.1 if cell.levels == {"finetune": "full", "shots": 1} else 0.0) * (
            1 + cell.seed % 3
        )

    (finding,), (text,) = judged(publish(make_transfer(primary=contrast), outcome))
    assert finding.interval.n == 3
    assert finding.interval.estimate == pytest.approx(0.2)  # 10, 20 and 30 points
    assert finding.interval.sd == pytest.approx(0.1)
    assert "fine-tuned instead of from scratch" in text and "n = 3 upstream checkpoints" in text


def test_arms_from_scratch_alone_count_seeds(make_transfer, publish, noise):
    contrast = Contrast("norm", {"norm": "gn"}, {"norm": "bn"}, {"finetune": "scratch"})
    study = make_transfer(factors={"finetune": ("full", "scratch"), "norm": ("bn", "gn")}, primary=contrast)
    (finding,), (text,) = judged(publish(study, lambda cell: 0.5 + 0.01 * noise(cell, "acc")))
    assert (finding.interval.n, finding.interval.unit) == (15, "seed")
    assert "n = 15 paired seeds" in text and "from scratch" in text


def test_unequal_upstream_seeds_are_refused(make_transfer, publish):
    contrast = Contrast("more", {"upstream_seeds": 3}, {"upstream_seeds": 2}, {"shots": 5})
    study = make_transfer(
        start={"upstream": "upstream"}, factors={"upstream_seeds": (2, 3), "shots": (1, 5)}, primary=contrast
    )
    (finding,), (text,) = judged(publish(study, lambda cell: 0.5 + cell.seed / 1000))
    assert (finding.verdict, finding.interval) == ("refused", None)
    assert text == (
        "No verdict on 3 upstream seeds against 2 upstream seeds at 5-shot: at seed 2 its cells start from "
        "different upstream seeds (0 and 2): not paired."
    )


def test_the_record_is_believed_before_the_settings(make_transfer, publish):
    def outcome(cell):
        moved = cell.seed == 4 and cell.settings.finetune == "full"
        return {"measured": {"test_acc": nested(cell)}, **({"upstream_seed": 2} if moved else {})}

    results = load.load(publish(make_transfer(), outcome))
    assert unit_of(results, results.where({"finetune": "full", "shots": 5})).groups[4] == 2


def test_a_failed_run_keeps_the_checkpoint_it_was_to_start_from(make_transfer, publish):
    def outcome(cell):
        failed = cell.seed == 7 and cell.settings.finetune == "full"
        return {"status": "oom", "drawn": {"upstream": None}} if failed else nested(cell)

    results = load.load(publish(make_transfer(), outcome))
    frame = results.frame.assign(upstream_seed=results.frame["upstream_seed"])
    assert set(frame[(frame["seed"] == 7) & (frame["finetune"] == "full")]["upstream_seed"]) == {1}
    (finding,), (text,) = judged(publish(make_transfer(oom="outcome"), outcome))
    assert finding.interval.n == 3 and "1 of 15 runs of fine-tuned, 5-shot ran out of memory" in text


@pytest.mark.parametrize(
    "start",
    [
        {"upstream": "upstream", "upstream_seeds": 1},
        {"upstream": "npz:BiT-M-R50x1"},
        {"upstream": "torchvision", "model": "torchvision:resnet18", "norm": "bn", "weight_std": False},
    ],
)
def test_one_checkpoint_gives_a_conditional_verdict_over_subsets(make_transfer, publish, noise, start):
    def outcome(cell):
        return 0.5 + 0.1 * (cell.settings.finetune == "full") + 0.01 * noise(cell, "acc")

    (finding,), (text,) = judged(publish(make_transfer(start=start), outcome))
    assert (finding.interval.n, finding.interval.unit) == (15, "few-shot subset")
    assert finding.stamps == ("conditional on this checkpoint",)
    assert "n = 15 paired few-shot subsets, equal examples" in text
    assert text.endswith(" (conditional on this checkpoint).")


def test_a_file_beside_own_checkpoints_is_conditional_on_the_file(make_transfer, publish):
    results = load.load(publish(make_transfer(), nested))
    file = results.where({"finetune": "scratch"}).assign(start=FILE, upstream_seed=0)
    unit = unit_of(results, results.where({"finetune": "full"}), file)
    assert (unit.name, unit.planned, unit.checkpoints) == ("upstream checkpoint", 3, 1)


@pytest.mark.parametrize("published", [True, False])
def test_no_further_checkpoint_is_asked_of_a_published_file(make_transfer, publish, noise, published):
    """The other side has several: advice for it alone can be followed."""
    ours = {"upstream": "upstream", "upstream_seeds": 3}
    other = {"upstream": "file:a", "upstream_seeds": 1} if published else ours | {"upstream": "else"}
    names = {name: tuple(dict.fromkeys((ours[name], other[name]))) for name in ours}
    swept = {name: levels for name, levels in names.items() if len(levels) > 1}
    treatment, control = ({name: side[name] for name in swept} for side in (ours, other))
    study = make_transfer(
        start={"shots": 5} | {name: levels[0] for name, levels in names.items() if name not in swept},
        factors=swept,
        only=(treatment, control),
        primary=(Contrast("start", treatment, control),),
    )
    (finding,), (text,) = judged(publish(study, lambda cell: 0.8 + 0.01 * noise(cell, "acc")))
    assert finding.unit.beside_a_file == published
    asked = " more upstream checkpoints"
    several = " of the arms that have several, each with another few-shot subset for all arms"
    assert f"{asked}{several if published else ''} (up to " in text
    assert (several in text) == published


def test_two_checkpoints_give_points_and_no_interval(make_transfer, publish):
    study = make_transfer(start={"upstream": "upstream", "upstream_seeds": 2}, seeds=range(8))
    (finding,), (text,) = judged(publish(study, nested))
    assert finding.verdict == "inconclusive" and not math.isfinite(finding.interval.low)
    assert "n = 2 upstream checkpoints (8 few-shot subsets)" in text
    assert "no interval: fewer than 3 replication units" in text
    assert "conditional on these checkpoints" in text


def test_a_partial_look_says_how_many_of_both(make_transfer, publish):
    store = publish(make_transfer(), lambda cell: nested(cell) if cell.seed < 7 else None)
    (finding,), (text,) = judged(store, partial=True)
    assert finding.stamps == ("exploratory", "7 of 15 few-shot subsets")
    assert "n = 3 upstream checkpoints (7 few-shot subsets)" in text
    by_hand = [np.mean([finding.differences[seed] for seed in range(7) if seed % 3 == u]) for u in range(3)]
    assert finding.interval.estimate == pytest.approx(np.mean(by_hand))
    store = publish(make_transfer(name="fewer"), lambda cell: nested(cell) if cell.seed < 2 else None)
    (finding,), _ = judged(store, partial=True)
    assert finding.stamps[1:] == ("2 of 3 upstream checkpoints", "2 of 15 few-shot subsets")


@pytest.mark.parametrize(
    "images, says",
    [
        (1, "1 test image was among the upstream images"),
        (12, "12 test images were among the upstream images"),
    ],
)
def test_test_images_seen_upstream_are_stamped(make_transfer, publish, images, says):
    def outcome(cell):
        seen = cell.seed == 3 and cell.settings.finetune == "full"
        digest = f"{cell.settings.norm} {cell.upstream_seed}"  # of this checkpoint in every run
        drawn = {"upstream": {"file": "w", "sha256": digest, "overlap": images if seen else None}}
        return {"measured": {"test_acc": nested(cell)}, **({"drawn": drawn} if seen else {})}

    (finding,), (text,) = judged(store := publish(make_transfer(), outcome))
    assert finding.stamps == (says,) and text.endswith(f" ({says}).")
    assert says in build(store).warnings


def test_subsets_are_named_after_their_size(make_transfer, publish):
    def named(*shots):
        study = make_transfer(
            factors={"finetune": ("full", "scratch"), "shots": shots}, primary=(), seeds=range(6)
        )
        return unit_of(results := load.load(publish(study, nested)), results.frame).inner

    assert [named(1, 100), named(100, 2000), named(1, "all")] == ["few-shot subset", "subset", "seed"]
