"""A table of runs is judged as a study is: same numbers, same sentences; what is wrong with it is named."""

import json
import math
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import fairtrial as ft
from fairtrial.cli.main import main
from fairtrial.errors import BAD_INPUT, DONE, FAILED_CELLS, INCOMPLETE, USAGE, Fault
from fairtrial.reporting import differences
from fairtrial.reporting.comparison import table_file
from fairtrial.reporting.comparison.compare_table import Asked, compare_table
from fairtrial.reporting.comparison.table_columns import TableColumns

ROOT = Path(__file__).parents[3]
NORM = ROOT / "results/released/norm"
RUNS = """\
norm,seed,acc
bn,0,0.901
bn,1,0.897
bn,2,0.912
bn,3,0.905
bn,4,0.899
gn,0,0.931
gn,1,0.922
gn,2,0.945
gn,3,0.928
gn,4,0.926
"""


def compare(frame, treatments=("gn",), control="bn", **asked):
    named = {name: asked.pop(name) for name in ("arm", "metric", "pair", "at", "each") if name in asked}
    columns = TableColumns(**{"arm": "", "metric": "", "unit": asked.pop("unit", "seed"), **named})
    return compare_table(frame, Asked(columns, treatments, control, **asked), "runs")


def table(**arms):
    """A row for each value: seeds count from 0 in every arm."""
    rows = [(arm, seed, value) for arm, values in arms.items() for seed, value in enumerate(values)]
    return pd.DataFrame(rows, columns=["arm", "seed", "acc"])


def command(text, folder, *more, name="runs.csv"):
    (folder / name).write_text(text, encoding="utf-8")
    return main(["compare", str(folder / name), "--treatment", "gn", "--control", "bn", *more])


def refused(text, folder, capsys, *more, code=BAD_INPUT, name="runs.csv"):
    assert command(text, folder, *more, name=name) == code
    return capsys.readouterr().err


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


@pytest.mark.parametrize(
    ("edit", "more", "says"),
    [
        (("", ""), ("--unit", "sed"), ("no column is called 'sed', did you mean 'seed'?", "columns here:")),
        (("", ""), ("--metric", "ac"), ("no column is called 'ac', did you mean 'acc'?",)),
        (("", ""), ("--arm", "norms"), ("no column is called 'norms', did you mean 'norm'?",)),
        (("", ""), ("--at", "seed=9"), ("no row has seed '9'", "levels of seed: 0, 1, 2, 3, 4")),
        (("gn,2", "gn,1"), (), ("gn has two rows at seed 1: 8 and 9", "row 9", "--at COLUMN=LEVEL")),
        (("gn,2", "gn,7"), (), ("gn has no row at seed 2; bn has no row at seed 7", "4 complete pairs")),
        (("0.945", "0;945"), (), ("acc is '0;945', which is no number", "row 9")),
        (("0.945", '"0,945"'), (), ("acc is '0,945': a decimal comma?", "row 9")),
        (("0.945", "94.5"), (), ("acc holds 94.5 and 0.931: percent beside fractions?", "--scale percent")),
        (("0.945", "NaN"), (), ("acc is empty: the run gave no number", "row 9", "chance")),
        (("0.945", ""), (), ("acc is empty", "row 9")),
        (("0.945", "inf"), (), ("acc is inf", "row 9")),
        (("gn,2", "gn,"), (), ("seed is empty", "row 9")),
        (("gn,2,0.945", "gn,2,0.945,x"), (), ("line 9 has 4 cells where the first has 3 names",)),
        (("gn", "gm"), (), ("no column holds 'gn' and 'bn', did you mean 'gm'?",)),
        (("norm,seed,acc", "norm,acc,acc"), (), ("two columns are called 'acc'",)),
    ],
)
def test_a_bad_table_is_one_block_that_names_the_row(edit, more, says, tmp_path, capsys):
    said = refused(RUNS.replace(*edit) if edit[0] else RUNS, tmp_path, capsys, *more)
    assert said.count("error: ") == said.count("  where: ") == said.count("  do: ") > 0
    assert [words for words in says if words not in said] == []
    assert "Traceback" not in said


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


