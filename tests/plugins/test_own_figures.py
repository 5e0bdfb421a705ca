"""A figure in a file of the user's: drawn beside the report, never part of what is run or verified."""

import sys

import pytest

import fairtrial as ft
from fairtrial.cli.main import main
from fairtrial.errors import USAGE, Fault
from fairtrial.execution.cell.check_plugin import check
from fairtrial.plugins.plugin import Plugin
from fairtrial.reporting.report import own_figures
from fairtrial.reporting.verify import check as verify
from tests.support.records import declared_store, done, publish
from tests.support.studies import study, write

FIGURE = '''\
from matplotlib.figure import Figure

PLUGIN = {"figures": {"by-seed": "draw", "broken": {"builder": "fail", "caption": "Never seen."}}}


def draw(frame, verdicts):
    """Accuracy seed by seed, every run a dot."""
    figure = Figure()
    axes = figure.subplots()
    for arm, runs in frame.groupby("arm"):
        axes.plot(runs["seed"], runs["test_acc"], "o", label=arm)
    axes.set_title(str(len(verdicts.sentences)))
    return figure


def fail(frame, verdicts):
    return frame["no such column"]
'''
WHOLE = FIGURE.replace(', "broken": {"builder": "fail", "caption": "Never seen."}', "")


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """A finished study of 12 cells whose file lies in the current folder."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    store = declared_store(study(), tmp_path / "results")
    for number, cell in enumerate(study().cells()):
        publish(store, cell, result=done(0.9 + number / 500, weights=cell.id))
    return store


def file_of(folder, text=WHOLE):
    path = folder / "my_figure.py"
    path.write_text(text)
    return path


def test_the_report_is_drawn_then_the_figures_and_one_that_fails_is_named_by_its_line(recorded, capsys):
    file_of(recorded.folder.parents[1], FIGURE)
    assert main(["report", "small.py", "--plugin", "my_figure.py"]) == USAGE
    said = capsys.readouterr()
    line = FIGURE.splitlines().index('    return frame["no such column"]') + 1
    assert f"my_figure.py:{line}" in said.err
    assert "KeyError" in said.err
    assert "Traceback" not in said.err
    assert "report: " in said.out
    made = {path.name for path in (recorded.folder / "own-figures").iterdir()}
    assert made == {"by-seed.svg", "by-seed.png", "by-seed.pdf", "captions.md"}
    caption = (recorded.folder / "own-figures" / "captions.md").read_text()
    assert "Accuracy seed by seed, every run a dot." in caption
    assert "2048ex" in caption or "64 examples" in caption  # its provenance
    assert verify(recorded.folder).problems == ()


def test_equal_records_give_equal_bytes_and_a_notebook_gets_the_figure(recorded, tmp_path):
    path = file_of(tmp_path)
    first, second = ({made: made.read_bytes() for made in own_figures.draw(recorded, [path])} for _ in "ab")
    assert first == second
    drawn = ft.figure("by-seed", recorded.folder, plugins=[path])
    assert [len(line.get_xdata()) for line in drawn.axes[0].lines] == [3] * 4
    assert drawn.axes[0].get_title() == "1"  # the verdicts of one contrast


def test_figures_of_an_incomplete_study_say_so(recorded, tmp_path):
    next((recorded.folder / "cells").iterdir()).unlink()
    drawn = ft.figure("by-seed", recorded.folder, plugins=[file_of(tmp_path)])
    assert "incomplete: 11 of 12" in drawn.get_suptitle()


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (WHOLE.replace("return figure", "return axes"), "no matplotlib Figure"),
        (WHOLE.replace('"by-seed"', '"../by seed"'), "cannot be the name of the files of a figure"),
        (WHOLE.replace('"draw"}', '"drawn"}'), "does not define"),
        (WHOLE.replace("figure = Figure()", "figure = Figure((0, -1))"), "raised ValueError"),
    ],
)
def test_what_is_no_figure_is_one_block(recorded, tmp_path, text, what):
    with pytest.raises(Fault, match=what) as error:
        own_figures.draw(recorded, [file_of(tmp_path, text)])
    assert "my_figure.py" in error.value.problems[0].where


def test_no_run_depends_on_a_figure(tmp_path):
    """Neither the identity of a cell nor a declaration holds it, and `report` alone takes it."""
    path = file_of(tmp_path)
    with pytest.raises(Fault, match="no run depends on them") as error:
        study(plugins=(str(path),))
    assert error.value.problems[0].do.endswith("fairtrial report STUDY --plugin my_figure.py")
    assert Plugin.read(path).only_draws


def test_check_tries_what_can_be_tried_without_records(tmp_path):
    assert [wrong for _, wrong in check(file_of(tmp_path))] == [None]
    (wrong,) = [wrong for _, wrong in check(file_of(tmp_path, WHOLE.replace("(frame, verdicts)", "(frame)")))]
    assert "is not called with a frame and verdicts" in wrong.what


def test_a_report_over_all_studies_takes_none(recorded, tmp_path, capsys):
    file_of(tmp_path)
    assert main(["report", "--plugin", "my_figure.py"]) == USAGE
    assert "no STUDY was given" in capsys.readouterr().err


def test_two_figures_of_one_name_are_refused(recorded, tmp_path):
    other = tmp_path / "other.py"
    other.write_text(WHOLE + "# another file\n")
    with pytest.raises(Fault, match="2 plug-ins draw a figure called 'by-seed'"):
        own_figures.draw(recorded, [file_of(tmp_path), other])
    assert not (recorded.folder / "own-figures").exists()


def test_an_installed_package_offers_figures_too(recorded, tmp_path, monkeypatch):
    """Its entry point is found without an option."""
    (tmp_path / "site").mkdir()
    file_of(tmp_path / "site")
    info = tmp_path / "site" / "mine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[fairtrial.plugins]\nmine = my_figure\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    own_figures.installed.cache_clear()
    try:
        assert "by-seed.svg" in {path.name for path in own_figures.draw(recorded, [])}
    finally:
        own_figures.installed.cache_clear()
        sys.modules.pop("my_figure", None)
