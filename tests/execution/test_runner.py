"""The driver with real processes and a toy trainer: crashes, limits."""

import json
import os
from collections import Counter

import pytest

from fairtrial.execution import runner
from fairtrial.execution.attempt_log import MACHINE
from fairtrial.execution.engine import Worker
from fairtrial.execution.runner import Options
from fairtrial.signals import Stop
from fairtrial.storage.record import cell_message, failure
from tests.support.records import done, origin_in
from tests.support.toy import acts, ends, gone, leases, statuses, store_of, table, toy_study

pytestmark = pytest.mark.slow


# what a cell may do


def test_a_study_runs_and_running_it_again_changes_nothing(toy, tmp_path):
    assert toy(tmp_path, jobs=2) == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
    assert len(before) == 7  # study.json and six attempts
    assert toy(tmp_path) == 0
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.json")} == before


@pytest.mark.parametrize(
    ("act", "status", "says"),
    [
        ("raise", "error", "ValueError: boom"),
        ("bad name", "error", "no file 'caf?.png'"),
        ("nan", "error", "not JSON compliant"),
        ("memory", "oom", "MemoryError"),
        ("torch memory", "oom", "can't allocate memory"),
    ],
)
def test_a_cell_that_fails_is_tried_three_times_and_the_others_go_on(
    toy, tmp_path, monkeypatch, capfd, act, status, says
):
    acts(monkeypatch, TOY=f'{{"gn 1": "{act}"}}')
    assert toy(tmp_path) == 1
    assert statuses(tmp_path) == ["done", "done", "done", status, "done", "done"]
    assert [(end, says in what) for end, what in ends(tmp_path)] == [(status, True)] * 3
    (line,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith("failed: ")]
    assert line.startswith("failed: gn, seed 1") and says in line


@pytest.mark.parametrize(("act", "says"), [("kill", "signal 9 (SIGKILL)"), ("exit", "exit code 3")])
def test_a_cell_that_kills_its_worker_gets_three_attempts_and_is_then_given_up(
    toy, tmp_path, monkeypatch, act, says
):
    acts(monkeypatch, TOY=f'{{"gn 2": "{act}"}}')
    assert toy(tmp_path, jobs=2) == 1
    assert statuses(tmp_path) == ["done"] * 5 + ["killed"]
    assert [(status, says in what) for status, what in ends(tmp_path)] == [("killed", True)] * 3
    assert not leases(tmp_path)


def test_retry_gives_a_poison_cell_three_more_attempts_and_a_healed_one_is_done(toy, tmp_path, monkeypatch):
    study = toy_study(norms=("gn",), seeds=1)
    acts(monkeypatch, TOY='{"gn 0": "exit"}')
    assert toy(tmp_path, study) == 1
    assert toy(tmp_path, study) == 1  # nothing is left to try
    assert len(store_of(tmp_path).attempts()) == 3
    assert toy(tmp_path, study, retry=True) == 1
    assert len(store_of(tmp_path).attempts()) == 6
    acts(monkeypatch, TOY="{}")
    assert toy(tmp_path, study, retry=True) == 0
    assert statuses(tmp_path, norms=("gn",), seeds=1) == ["done"]


def test_a_worker_that_dies_is_replaced_and_its_cell_gives_the_same(toy, tmp_path, monkeypatch):
    assert toy(tmp_path / "whole", jobs=2) == 0
    acts(monkeypatch, TOY='{"bn 1": "kill once"}', TOY_MARK=str(tmp_path / "mark"))
    assert toy(tmp_path / "hit", jobs=1) == 0
    assert [status for status, _ in ends(tmp_path / "hit")] == ["killed"]
    assert table(tmp_path / "hit") == table(tmp_path / "whole")


@pytest.mark.parametrize("act", ["hang", "stuck"])
@pytest.mark.parametrize("seeds", [3, pytest.param(12, marks=pytest.mark.soak)])
def test_a_cell_over_its_time_is_a_timeout_and_the_study_goes_on(toy, tmp_path, monkeypatch, act, seeds):
    """It goes with all that it has started."""
    stuck, mark = seeds - 2, tmp_path / "mark"
    late = {f"bn {seed}": f"{act} beside a process" for seed in range(stuck)}
    acts(monkeypatch, TOY=json.dumps(late), TOY_MARK=str(mark))
    assert toy(tmp_path, toy_study(seeds=seeds), jobs=2, cell_timeout_s=0.5) == 1
    assert Counter(statuses(tmp_path, seeds=seeds)) == {"timeout": stuck, "done": seeds * 2 - stuck}
    pids = [int(word) for word in mark.read_text().split()]
    assert len(pids) == 2 * 3 * stuck and gone(pids, 5)
    late, *_ = [record for record in store_of(tmp_path).attempts() if record.status == "timeout"]
    assert 0.5 <= late.spent.lost_s < 2
    assert late.provenance.cpu  # an attempt without a result carries its origin too


