"""What a person sees: one line per cell in a log, a grid in a terminal, and never a reason to stop."""

import io
import re
import sys
from dataclasses import replace
from itertools import product

import pytest
from rich.console import Console

from fairtrial import screen
from fairtrial.execution.attempt_log import AttemptLog
from fairtrial.execution.display import displays
from fairtrial.execution.display.displays import Lines, progress_for
from fairtrial.execution.display.grid_lines import grid_lines
from fairtrial.execution.display.watch import MARKS, Watch
from fairtrial.execution.engine import Worker
from fairtrial.execution.suspension import CLOCK
from fairtrial.screen import console, duration
from fairtrial.storage.record import failure
from fairtrial.storage.store import Store
from fairtrial.study.failure_policy import FailurePolicy
from fairtrial.tuning.selection import expected_cells
from tests.support.records import declared_store, done, killed, publish
from tests.support.toy import toy_study


@pytest.fixture
def cells():
    return toy_study().cells()


@pytest.fixture
def log(tmp_path, cells):
    store = declared_store(toy_study(), tmp_path)
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


def test_a_terminal_that_closed_or_lacks_a_character_ends_nothing(monkeypatch):
    class Closed(io.StringIO):
        encoding = "ascii"

        def write(self, _):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Closed())
    console().print("■ 5 of 6")


def test_what_is_worked_at_is_shown_whole_in_a_narrow_terminal(monkeypatch):
    drawn = io.StringIO()
    narrow = Console(file=drawn, width=40, force_terminal=True)
    monkeypatch.setattr(screen, "is_terminal", lambda: True)
    monkeypatch.setattr(screen, "console", lambda: narrow)
    with screen.working("opening data and weights") as tell:
        tell("12 of 170 MB of cifar-10-python.tar.gz")
        screen._shown[0].refresh()
    lines = [
        line.split("0:00:0")[0].strip()
        for line in re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", "\n", drawn.getvalue()).splitlines()
    ]
    assert "opening data and weights: 12 of 170 MB of cifar-10-python.tar.gz" in " ".join(filter(None, lines))
    assert max(map(len, lines)) <= 40


def test_out_of_memory_ends_a_cell_where_memory_is_studied(log, cells):
    studied = AttemptLog(log.store, FailurePolicy("outcome"))
    assert [[arm.ended for arm in Watch(cells, each, 2).arms()] for each in (log, studied)] == [
        [1, 0],
        [1, 1],
    ]


def test_time_to_go_is_that_of_the_pending_cells_over_the_jobs(log, cells):
    watch = Watch(cells, log, 2, 60.0)
    assert watch.done() == 1
    assert watch.left_s() == 5 * 4.0 / 2  # no gn has finished: it is taken to cost what bn costs
    half = Worker(since=CLOCK.now() - 2.0)
    assert watch.left_s([(half, cells[2])]) == pytest.approx((5 * 4.0 - 2.0) / 2, abs=0.1)
    assert watch.times() == ["0 s so far", "about 10 s to go", "52 s of the budget left"]


def test_before_a_measurement_nothing_is_said_of_the_time_to_go(tmp_path, cells):
    watch = Watch(cells, AttemptLog(Store.of(toy_study(), tmp_path)), 2, None)
    assert (watch.left_s(), watch.times()[1]) == (None, "time to go unknown yet")


def test_the_grid_shows_each_arm_with_its_marks_and_mean_and_what_runs(log, cells):
    worker = Worker(since=CLOCK.now() - 12, doing="step 3 of 8")
    assert grid_lines(Watch(cells, log, 2, None), [(worker, cells[4])], 90, 24) == [
        "1 of 6 cells · 0 s so far · about 8 s to go",
        "arm  cells  mean test_acc",
        "bn   ■·▸    50.0",
        "gn   M··",
        "▸ bn, seed 2: 12 s, step 3 of 8",
        "M ran out of memory",
    ]


def test_cells_that_run_are_told_apart_in_a_narrow_terminal(tmp_path):
    """Two trials of an arm differ in the rate alone, which stands in the middle of a long name."""
    made = toy_study(seeds=2, val_per_class=1, tuning={"seeds": 2})
    store = Store.of(made, tmp_path)
    store.declare(made)
    cells, trials = expected_cells(made, {})
    worker = Worker(since=CLOCK.now() - 12, doing="step 3 of 8")
    busy = [(worker, trials[0]), (worker, trials[2])]
    lines = grid_lines(Watch([*trials, *cells], AttemptLog(store), 2), busy, 40, 20)
    assert lines[-4:] == [
        "▸ bn (tuning, lr 0.1), seed 1000000",
        "  12 s, step 3 of 8",
        "▸ bn (tuning, lr 0.3), seed 1000000",
        "  12 s, step 3 of 8",
    ]


