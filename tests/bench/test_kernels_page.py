"""The page on kernels quotes what the benches filed."""

import csv
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "kernels.md").read_text(encoding="utf-8")
ROWS = list(
    csv.DictReader((ROOT / "results/bench/amd-epyc-2-threads/tables/speed.csv").open(encoding="utf-8"))
)
QUOTED = re.findall(r"^\| (\w+ of r50x1, [^|]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", PAGE, re.MULTILINE)


def filed(bench: str, subject: str, column: str = "times reference") -> str:
    (row,) = [
        row for row in ROWS if row["bench"].startswith(f"{bench}, ") and row["subject"].split()[-1] == subject
    ]
    return row[column]


def test_the_page_quotes_six_races():
    assert len(QUOTED) == 6


@pytest.mark.parametrize("quoted", QUOTED, ids=lambda row: row[0])
def test_each_ratio_is_the_one_that_was_filed(quoted):
    bench, *numbers = quoted
    assert numbers == [filed(bench, kernels) for kernels in ("fastest", "torch", "plain")]


@pytest.mark.parametrize("way", ["compiled", "layer_norm", "var_mean"])
def test_the_floor_is_the_one_that_was_filed(way):
    assert filed("filters of r50x1", way) in PAGE


def test_the_spread_at_batch_2_is_the_one_that_was_filed():
    assert filed("step of r50x1, batch 2", "fastest", "quartiles of rounds") in PAGE