def test_what_a_library_prints_does_not_reach_the_driver(toy, tmp_path, monkeypatch):
    acts(monkeypatch, TOY='{"bn 0": "chat"}')
    assert toy(tmp_path) == 0


def test_an_answer_to_an_attempt_that_was_ended_is_superseded(tmp_path, capfd):
    """Whole results, of a cell that another has done meanwhile and of one that another is at."""
    study, late = toy_study(), Worker()
    store = store_of(tmp_path)
    with store.driving(study, None) as refuse_moved:
        driver = runner.Driver(study, store, Options(results=tmp_path), Stop(), refuse_moved)
        first, second, *_ = study.cells()
        origin = origin_in(store)
        for cell in (first, second):
            driver.log.close(cell_message(cell), 1, failure("killed", "it slept", MACHINE, 1.0), origin)
        driver.log.close(cell_message(first), 2, done(), origin)
        store.lease(cell_message(second), 2, 1, origin)
        before = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}
        answers = [
            {"cell": cell.id, "attempt": 1, "result": done(0.5), "wall_s": 1.0} for cell in (first, second)
        ]
        for answer in answers:
            driver._take_result(late, answer, None)  # its cell was closed
        late.cell, late.attempt = second, 2
        for answer in answers:
            driver._take_result(late, answer, None)  # another attempt of it runs
    assert capfd.readouterr().err.count("superseded: attempt 1 of cell") == 4
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.json")} == before and len(before) == 4
    assert late.cell is second and driver.log.outcomes() == {first.id: "done"}


# limits


def test_limit_and_total_budget_stop_early_and_the_same_command_goes_on(toy, tmp_path):
    assert toy(tmp_path, jobs=2, limit=2) == 5
    assert statuses(tmp_path).count("done") == 2  # a toy cell says that it cost one second
    assert toy(tmp_path, total_budget_s=4.5) == 5
    assert statuses(tmp_path).count("done") == 4
    assert toy(tmp_path) == 0


def test_the_total_budget_counts_the_cells_that_run(toy, tmp_path, monkeypatch):
    assert toy(tmp_path, limit=1) == 5
    acts(monkeypatch, TOY_SLEEP_S="0.3")
    assert toy(tmp_path, toy_study(seeds=8), jobs=4, total_budget_s=3.5) == 5
    assert statuses(tmp_path, seeds=8).count("done") == 3


def test_jobs_follow_the_cores_the_threads_and_the_kind_of_budget(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    steps, seconds = toy_study(), toy_study(budget="2s")
    assert Options().jobs_for(steps) == 8
    assert Options(threads=3).jobs_for(steps) == 2
    assert Options(threads=16).jobs_for(steps) == 1
    assert Options(jobs=5).jobs_for(steps) == 5
    assert Options(jobs=5).jobs_for(seconds) == 1
    assert Options(jobs=5, device="cuda:0").jobs_for(steps) == 1
    assert Options(jobs=5, device="cuda:0,cuda:1").jobs_for(steps) == 2


def test_a_budget_in_seconds_is_calibrated_once_and_before_each_seed(toy, tmp_path, capfd):
    study = toy_study(budget="2s", seeds=2)
    assert toy(tmp_path, study, limit=1) == 5
    assert toy(tmp_path, study) == 0
    assert capfd.readouterr().err.count("timing one step and one evaluation of each of 2 arms") == 1
    steps = [record.spent.steps for record in store_of(tmp_path).attempts() if record.levels["norm"] == "gn"]
    assert steps == [100, 100]  # 2 s of steps of 0.02 s
    more = toy_study(budget="2s", seeds=2, norms=("bn", "gn", "ln"))
    assert toy(tmp_path, more) == 0  # times the new arm alone
    timed = [len(calibration.step_s) for calibration in store_of(tmp_path).calibrations()]
    assert timed == [2, 1, 2, 1, 1, 1]  # at the start, the rest of seed 0, seed 1; then the new arm
