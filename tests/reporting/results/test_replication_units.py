"""Where networks start from checkpoints, the checkpoint is what n counts, and every sentence says so."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from scipy import stats as scipy_stats

from fairtrial.reporting.report.study_report import build
from fairtrial.reporting.results import load
from fairtrial.reporting.results.arms import gather
from fairtrial.reporting.results.replication_units import unit_of
from fairtrial.reporting.tables.fairness import fairness
from fairtrial.reporting.tables.outcome_tables import arm_table, contrast_table
from fairtrial.reporting.verdicts import aa_check, findings
from fairtrial.reporting.verdicts.captions import seeds
from fairtrial.reporting.verdicts.sentences import sentence, title
from fairtrial.study.initial_checkpoint import FILE
from fairtrial.study.study import Contrast

OF_CHECKPOINT = (0.03, 0.0, -0.03)
OF_SUBSET = (-0.002, -0.001, 0.0, 0.001, 0.002)
TUNE = Contrast("transfer", {"finetune": "full"}, {"finetune": "scratch"}, {"shots": 5})


def judged(store, **options):
    results = load.load(store)
    found = findings.judge(results, **options)
    return found, [sentence(finding, results.study) for finding in found]


def nested(cell, gain=0.02):
    """Fine-tuning gains 2 points, give or take 3 by checkpoint and far less by subset; both average to 0."""
    if cell.settings.finetune == "scratch":
        return 0.5
    checkpoint = cell.seed % cell.settings.upstream_seeds
    return 0.5 + gain + OF_CHECKPOINT[checkpoint] + OF_SUBSET[cell.seed // 3 % 5]


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


def test_the_twin_counts_seeds_whatever_the_checkpoint(make_transfer, publish, noise):
    study = make_transfer(aa={"finetune": "full", "shots": 5})
    found = aa_check.compare(load.load(publish(study, lambda c: nested(c) + 0.01 * noise(c, "a"))))
    assert found.holds and found.interval.n == 15  # equal arms differ by their own draws alone


# captions, tables


def test_captions_say_what_each_n_counts(make_transfer, publish):
    results = load.load(publish(make_transfer(), nested))
    assert seeds(results) == (
        "n = 3 upstream checkpoints (15 few-shot subsets) for arms from checkpoints, the replication unit; "
        "n = 15 seeds for arms from scratch"
    )
    official = make_transfer(name="official", start={"upstream": "npz:BiT-M-R50x1"})
    assert seeds(load.load(publish(official, nested_once))) == (
        "n = 15 few-shot subsets for arms from one file, the replication unit; n = 15 seeds for arms from "
        "scratch; conditional on this checkpoint"
    )


def test_a_caption_sends_to_the_table_where_arms_have_other_checkpoints(make_transfer, publish):
    study = make_transfer(start={"upstream": "upstream"}, factors={"upstream_seeds": (2, 3)}, primary=())
    results = load.load(publish(study, lambda cell: 0.5 + cell.seed / 1000))
    assert seeds(results) == "n: see the table of arms"
    assert list(arm_table(results, partial=False).frame["n"]) == ["2", "3"]


def nested_once(cell):
    return 0.5 + OF_SUBSET[cell.seed % 5]


def test_an_incomplete_caption_counts_nothing_yet(make_transfer, publish):
    results = load.load(publish(make_transfer(), lambda cell: nested(cell) if cell.seed < 3 else None))
    assert seeds(results).startswith(
        "n: upstream checkpoints so far, of 3 upstream checkpoints (15 few-shot subsets)"
    )


def test_the_mean_of_an_arm_is_that_of_its_checkpoints(make_transfer, publish):
    results = load.load(publish(make_transfer(seeds=range(4)), nested))  # two seeds of the first checkpoint
    tuned = gather(results, ["finetune"], "test_acc", intervals=True)[0]
    first = np.mean([nested_acc(seed) for seed in (0, 3)])
    assert tuned.centre == pytest.approx(np.mean([first, nested_acc(1), nested_acc(2)]))
    assert tuned.mean.estimate == pytest.approx(tuned.centre) and (tuned.n, tuned.mean.n) == (3, 3)


def nested_acc(seed):
    return 0.52 + OF_CHECKPOINT[seed % 3] + OF_SUBSET[seed // 3]


def test_tables_name_the_unit_of_each_row(make_transfer, publish):
    results = load.load(publish(make_transfer(), nested))
    arms = arm_table(results, partial=False).frame
    assert list(zip(arms["n"], arms["n counts"], arms["runs"], strict=True)) == [
        ("3", "upstream checkpoint", "15"), ("3", "upstream checkpoint", "15"),
        ("15", "seed", "15"), ("15", "seed", "15"),
    ]  # fmt: skip
    contrasts = contrast_table(results, findings.judge(results))
    assert tuple(contrasts.frame.loc[0, ["n", "n counts", "pairs"]]) == ("3", "upstream checkpoint", "15")
    assert "averaged within each upstream checkpoint" in contrasts.caption


def test_tables_without_checkpoints_have_no_column_for_them(make_study, publish, noise):
    results = load.load(publish(make_study(), lambda cell: 0.8 + 0.01 * noise(cell, "acc")))
    assert "n counts" not in arm_table(results, partial=False).frame
    assert "n counts" not in contrast_table(results, findings.judge(results)).frame


def test_fairness_knows_the_checkpoint(make_transfer, publish):
    rows = fairness(load.load(publish(make_transfer(), nested))).frame.set_index("promise")
    assert tuple(rows.loc["same checkpoint"]) == (
        "yes",
        "3 of 3 checkpoints with one digest in all runs; 0 test images were among the upstream images",
    )
    assert (
        rows.loc["replication unit"]
        .iloc[1]
        .startswith("3 upstream checkpoints (15 few-shot subsets); each seed")
    )

    def swapped(cell):
        drawn = {"upstream": {"file": "w", "sha256": "other", "overlap": None}}
        return {"drawn": drawn} if cell.seed == 3 and cell.settings.finetune == "full" else nested(cell)

    rows = fairness(load.load(publish(make_transfer(name="swapped"), swapped))).frame.set_index("promise")
    assert rows.loc["same checkpoint"].iloc[0] == "NO"


def test_a_transfer_study_has_a_report_that_says_its_unit(make_transfer, publish):
    made = build(publish(make_transfer(), nested))
    text = made.path.with_suffix(".md").read_text().replace("\\", "")
    captions = [line for line in text.splitlines() if "Dots" in line]
    assert captions and all("n = 3 upstream checkpoints (15 few-shot subsets)" in line for line in captions)
    assert "network pre-trained (study upstream) or trained from scratch; not a BiT result" in text
    assert '"upstream_seeds"' in (made.path.parent / "verdicts.json").read_text()


@pytest.mark.parametrize(
    "at, by, says",
    [
        ({"finetune": "full"}, {}, "gn against bn when fine-tuned"),
        ({"finetune": "linear_probe", "shots": 5}, {}, "gn against bn with a linear probe at 5-shot"),
        ({"bn_mode": "frozen"}, {}, "gn against bn with BN frozen"),
        ({"upstream": "none"}, {}, "gn against bn without upstream"),
        ({"upstream": "file:a", "upstream_seeds": 1, "shots": 5}, {}, "gn against bn from file:a at 5-shot"),
        ({"upstream_seeds": 1}, {}, "gn against bn at 1 upstream seed"),
    ],
)
def test_places_read_as_prose(at, by, says):
    assert title(Contrast("c", {"norm": "gn"}, {"norm": "bn"}, at, by)) == says