def test_csv_jsonl_and_parquet_are_one_table(tmp_path, capsys):
    frame = pd.read_csv(StringIO(RUNS))
    lines = [
        json.dumps({"config": {"norm": arm}, "seed": s, "acc": v}) for arm, s, v in frame.values.tolist()
    ]
    found = {}
    for name, text in {
        "a.csv": RUNS,
        "b.csv": RUNS.replace(",", ";"),
        "c.tsv": RUNS.replace(",", "\t"),
        "d.csv": "\ufeff" + RUNS.replace("\n", "\r\n"),
        "e.jsonl": "\n".join(lines),
    }.items():
        assert command(text, tmp_path, "--json", name=name) == DONE
        found[name] = json.loads(capsys.readouterr().out)["contrasts"]
    frame.to_parquet(tmp_path / "f.parquet")
    arms = ["--treatment", "gn", "--control", "bn", "--json"]
    assert main(["compare", str(tmp_path / "f.parquet"), *arms]) == DONE
    found["f.parquet"] = json.loads(capsys.readouterr().out)["contrasts"]
    assert all(contrasts == found["a.csv"] for contrasts in found.values())


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("runs.xlsx", b"PK", "no table is read from 'runs.xlsx'"),
        ("runs.parquet", b"PAR1 cut", "expected a whole parquet file"),
        ("runs.csv", b"norm,seed,acc\n" + b"x" * 200_000 + b",1,2\n", "field larger than field limit"),
        ("runs.csv", b"norm,seed,acc\n\xff,1,2\n", "byte 14 is no UTF-8 text"),
        ("runs.csv", b"norm,seed,acc\n", "the table has no rows"),
        ("runs.csv", b"", "the table has no rows"),
        ("runs.jsonl", b'{"acc": 1}\n[1]\n', "line 2 is no JSON object"),
        ("runs.jsonl", b'{"acc": 1}\n{"acc"', "line 2 is no JSON object"),
        ("runs.jsonl", b'{"a":' * 60 + b"1" + b"}" * 60, "more than 50 objects in one another"),
        ("runs.jsonl", b"[" * 100_000, "line 1 is no JSON object"),
        ("gone/runs.csv", None, "expected a table: No such file or directory"),
    ],
)
def test_a_file_that_is_no_table_is_named(name, content, says, tmp_path, capsys):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    assert main(["compare", str(path), "--treatment", "gn", "--control", "bn"]) == BAD_INPUT
    said = capsys.readouterr().err
    assert says in said and str(path) in said


@pytest.mark.parametrize("kind", ["csv", "jsonl", "no names", "parquet", "a large file"])
def test_a_table_of_more_cells_than_its_bytes_can_mean_is_refused(kind, tmp_path, monkeypatch):
    """A name of its own in each row makes a square of mostly nothing; a column of one value takes nothing."""
    monkeypatch.setattr(table_file, "FREE_CELLS", 10_000)
    monkeypatch.setattr(table_file, "MOST_BYTES", 2**16)
    ends = {"no names": "jsonl", "a large file": "csv"}
    path = tmp_path / f"runs.{ends.get(kind, kind)}"
    if kind == "parquet":
        pd.DataFrame({name: [0] * 5_000 for name in "abc"}).to_parquet(path)
    elif kind == "jsonl":
        path.write_text("".join(f'{{"a{row}":1}}\n' for row in range(200)))
    elif kind == "no names":
        monkeypatch.setattr(table_file, "MOST_CELLS", 10_000)
        path.write_text("{}\n" * 10_001)
    elif kind == "csv":
        monkeypatch.setattr(table_file, "MOST_CELLS", 300)
        path.write_text("norm,seed,acc\n" + "bn,1,2\n" * 101)
    else:
        path.write_text(RUNS * 1000)
    with pytest.raises(Fault) as refused:
        table_file.read_table(path)
    (problem,) = refused.value.problems
    most = {"csv": "300 cells", "a large file": "65,536 are expected"}.get(kind, "10,000 cells")
    assert refused.value.code == BAD_INPUT and most in problem.what and problem.where == str(path)


@pytest.mark.every_format
@pytest.mark.parametrize("form", ["svg", "png", "pdf"])
def test_the_figure_is_drawn_and_drawn_again_the_same(form, tmp_path):
    paths = [tmp_path / f"{name}.{form}" for name in ("first", "second")]
    for path in paths:
        assert command(RUNS, tmp_path, "--figure", str(path)) == DONE
    first, second = (path.read_bytes() for path in paths)
    assert len(first) > 5_000 and first == second
    assert command(RUNS, tmp_path, "--figure", str(tmp_path / "a.gif")) == USAGE


def test_names_from_a_table_stay_text_in_a_notebook():
    html = compare(table(**{"<b>gn": [0.9, 0.8, 0.7], "bn": [0.8, 0.7, 0.65]}), ("<b>gn",))._repr_html_()
    assert "<b>gn" not in html and "&lt;b&gt;gn" in html and "<table" in html