def test_equal_scores_have_a_mean_and_no_infinite_interval(log, cells):
    for cell in cells[2:5:2]:
        log.note(publish(log.store, cell, 1, done(0.5)))
    watch = Watch(cells, log, 2, None)
    assert watch.arms()[0].words == ("50.0", "")
    assert "inf" not in "".join(grid_lines(watch, [], 90, 24))


def test_the_grid_fits_a_terminal_of_any_size(tmp_path):
    """24 arms of long names and 10 seeds, half of them done, 8 cells running."""
    more = {"batch_size": (4, 16, 32, 64), "augment": ("none", "crop-flip")}
    many = toy_study(norms=("bn", "gn", "ln"), seeds=10)
    many = replace(many, factors={**many.factors, **more})
    log, cells = AttemptLog(Store.of(many, tmp_path)), many.cells()
    log.store.declare(many)
    for cell in cells[:120]:
        log.note(publish(log.store, cell, 1, done(0.5 + cell.seed / 100)))
    busy = [(Worker(since=CLOCK.now(), doing="step 3 of 8"), cell) for cell in cells[120:128]]
    watch = Watch(cells, log, 8)
    for width, height in product((1, 20, 40, 80, 200), (1, 2, 5, 20, 60)):
        lines = grid_lines(watch, busy, width, height)
        assert len(lines) <= max(1, height - 1)
        assert max(map(len, lines)) <= width
    lines = grid_lines(watch, busy, 40, 20)
    assert lines[0] == "120 of 240 cells · 0 s so far"
    # the arms that run are shown, told apart by the ends of their names; the others are summed up
    assert lines[3:5] == ["bn, batch 4…augment none  5/10  52.0", "bn, batch 4…nt crop-flip  5/10  52.0"]
    assert "and 15 more arms: 75 of 150 cells" in lines
    assert lines[-2:] == ["▸ bn, batch…ip, seed 5: 0 s, step 3 of 8", "▸ and 4 cells run"]


def test_trials_are_shown_by_arm_with_the_best_rate_until_they_have_ended(tmp_path):
    made = toy_study(seeds=2, val_per_class=1, tuning={"seeds": 2})
    store = declared_store(made, tmp_path)
    cells, trials = expected_cells(made, {})
    for cell in trials:
        validated = done(0.1)
        validated["measured"]["val_acc"] = 0.6 if cell.settings.lr == 0.3 else 0.4
        publish(store, cell, 1, validated)
        if cell is trials[-2]:
            arms = Watch([*trials, *cells], AttemptLog(store), 1).arms()
            assert [(arm.name, arm.marks, arm.words[0]) for arm in arms] == [
                ("bn", "■■■■", "60.0"),
                ("gn", "■■■·", "60.0"),
            ]
    arms = Watch([*trials, *cells], AttemptLog(store), 1).arms()
    assert [(arm.name, arm.marks) for arm in arms] == [("bn", "··"), ("gn", "··")]


def test_a_display_that_fails_gives_way_to_lines(log, cells, monkeypatch, capsys):
    """Drawing fails at once, then in the midst, then lines fail too: nothing is raised."""
    watch = Watch(cells, log, 2, None)

    class Broken(Lines):
        def __init__(self, watch):
            pass

        def tick(self, busy):
            raise ZeroDivisionError("no room")

    shown = displays.Contained(watch, Broken)
    shown.tick([])
    record = log.records[1]
    shown.finished(record, 1.0)
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "the display failed (ZeroDivisionError: no room); lines follow"
    assert said[-1].startswith("[1/6] seed 0  bn")
    shown.finished(log.records[2], 1.0)
    failed = "gn, seed 0 ran out of memory: MemoryError (trial.py:1)"
    assert capsys.readouterr().err.splitlines()[0] == failed
    monkeypatch.setattr(Watch, "done", lambda self: 1 / 0)
    shown.finished(record, 1.0)
    shown.expect(cells)
    shown.close()
    displays.Contained(watch, lambda _: 1 / 0).tick([])


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
        assert [type(each).__name__ for each in shown._shown] == [kind]
        shown.tick([])


def test_every_outcome_has_a_mark():
    from fairtrial.study.failure_policy import FAILURES, OUTCOMES

    assert set(MARKS) == {*OUTCOMES, *FAILURES}


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.4, "0 s"), (59.6, "1 min 0 s"), (190, "3 min 10 s"), (7500, "2 h 5 min")]
)
def test_a_duration_reads_as_a_person_says_it(seconds, words):
    assert duration(seconds) == words
