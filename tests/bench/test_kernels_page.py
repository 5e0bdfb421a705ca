"""The page on kernels quotes what the benches filed."""

import csv
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "kernels.md").read_text(encoding="utf-8")
HERE, GPU = "amd-epyc-2-threads", "nvidia-h200-16-threads"
PARTS = dict(zip((HERE, GPU), PAGE.split("## What it comes to on a GPU"), strict=True))
QUOTED = [
    (device, *row)
    for device, part in PARTS.items()
    for row in re.findall(
        r"^\| (\w+ of r50x1, [^|]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", part, re.MULTILINE
    )
]


@cache
def rows(device: str) -> list[dict[str, str]]:
    table = ROOT / "results/bench" / device / "tables/speed.csv"
    return list(csv.DictReader(table.open(encoding="utf-8")))


def filed(device: str, bench: str, subject: str, column: str = "times reference") -> str:
    (row,) = [
        row
        for row in rows(device)
        if row["bench"].startswith(f"{bench}, ") and row["subject"].split()[-1] == subject
    ]
    return row[column]


def test_the_page_quotes_each_race_of_r50x1():
    assert [device for device, *_ in QUOTED] == [HERE] * 6 + [GPU] * 7


@pytest.mark.parametrize("quoted", QUOTED, ids=lambda row: " ".join(row[:2]))
def test_each_ratio_is_the_one_that_was_filed(quoted):
    device, bench, *numbers = quoted
    found = [float(filed(device, bench, kernels)) for kernels in ("fastest", "torch", "plain")]
    assert numbers == [f"{each:.3f}" for each in found]


@pytest.mark.parametrize(
    ("device", "way"),
    [(HERE, "compiled"), (HERE, "layer_norm"), (HERE, "var_mean"), (GPU, "triton"), (GPU, "layer_norm")],
)
def test_the_floor_is_the_one_that_was_filed(device, way):
    assert f"{float(filed(device, 'filters of r50x1', way)):.3f}" in PARTS[device]


def test_the_spread_at_batch_2_is_the_one_that_was_filed():
    assert filed(HERE, "step of r50x1, batch 2", "fastest", "quartiles of rounds") in PARTS[HERE]


def test_the_page_quotes_the_race_of_a_cell():
    lines = re.findall(r"^\| (evaluation|step) of \d+[^,|]*, ([^ |]+) \| (1.000.*) \|$", PAGE, re.MULTILINE)
    assert [(what, arm) for what, arm, _ in lines] == [
        (what, arm) for what in ("evaluation", "step") for arm in ("bn", "gn+ws")
    ]
    for what, arm, said in lines:
        known = [
            row["times reference"]
            for row in rows("amd-epyc-1-thread")
            if f"{what} of mini as in a cell" in row["bench"] and f", {arm}," in row["bench"]
        ]
        assert said.split(" | ") == known
