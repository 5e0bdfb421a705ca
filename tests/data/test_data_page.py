"""The page on data: its Python runs, and prints what the page says."""

import json
import re
from pathlib import Path

import pytest

from fairtrial.data import open_dataset
from tests.data.making import write_parquet

PAGE = (Path(__file__).parents[2] / "docs/data.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def prepared(folder: Path) -> None:
    """What the page takes to be there: data with the name of a set, and a file of indices for it."""
    root = write_parquet(folder / "cifar10", ([0, 1] * 11, [1, 0]))
    sha256 = open_dataset(f"parquet:{root}", resolution=32).sha256
    (folder / "indices.json").write_text(json.dumps({"data": sha256, "subsets": {"0": [0, 1]}}))


@pytest.mark.parametrize("code", BLOCKS, ids=range(len(BLOCKS)))
def test_its_python_runs_and_prints_what_it_shows(code, tmp_path, monkeypatch, capsys):
    pytest.importorskip("pyarrow")
    monkeypatch.chdir(tmp_path)
    prepared(tmp_path)
    exec(compile(code, "docs/data.md", "exec"), {})
    shown = re.findall(r"^print\(.*\)  # (.*)$", code, re.MULTILINE)
    assert capsys.readouterr().out.splitlines() == shown
