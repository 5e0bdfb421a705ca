"""Captions, tables, fairness and reports name what each n counts."""

from __future__ import annotations

import numpy as np
import pytest

from fairtrial.reporting.report.study_report import build
from fairtrial.reporting.results import load
from fairtrial.reporting.results.arms import gather
from fairtrial.reporting.tables.fairness import fairness
from fairtrial.reporting.tables.outcome_tables import arm_table, contrast_table
from fairtrial.reporting.verdicts import aa_check, findings
from fairtrial.reporting.verdicts.captions import seeds
from fairtrial.reporting.verdicts.sentences import title
from fairtrial.study.study import Contrast
from tests.reporting.results.nested import OF_CHECKPOINT, OF_SUBSET, nested


def test_the_twin_counts_seeds_whatever_the_checkpoint(make_transfer, publish, noise):
    study = make_transfer(aa={"finetune": "full", "shots": 5})
    found = aa_check.compare(load.load(publish(study, lambda c: nested(c) + 0.01 * noise(c, "a"))))
    assert found.holds and found.interval.n == 15  # equal arms differ by their own draws alone


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
