"""What a person sees: one line per cell in a log, a grid in a terminal, and never a reason to stop."""

import io
import sys

import pytest
from rich.console import Console

from fairtrial.execution import progress
from fairtrial.execution.attempt_log import AttemptLog
from fairtrial.execution.progress import Grid, Lines, Watch, duration, progress_for
from fairtrial.storage.record import failure
from fairtrial.storage.store import Store
from tests.support.records import done, killed, publish
from tests.support.toy import toy_study


@pytest.fixture
def cells():
    return toy_study().cells()


@pytest.fixture
def log(tmp_path, cells):
    store = Store.of(toy_study(), tmp_path)
    store.declare(toy_study())
    publish(store, cells[0], 1, killed())
    publish(store, cells[0], 2, done(0.5, train_s=4.0))
    publish(store, cells[1], 1, failure("oom", "MemoryError", "trial.py:1", 3.0))
    return AttemptLog(store)


def test_a_log_says_how_many_are_done_and_then_one_line_per_cell(log, cells, capsys):
    lines = Lines(Watch(cells, log, 2, None))
    record = publish(log.store, cells[2], 1, done(0.91234))
    log.note(record)
    lines.finished(record, 1.26)
    assert capsys.readouterr().err.splitlines() == [
        "1 of 6 cells are done already",
        "[2/6] seed 1  bn                       test_acc 0.9123     1.3 s",
    ]


def test_a_cell_that_is_run_again_is_not_counted_twice(log, cells, capsys):
    lines = Lines(Watch(cells, log, 2, None))
    record = publish(log.store, cells[1], 2, failure("error", "boom", "x.py:1", 1.0))
    log.note(record)
    lines.finished(record, 1.0)
    assert (
        capsys.readouterr().err.splitlines()[-1]
        == "[1/6] seed 0  gn                       error               1.0 s"
    )


def test_a_reader_who_left_stops_no_study(log, cells, monkeypatch):
    class Closed(io.StringIO):
        def write(self, _):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Closed())
    Lines(Watch(cells, log, 2, None)).finished(log.records[-1], 1.0)


def test_time_to_go_is_that_of_the_pending_cells_over_the_jobs(log, cells):
    watch = Watch(cells, log, 2, 60.0)
    assert watch.done() == 1
    assert watch.left_s() == 5 * 4.0 / 2  # no gn has finished: it is taken to cost what bn costs
    assert watch.money() == "8 s of device time, 52 s of the budget left, about 10 s to go"


def test_the_grid_shows_each_arm_with_its_marks_and_mean(log, cells):
    shown = []
    live = type("Live", (), {"update": lambda _, table: shown.append(table)})()
    Grid(Watch(cells, log, 2, None), live).tick()
    console = Console(width=90, file=io.StringIO())
    console.print(shown[0])
    text = console.file.getvalue()
    assert "1 of 6 cells" in text
    assert [line.split() for line in text.splitlines()[-2:]] == [["bn", "■··", "50.0"], ["gn", "M··"]]


@pytest.mark.parametrize(
    ("terminal", "variable", "kind"),
    [(False, None, "Lines"), (True, None, "Grid"), (True, "CI", "Lines"), (True, "NO_COLOR", "Lines")],
)
def test_the_display_suits_where_stderr_goes(log, cells, monkeypatch, terminal, variable, kind):
    for name in ("CI", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, "1")
    screen = io.StringIO()
    screen.isatty = lambda: terminal
    monkeypatch.setattr(sys, "stderr", screen)
    with progress_for(cells, log, 2, None) as shown:
        assert type(shown).__name__ == kind
        shown.tick()


def test_every_outcome_has_a_mark():
    from fairtrial.study.failure_policy import FAILURES, OUTCOMES

    assert set(progress.MARKS) == {*OUTCOMES, *FAILURES}


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59.6, "1 min 0 s"), (190, "3 min 10 s"), (7500, "2 h 5 min")]
)
def test_a_duration_reads_as_a_person_says_it(seconds, words):
    assert duration(seconds) == words
