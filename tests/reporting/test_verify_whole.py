"""A digit changed anywhere in the report over all studies is found and named."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from fairtrial.reporting import verify
from fairtrial.reporting.report import full_report, latex
from fairtrial.study.study import Contrast
from tests.reporting.report.test_study_report import accuracy


@pytest.fixture(autouse=True)
def one_process(monkeypatch):
    """Each further one would import all that draws once more, for a handful of figures."""
    monkeypatch.setattr("os.cpu_count", lambda: 1)


@pytest.fixture
def report(kept, request):
    """The report over two studies, beside them, drawn once."""
    if not kept:
        kept["report"] = drawn(*map(request.getfixturevalue, ("make_study", "publish", "noise", "tmp_path")))
    return kept["report"]


def drawn(make_study, publish, noise, tmp_path):
    publish(make_study(seeds=range(4)), accuracy(noise))
    mixes = Contrast("mixes", {"mixup": 0.1}, {"mixup": 0.0})
    study = make_study(name="mixes", factors={"mixup": (0.0, 0.1)}, primary=mixes, aa=None, seeds=range(4))
    publish(study, lambda cell: 0.8 + 0.01 * noise(cell, "acc"))
    full_report.build(tmp_path, tmp_path / "report", jobs=1)
    return tmp_path / "report"


def named(report: Path) -> dict[str, str]:
    """File -> what `fairtrial verify` says of it."""
    said = verify.check(report)
    return {str(Path(each.where).relative_to(report)): each.what for each in said.problems}


def test_it_is_found_among_the_results_and_says_what_the_records_say(report):
    assert report in verify.folders(report.parent)
    assert named(report) == {}


def test_a_changed_digit_in_a_macro_a_page_and_a_table_is_named(report, tmp_path):
    shutil.copytree(report.parent, tmp_path / "copy")
    report = tmp_path / "copy" / "report"
    page = next(path for path in sorted(report.glob("*.md")) if re.search(r"n = 4", path.read_text()))
    table = sorted((report / "tables").glob("*.csv"))[0]
    for path, pattern in (
        (report / latex.MACROS, r"\\newcommand\{\\ft\w+\}\{-?\d"),
        (page, "n = 4"),
        (table, r"\d"),
    ):
        text = path.read_text()
        end = re.search(pattern, text).end()
        path.write_text(text[: end - 1] + str((int(text[end - 1]) + 3) % 10) + text[end:])
    assert named(report).keys() == {
        str(path.relative_to(report)) for path in (report / latex.MACROS, page, table)
    }
    assert all("expected" in what for what in named(report).values())
