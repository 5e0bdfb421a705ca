"""What a new factor, norm, figure and data source touch: each is added to a copy of the library and used.

What exists and is edited is counted, and what is new: a factor is its row and the line that reads it, in two
files; a norm and a data source are a new file and a row of their table; a figure is a new file alone.
"""

import filecmp
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src" / "fairtrial"

FACTOR_USED = """
from fairtrial import Budget, Contrast, Study
from fairtrial.execution.cell.prepare import build_model

def study(**more):
    every = {"factors": {"norm": ("bn", "gn")} | more, "fixed": {"kernels": "torch"}}
    return Study(name="toy", question="?", budget=Budget(steps=2), seeds=range(3), **every)

before, after = study().cells(), study(toy_gain=(1.0, 2.0)).cells()
assert {cell.id for cell in before} < {cell.id for cell in after} and len(after) == 2 * len(before)
plain, doubled = (cell for cell in after if cell.seed == 0 and cell.levels["norm"] == "gn")
assert plain.arm == "gn, toy gain 1.0" and doubled.arm == "gn, toy gain 2.0", (plain.arm, doubled.arm)
weights = [build_model(cell.settings, 10, 0, 0).state_dict()["root.conv.weight"] for cell in (plain, doubled)]
assert weights[1].equal(2 * weights[0])
"""

NORM = '''"""A norm of a test."""

from torch import nn


class Halved(nn.Module):
    def forward(self, x):
        return x / 2


def halved(channels, *, groups=32, stat_batch=None):
    return Halved()
'''
NORM_USED = """
import torch
from fairtrial import Budget, Study
from fairtrial.execution.cell.prepare import build_model

factors, fixed = {"norm": ("gn", "halved")}, {"kernels": "torch"}
study = Study(name="toy", question="?", budget=Budget(steps=2), seeds=range(3), factors=factors, fixed=fixed)
(cell,) = (cell for cell in study.cells() if cell.seed == 0 and cell.settings.norm == "halved")
model = build_model(cell.settings, 10, 0, 0)
assert any(type(layer).__name__ == "Halved" for layer in model.modules())
assert torch.isfinite(model(torch.zeros(2, 3, 32, 32))).all()
"""

FIGURE = '''"""A figure of a test."""

from matplotlib.figure import Figure

from fairtrial.reporting.report_item import SMOKE, STUDY, RegistryRow, ReportItem


def toy(verdicts):
    yield "toy", "A toy.", Figure()


ROWS = (RegistryRow(STUDY, toy, (ReportItem("F1.9", "A toy", ("Q1",), SMOKE, "nothing", shows=("toy",)),)),)
'''
FIGURE_USED = """
from fairtrial.reporting.report.figure_registry import report_items, rows

item, row = report_items()["F1.9"]
assert item.title == "A toy" and row in rows("figures")
assert [name for name, *_ in row.make(None)] == ["toy"]
"""

SOURCE = '''"""Data of a test: noise of two classes."""

import numpy as np

from fairtrial.data.split_arrays import Arrays, Source


def source(name, download=False):
    labels = np.arange(40) % 2
    images = np.random.default_rng(0).integers(0, 255, (40, 3, 8, 8), np.uint8)
    arrays = Arrays(("a", "b"), images, labels, images[:8] + 1, labels[:8])
    return Source("noise 1", lambda resolution: arrays)
'''
SOURCE_USED = """
from fairtrial import Budget, Study
from fairtrial.data import open_dataset

assert open_dataset("noise").num_classes == 2
factors, fixed = {"norm": ("bn", "gn")}, {"data": "noise"}
study = Study(name="toy", question="?", budget=Budget(steps=2), seeds=range(3), factors=factors, fixed=fixed)
assert {cell.settings.data for cell in study.cells()} == {"noise"}
"""

GROWN = {
    "factor": (
        {},
        {
            "study/settings.py": (
                '    head: str = row(choice("zero", "drawn")',
                '    toy_gain: float = row(real(0.0), 1.0, "toy gain {}")\n',
            ),
            "execution/cell/prepare.py": (
                '    if settings.layout == "nhwc"',
                '    model.state_dict()["root.conv.weight"].mul_(settings.toy_gain)\n',
            ),
        },
        FACTOR_USED,
    ),
    "norm": (
        {"layers/halved.py": NORM},
        {
            "norm_table.py": (
                '    "bn": NormRow(',
                '    "halved": NormRow("fairtrial.layers.halved:halved"),\n',
            )
        },
        NORM_USED,
    ),
    "figure": ({"reporting/figures/toy_figure.py": FIGURE}, {}, FIGURE_USED),
    "data source": (
        {"data/noise.py": SOURCE},
        {
            "study/data_spec.py": (
                '    "digits": SourceRow(',
                '    "noise": SourceRow("fairtrial.data.noise:source", ("noise",)),\n',
            )
        },
        SOURCE_USED,
    ),
}
TOUCHED = {
    "factor": (0, 2),
    "norm": (1, 1),
    "figure": (1, 0),
    "data source": (1, 1),
}  # new files, and edited ones


@pytest.mark.parametrize("what", GROWN)
def test_what_grows_touches_few_files(what, tmp_path):
    new, rows, used = GROWN[what]
    copy = tmp_path / "fairtrial"
    shutil.copytree(SRC, copy)  # with what is compiled: all but the edited files is as it was
    for name, text in new.items():
        (copy / name).write_text(text)
    for name, (before, row) in rows.items():
        text = (copy / name).read_text()
        assert text.count(before) == 1, f"{name} has no line {before!r} any more"
        (copy / name).write_text(text.replace(before, row + before))
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", used], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert touched(copy) == TOUCHED[what]


def touched(copy):
    """The number of files that only the copy has, and of those that differ."""
    mine = {
        path.relative_to(SRC) for path in SRC.rglob("*") if path.suffix in {".py", ".json", ".html", ".c"}
    }
    new = {path.relative_to(copy) for path in copy.rglob("*.py")} - mine
    edited = {path for path in mine if not filecmp.cmp(SRC / path, copy / path, shallow=False)}
    return len(new), len(edited)