def test_numbers_that_pandas_wrote_as_floats_are_the_same_names(tmp_path, capsys):
    """As soon as one cell of a column is empty, its whole numbers become 4.0; users still type 4."""
    text = pd.read_csv(StringIO(RUNS)).assign(batch_size=4.0).to_csv(index=False)
    text = text.replace("gn,3,", "gn,3.0,")
    assert command(text, tmp_path, "--at", "batch_size=4", "--metric", "acc") == DONE
    assert "n = 5 paired seeds" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (RUNS.replace("gn", "GN"), "no column holds 'gn' and 'bn', did you mean 'GN'?"),
        ("".join(f"{line}{'%' * (n > 0)}\n" for n, line in enumerate(RUNS.splitlines())), "acc is '0.901%'"),
    ],
)
def test_what_is_nearly_right_is_named(text, says, tmp_path, capsys):
    assert says in refused(text, tmp_path, capsys)


def test_no_arm_is_compared_with_itself_or_twice(tmp_path, capsys):
    """A second contrast of one arm would widen every interval of the family."""
    same = ["--treatment", "bn"]
    assert "both 'bn'" in refused(RUNS, tmp_path, capsys, *same, code=USAGE)
    assert "'gn' is named twice" in refused(RUNS, tmp_path, capsys, "--treatment", "gn", code=USAGE)


def test_a_list_of_objects_is_a_table_too(tmp_path, capsys):
    frame = pd.read_csv(StringIO(RUNS))
    as_list, as_lines = (frame.to_json(orient="records", lines=lines) for lines in (False, True))
    found = []
    for name, text in {"a.csv": RUNS, "b.json": as_list, "c.json": as_lines}.items():
        assert command(text, tmp_path, name=name) == DONE
        found.append(capsys.readouterr().out.splitlines()[1:])
    assert found[0] == found[1] == found[2] != []
    assert "object 2 is no JSON object: it is a int" in refused("[{}, 1]", tmp_path, capsys, name="d.json")
    assert "is no list of JSON objects" in refused("[{}", tmp_path, capsys, name="e.json")


FRAME = pd.read_csv(StringIO(RUNS))
GIVEN = {  # what a notebook hands over -> the same verdict
    "a file": lambda folder: folder / "runs.csv",
    "the name of one": lambda folder: str(folder / "runs.csv"),
    "a list of runs": lambda _: FRAME.to_dict("records"),
    "a dict of columns": lambda _: FRAME.to_dict("list"),
    "seeds as the index": lambda _: FRAME.set_index("seed"),
    "seeds as both": lambda _: FRAME.set_index("seed", drop=False),
    "arms and seeds as the index": lambda _: FRAME.set_index(["norm", "seed"]),
    "an index that repeats": lambda _: FRAME.set_axis([0, 1, 2, 3, 4] * 2),
    "categories": lambda _: FRAME.astype({"norm": "category"}),
    "nullable columns": lambda _: FRAME.convert_dtypes(),
    "seeds of float32": lambda _: FRAME.astype({"seed": "float32"}),
}


@pytest.mark.parametrize("how", GIVEN)
def test_what_a_notebook_hands_over_is_a_table(how, tmp_path):
    (tmp_path / "runs.csv").write_text(RUNS)
    found = ft.compare(GIVEN[how](tmp_path), treatment="gn", control="bn")
    assert found.sentences == compare(FRAME).sentences


def test_arms_of_a_notebook_may_be_numbers():
    sizes, truth = FRAME.assign(batch=FRAME["norm"].map({"gn": 64, "bn": 4})), FRAME["norm"] == "gn"
    by_size = ft.compare(sizes, treatment=64, control=4, arm="batch", metric="acc")
    assert by_size.sentences[0].startswith("64 beats 4 by 2.8 points")
    by_truth = ft.compare(FRAME.assign(norm=truth), treatment=True, control=False, metric="acc")
    assert by_truth.sentences[0].startswith("True beats False by 2.8 points")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"scale": "percents"}, "unknown scale 'percents', did you mean 'percent'?"),
        ({"at": "norm=gn"}, "at='norm=gn' names no level"),
        ({"each": ["norm"]}, r"\['norm'\] is not the name of a column"),
        ({"unit": ["seed", "norm"]}, "is not the name of a column"),
        ({"control": "gn"}, "treatment and control are both 'gn'"),
        ({"treatment": []}, "no treatment is named"),
        ({"frame": 7}, "pandas makes no table of it"),
        ({"frame": pd.concat([FRAME, FRAME[["acc"]]], axis=1)}, "two columns are called 'acc'"),
    ],
)
def test_what_cannot_be_meant_is_a_fault_in_a_notebook(given, says):
    with pytest.raises(Fault, match=says):
        ft.compare(**{"frame": FRAME, "treatment": "gn", "control": "bn", **given})
