"""A table of runs is judged as a study is: same numbers, same sentences."""

import json
import math
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fairtrial.cli.main import main
from fairtrial.errors import DONE, FAILED_CELLS, INCOMPLETE, USAGE, Fault
from fairtrial.reporting import differences
from tests.reporting.comparison.runs import RUNS, command, compare, refused, table

ROOT = Path(__file__).parents[3]
NORM = ROOT / "results/released/norm"


@pytest.mark.parametrize("batch", [4, 32])
def test_the_cells_of_a_study_as_a_table_give_the_interval_of_its_report(batch, capsys):
    """No second rule: the exported table of a released study is judged as the study was."""
    recorded = json.loads((NORM / "verdicts.json").read_text(encoding="utf-8"))["contrasts"]
    (own,) = [
        each
        for each in recorded
        if each["contrast"]["at"] == {"batch_size": batch} and not each["contrast"]["by"]
    ]
    arms = ["--treatment", f"gn+ws, batch {batch}", "--control", f"bn, batch {batch}"]
    options = ["--metric", "test_acc", "--at", "replica=0", "--margin", "1", "--json"]
    assert main(["compare", str(NORM / "summary.csv"), *arms, *options]) == DONE
    (found,) = json.loads(capsys.readouterr().out)["contrasts"]
    # flip: its level is that of the Holm step, in a family of four there
    # as `verify` compares: another processor rounds the last digit otherwise
    parts = ("interval", "hedges_g", "differences")
    told = [
        json.dumps({"p": each["flip"]["p"], **{part: each[part] for part in parts}}).encode()
        for each in (found, own)
    ]
    assert differences.compare(".json", *told).places == ()
    assert found["margin"] == own["margin"]


def test_a_contrast_is_a_paired_t_interval_with_its_sentence(tmp_path, capsys):
    assert command(RUNS, tmp_path) == DONE
    said = capsys.readouterr().out
    differences = np.array([3.0, 2.5, 3.3, 2.3, 2.7])
    low, high = stats.t.interval(0.95, 4, differences.mean(), stats.sem(differences))
    assert f"gn beats bn by 2.8 points [{low:.1f}, {high:.1f}], n = 5 paired seeds, p" in said
    assert "parity, tuning, test reads and the time of the declaration are the table's own claim" in said


def test_the_order_of_rows_changes_nothing_and_percent_are_points_too():
    frame = pd.read_csv(StringIO(RUNS))
    plain = compare(frame).record()
    assert compare(frame.sample(frac=1, random_state=0)).record()["contrasts"] == plain["contrasts"]
    percent = compare(frame.assign(acc=frame["acc"] * 100)).record()["contrasts"]
    assert [each["sentence"] for each in percent] == [each["sentence"] for each in plain["contrasts"]]


def test_holm_runs_over_all_contrasts(tmp_path, capsys):
    text = RUNS + "".join(f"in,{seed},{0.9 + 0.01 * (seed % 3)}\n" for seed in range(5))
    alone = compare(pd.read_csv(StringIO(text)))
    assert alone.findings[0].step.family == 1
    both = compare(pd.read_csv(StringIO(text)), ("gn", "in"))
    assert [f.step.family for f in both.findings] == [2, 2]
    assert both.findings[0].step.adjusted_p == 2 * alone.findings[0].step.adjusted_p
    assert list(both.frame()["verdict"]) == ["better", "inconclusive"]


def test_each_level_of_a_column_is_a_contrast():
    frame = pd.concat(
        [table(gn=[0.91, 0.92, 0.94], bn=[0.9, 0.9, 0.91]).assign(batch_size=size) for size in (32, 4)]
    )
    found = compare(frame.reset_index(drop=True), each="batch_size", metric="acc")
    assert [f.contrast.name for f in found.findings] == ["batch 4", "batch 32"]
    assert "gn and bn cannot be told apart at batch 4" in found.sentences[0]
    one = compare(frame.reset_index(drop=True), at={"batch_size": "4"}, metric="acc")
    assert one.findings[0].interval == found.findings[0].interval
    with pytest.raises(Fault, match="gn has two rows at seed 0: 0 and 6"):
        compare(frame.reset_index(drop=True), metric="acc")


def test_runs_within_a_unit_count_once():
    """Four subsets of three orders are four units (STATISTICS 2), whatever tells the orders apart."""
    rng = np.random.default_rng(3)
    rows = [
        (arm, subset, order, 0.8 + 0.02 * (arm == "gn") + 0.03 * shift + 0.005 * rng.normal())
        for subset in "abcd"
        for shift in [rng.normal()]
        for order in range(3)
        for arm in ("gn", "bn")
    ]
    frame = pd.DataFrame(rows, columns=["arm", "subset", "order", "acc"])
    (finding,) = compare(frame, unit="subset", pair="order").findings
    wide = frame.pivot_table(index="subset", columns="arm", values="acc")
    expected = stats.ttest_rel(wide["gn"], wide["bn"])
    assert finding.n == 4 and finding.interval.df == 3
    assert math.isclose(finding.interval.p, expected.pvalue, rel_tol=1e-9)
    assert "n = 4 subsets (12 orders)" in compare(frame, unit="subset", pair="order").sentences[0]


