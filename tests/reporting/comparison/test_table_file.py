"""What is read as a table of runs, and what is refused, with the row or the file that is wrong."""

import json
from io import StringIO

import pandas as pd
import pytest

from fairtrial.cli.main import main
from fairtrial.errors import BAD_INPUT, DONE, Fault
from fairtrial.reporting.comparison import table_file
from tests.reporting.comparison.runs import RUNS, command, refused


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
