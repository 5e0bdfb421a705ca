"""The main table: each fine-tuned arm with its unit, and the published rows that stand beside it."""

from __future__ import annotations

import statistics
from pathlib import Path

import pandas as pd
import pytest

from fairtrial.reporting.claims import published
from fairtrial.reporting.figures.figure_files import RenderedFigure
from fairtrial.reporting.report.figure_registry import report_items, tabulate_study
from fairtrial.reporting.report.missing_items import Drawings, cover
from fairtrial.reporting.report.recorded_studies import RecordedStudy
from fairtrial.reporting.tables.main_table import main_tables
from fairtrial.reporting.tables.table import Table
from fairtrial.reporting.verdicts.study_verdicts import judge_study

UP = {"upstream": "upstream", "upstream_seeds": 3}


@pytest.fixture
def made(make_transfer, publish):
    """The verdicts of a transfer study."""

    def make(data="digits", start=UP, **changed):
        study = make_transfer(start={**start, "data": data}, primary=(), **changed)
        return judge_study(publish(study, accuracy))

    return make


def accuracy(cell):
    """A point from checkpoint to checkpoint; subsets are skewed, so that median and mean differ."""
    return 0.5 + 0.01 * (cell.seed % 3) + 0.002 * (cell.seed // 3) ** 2


def frame_of(verdicts):
    (table,) = main_tables(verdicts)
    ours = table.frame[table.frame["source"].str.startswith("measured here")]
    return ours, table.frame[len(ours) :], table.caption


def test_an_arm_has_the_median_of_its_runs_and_the_interval_of_its_checkpoints(made):
    ours, quoted, caption = frame_of(made())
    assert ours["images per class"].tolist() == ["1", "5"] and len(quoted) == 0  # no row from scratch
    row = ours.iloc[0]
    runs = [0.5 + 0.01 * (seed % 3) + 0.002 * (seed // 3) ** 2 for seed in range(15)]
    assert row["accuracy, %"] == f"{100 * statistics.median(runs):.1f}" == "52.0"
    assert row["accuracy is"] == "median of 15 runs"
    assert row["lowest to highest run, %"] == "50.0 to 55.2"
    # 0.002 * (0 + 1 + 4 + 9 + 16) / 5 = .012 above .50, .51 and .52: mean 52.2, sd 1.0
    assert (row["mean over n, %"], row["sd over n, points"], row["n"]) == ("52.2", "1.0", "3")
    half = 4.302653 * 1.0 / 3**0.5
    assert row["95 % t interval of the mean, %"] == f"{52.2 - half:.1f} to {52.2 + half:.1f}"
    assert (row["downstream"], row["arm"]) == ("digits", "mini, gn+ws, fine-tuned, 1-shot")
    assert row["n counts"] == "upstream checkpoint" and row["upstream"] == "upstream"
    assert "n = 3 upstream checkpoints (15 few-shot subsets), the replication unit" in caption
    assert "ublished" not in caption


def test_published_rows_are_those_of_the_same_images_at_shots_of_the_study(made):
    ours, quoted, caption = frame_of(
        made("cifar10", factors={"finetune": ("full", "scratch"), "shots": (5, 10)})
    )
    assert len(ours) == 2 and set(quoted["downstream"]) == {"cifar10"}
    assert quoted["source"].str.startswith("published: ").all()
    assert set(quoted["images per class"]) == {"all", "5", "10"}
    values = {
        str(row["value"])
        for row in published.rows(metric="top1_pct", downstream="cifar10")
        if row["setting"].get("shots") in (5, 10)
    }
    assert values <= set(quoted["accuracy, %"]) and "99.37" in set(quoted["accuracy, %"])
    whole = quoted[quoted["images per class"] == "all"]
    assert whole["source"].tolist() == ["published: BiT, Table 1", *["published: BiT, Table 2"] * 2]
    few = quoted[quoted["images per class"] == "5"]
    assert set(few["source"]) == {
        f"published: README, CIFAR few-shot and full, {name}" for name in ("tf2", "jax", "pytorch")
    }
    assert whole["accuracy is"].tolist() == ["median of 3 runs", "not said", "not said"]
    assert set(few["accuracy is"]) == {"median of >=5 runs"}
    assert whole["sd over runs, points"].tolist() == ["0.06", "", ""]
    assert "SOTA" not in " ".join(quoted["arm"])
    assert not quoted.loc[:, "failed runs":].any().any()  # what only our rows have
    assert not ours["sd over runs, points"].any() and set(ours["source"]) == {"measured here, scaled down"}
    assert "Ours is scaled down" in caption and "where it is not said what a value is" in caption


def test_a_copy_of_the_images_as_parquet_is_the_same_downstream_set(made):
    ours, quoted, _ = frame_of(made("parquet:/data/cifar100"))
    assert set(ours["downstream"]) == set(quoted["downstream"]) == {"cifar100"}


def test_who_sees_only_the_table_reads_unit_statistic_and_scale_of_each_column(made):
    """It had `median`, `95 % low` and `sd`, of runs in one row and of checkpoints in the next."""
    ours, quoted, _ = frame_of(made("cifar10"))
    numbers = [name for name in ours if ours[name].str.fullmatch(r"[\d.]+( to [\d.]+)?").all()]
    plain = {"images per class", "failed runs", "n"}
    assert plain < set(numbers) and len(numbers) > 6
    assert all(name.endswith((", %", ", points")) for name in {*numbers, *quoted} - plain if "of" in name)
    assert {name for name in quoted if "sd" in name} == {"sd over runs, points", "sd over n, points"}
    assert pd.concat([ours["arm"], quoted["arm"]]).is_unique  # names a row in every group of columns
    assert all((quoted[name] != "").any() or (ours[name] != "").any() for name in quoted)
    (alone,) = main_tables(made())  # digits: nothing is published
    assert "sd over runs, points" not in alone.frame


def test_every_quoted_row_was_verified(made):
    verified = {(str(row["value"]), row["table"]) for row in published.rows()}
    _, quoted, _ = frame_of(made("cifar10"))
    for row in quoted.to_dict("records"):
        assert any(row["accuracy, %"] == value and table in row["source"] for value, table in verified)


def test_arms_that_start_from_a_file_of_bit_are_not_all_called_scaled_down(made):
    start = {"upstream": "BiT-M-R50x1", "model": "r50x1", "resolution": 128}
    ours, _, caption = frame_of(made("cifar10", start=start))
    assert set(ours["source"]) == {"measured here"}
    assert set(ours["upstream"]) == {"BiT-M-R50x1"} and ours["arm"].str.startswith("R50x1, ").all()
    assert "An arm of another network, upstream file or recipe is scaled down" in caption
    assert set(ours["n counts"]) == {"few-shot subset"} and "conditional on this checkpoint" in caption


def test_without_a_checkpoint_or_a_fine_tuned_arm_there_is_no_table(make_study, made, publish):
    scratch = make_study(factors={"norm": ("bn", "gn")}, primary=(), aa=None, seeds=range(3), name="scratch")
    assert main_tables(judge_study(publish(scratch, accuracy))) == []
    probes = made(factors={"finetune": ("linear_probe", "last"), "shots": (1, 5)})
    assert main_tables(probes) == []


def test_the_report_over_all_studies_shows_it_and_says_of_which_study(made, make_study, publish):
    verdicts = made()
    tables = tuple(tabulate_study(verdicts))
    scratch = make_study(factors={"norm": ("bn", "gn")}, primary=(), aa=None, seeds=range(3), name="other")
    other = judge_study(publish(scratch, accuracy))
    studies = [
        RecordedStudy("made-up", "made-up", Path(), verdicts, tables),
        RecordedStudy("other", "other", Path(), other, tables),  # its arms start from nothing: not the item's
    ]
    drawings = {name: Drawings(name) for name in (*report_items(), "made-up", "other")}
    covered = {one.item.id: one for one in cover(report_items(), studies, drawings, [])}
    assert [table.name for table in covered["T1.5"].tables] == ["made-up-main-table"]
    assert covered["T1.5"].drawn and covered["T1.5"].studies == (studies[0].name,)
    assert not covered["F1.1"].drawn and not covered["T2.1"].tables


def test_a_table_shows_an_item_only_where_no_figure_of_its_name_does(made):
    table = Table("sensitivity", "Rates.", pd.DataFrame([{"arm": "bn"}]))
    study = RecordedStudy("a", "a", Path(), made(), (table,))
    figure = RenderedFigure("a-sensitivity", "Rates.", {}, wide=False)
    for figures, tables in (((figure,), []), ((), ["a-sensitivity"])):
        drawings = {name: Drawings(name) for name in report_items()} | {"a": Drawings("a", figures)}
        covered = {one.item.id: one for one in cover(report_items(), [study], drawings, [])}
        assert [each.name for each in covered["FS.1"].tables] == tables and covered["FS.1"].drawn