def test_few_units_give_no_interval_and_say_so():
    (text,) = compare(table(gn=[0.91, 0.92], bn=[0.9, 0.9])).sentences
    assert "cannot be told apart" in text and "fewer than 3" in text


def test_an_open_contrast_says_how_many_units_decide_it():
    (text,) = compare(table(gn=[0.91, 0.93, 0.89, 0.94], bn=[0.9, 0.9, 0.9, 0.91])).sentences
    assert "to decide this effect (1.5 points, power .8) takes about 11 to 37 more seeds" in text


def test_a_loss_needs_a_direction_and_a_margin(tmp_path, capsys):
    text = RUNS.replace("acc", "val_loss")
    assert "--margin" in refused(text, tmp_path, capsys, code=USAGE)
    assert "--lower-is-better" in refused(text, tmp_path, capsys, "--margin", "0.01", code=USAGE)
    assert command(text, tmp_path, "--margin", "0.01", "--lower-is-better") == DONE
    assert "gn loses to bn by 0.028 in val loss" in capsys.readouterr().out
    assert "larger than every value" in refused(
        text, tmp_path, capsys, "--margin", "1", "--lower-is-better", code=USAGE
    )


def test_arms_without_common_units_are_refused(tmp_path, capsys):
    text = "".join(line.replace("gn,", "gn,1") for line in RUNS.splitlines(keepends=True))
    said = refused(text, tmp_path, capsys, "--allow-partial")
    assert "0 complete pairs" in said and "both arms need runs at the same seed" in said


def test_complete_pairs_alone_need_an_option_and_end_at_a_fifth(tmp_path, capsys):
    lines = RUNS.splitlines(keepends=True)
    four = "".join(lines[:-1])
    assert "gn has no row at seed 4" in refused(four, tmp_path, capsys)
    assert command(four, tmp_path, "--allow-partial") == DONE
    said = capsys.readouterr().out
    assert "1 of 5 pairs missing" in said and "n = 4 paired seeds" in said
    assert command("".join(lines[:-2]), tmp_path, "--allow-partial") == INCOMPLETE
    assert "No verdict on gn against bn: incomplete: 2 of 5 pairs lost" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("expected", "shift", "noise", "code"),
    [
        ("better", 0.03, 0.002, DONE),
        ("better", 0.0, 0.002, FAILED_CELLS),
        ("better", 0.01, 0.03, INCOMPLETE),
        ("not-worse", 0.03, 0.002, DONE),
        ("not-worse", 0.0, 0.002, DONE),
        ("not-worse", -0.03, 0.002, FAILED_CELLS),
        ("not-worse", 0.01, 0.012, DONE),  # open, yet the bad side of the margin is excluded
        ("not-worse", 0.0, 0.03, INCOMPLETE),
        ("equivalent", 0.0, 0.002, DONE),
        ("equivalent", 0.03, 0.002, FAILED_CELLS),
        ("equivalent", 0.0, 0.03, INCOMPLETE),
    ],
)
def test_the_exit_code_says_whether_an_expectation_is_kept(expected, shift, noise, code, tmp_path, capsys):
    steps = np.array([-1, -0.5, 0, 0.5, 1, 0.2, -0.2, 0.0])
    frame = table(gn=0.8 + shift + noise * steps, bn=np.full(8, 0.8))
    assert command(frame.to_csv(index=False), tmp_path, "--expect", expected) == code
    # a lower loss, read the other way round
    loss = frame.assign(acc=1 - frame["acc"]).rename(columns={"acc": "loss"}).to_csv(index=False)
    options = ("--margin", "0.01", "--lower-is-better", "--expect", expected)
    assert command(loss, tmp_path, *options) == code
    assert command(loss, tmp_path, *options[:3]) == DONE


@pytest.mark.every_format
@pytest.mark.parametrize("form", ["svg", "png", "pdf"])
def test_the_figure_is_drawn_and_drawn_again_the_same(form, tmp_path):
    paths = [tmp_path / f"{name}.{form}" for name in ("first", "second")]
    for path in paths:
        assert command(RUNS, tmp_path, "--figure", str(path)) == DONE
    first, second = (path.read_bytes() for path in paths)
    assert len(first) > 5_000 and first == second
    assert command(RUNS, tmp_path, "--figure", str(tmp_path / "a.gif")) == USAGE


def test_no_arm_is_compared_with_itself_or_twice(tmp_path, capsys):
    """A second contrast of one arm would widen every interval of the family."""
    same = ["--treatment", "bn"]
    assert "both 'bn'" in refused(RUNS, tmp_path, capsys, *same, code=USAGE)
    assert "'gn' is named twice" in refused(RUNS, tmp_path, capsys, "--treatment", "gn", code=USAGE)
