"""The page on own results: its commands print what it shows, its Python runs, its table of codes holds."""

import re
from pathlib import Path

import matplotlib
import pytest

from fairtrial.cli.main import main
from fairtrial.errors import DONE
from fairtrial.reporting.comparison.expectation import EXPECTATIONS

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/compare.md").read_text(encoding="utf-8")
CI = PAGE[PAGE.index("## In a CI job") : PAGE.index("## In Python")]
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
TABLES = [text for kind, text in BLOCKS if kind == "csv"]
SHOWN = [
    (command, rows.splitlines())
    for kind, text in BLOCKS
    if not kind
    for command, rows in re.findall(r"^\$ fairtrial (.*)\n((?:(?!\$).*\n)*)", text, re.MULTILINE)
]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder with the tables of the page, where its commands run."""
    for name, text in zip(("runs.csv", "subsets.csv"), TABLES, strict=True):
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(("command", "rows"), SHOWN, ids=[command for command, _ in SHOWN])
def test_each_command_prints_what_the_page_shows(command, rows, capsys):
    assert main(command.split()) == DONE
    found = " ".join(capsys.readouterr().out.split())
    assert rows and " ".join(" ".join(rows).split()) == found


def test_its_python_runs(folder):
    (code,) = [text for kind, text in BLOCKS if kind == "python"]
    matplotlib.use("agg")
    names = {}
    exec(compile(code, "docs/compare.md", "exec"), names)
    assert list(names["found"].frame()["verdict"]) == ["better", "equivalent"]
    assert (folder / "contrasts.png").stat().st_size > 5_000


def test_its_table_of_expectations_is_that_of_the_code():
    rows = dict(re.findall(r"^\| `(\w[\w-]+)` \| (.*?) \|", CI, re.MULTILINE))
    kept = {name: cell.partition(";")[0].split(", ") for name, cell in rows.items()}
    assert kept == {name: [v.replace("_", " ") for v in found] for name, found in EXPECTATIONS.items()}


def test_the_page_is_linked():
    assert "docs/compare.md" in (ROOT / "README.md").read_text(encoding="utf-8")
