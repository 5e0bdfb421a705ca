"""The driver with real processes and a toy trainer: signals, crashes, limits, refusals."""

import errno
import json
import os
import signal
import socket
import threading
import time
from collections import Counter
from dataclasses import replace

import pytest

from fairtrial.cli.main import main
from fairtrial.errors import Fault
from fairtrial.execution import runner, worker_pool
from fairtrial.execution.attempt_log import MACHINE
from fairtrial.execution.engine import Worker
from fairtrial.execution.runner import Options, Wanted
from fairtrial.signals import Stop
from fairtrial.storage import atomic
from fairtrial.storage.integrity import sealed
from fairtrial.storage.outcomes import outcomes
from fairtrial.storage.record import attempt_record, cell_message, failure
from fairtrial.storage.store import Store
from fairtrial.study.contrast import Contrast
from fairtrial.study.factors import recorded_digest
from fairtrial.study.tuning_plan import Tuning
from fairtrial.tuning.schedule import tuning_alone, whole_study
from fairtrial.tuning.selection import resolve
from tests.support.records import done, origin_in
from tests.support.studies import write
from tests.support.toy import (
    HANG,
    WORKER,
    children,
    gone,
    leases,
    run,
    slay,
    start,
    statuses,
    store_of,
    table,
    toy_study,
    until,
    workers_of,
)  # fmt: skip

pytestmark = pytest.mark.slow


@pytest.fixture
def toy(monkeypatch):
    """Toy workers under a driver in this process: `toy(results, study, **options)` -> exit code.

    One worker, where a test asks for no more: to start a second one takes longer than what it runs.
    """
    monkeypatch.setattr(worker_pool, "ENTRY", (WORKER,))

    def go(results, study=None, ask=None, **options):
        return runner.run(study or toy_study(), Options(results=results, **{"jobs": 1, **options}), ask)

    return go


def acts(monkeypatch, **environment):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def ends(results):
    """(status, how it ended) of the attempts that have no result."""
    found = [record for record in store_of(results).attempts() if record.error]
    return [(record.status, record.error.what) for record in found]


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


# refusals


def test_cells_of_other_threads_are_refused_with_both_values(toy, tmp_path):
    assert toy(tmp_path, limit=1) == 5
    with pytest.raises(Fault, match="threads 1; this run has 2") as refused:
        toy(tmp_path, threads=2)
    assert refused.value.code == 4
    assert not leases(tmp_path)
    assert toy(tmp_path, threads=2, allow_mixed=True) == 0


def of_commit(results, commit):
    """Let the recorded cells be of another commit, under fresh seals."""
    for path in store_of(results).folder.glob("cells/*.json"):
        record = json.loads(path.read_text())
        record.pop("sha256")
        record["origin"] |= {"commit": commit, "dirty": None}
        path.write_text(sealed(record))


def test_cells_of_another_commit_are_refused_before_the_first_cell(toy, tmp_path):
    """The report would refuse them after the last one."""
    assert toy(tmp_path, limit=1) == 5
    of_commit(tmp_path, "a" * 40)
    with pytest.raises(Fault, match=r"mixed code: recorded cells are of .* commit aaaaaaa") as no:
        toy(tmp_path)
    assert no.value.code == 4
    assert sum(row["status"] == "done" for row in table(tmp_path)) == 1 and not leases(tmp_path)
    assert toy(tmp_path, allow_mixed=True) == 0


def test_records_of_another_driver_are_held_to_the_same_commit(toy, tmp_path):
    """Two parts of two commits, started before either has a record."""
    study = toy_study(seeds=2)
    other = store_of(tmp_path)
    first, *rest = study.cells()

    def ask(known):
        if len(known) < len(rest):
            return Wanted(rest)
        other.publish(
            attempt_record("toy", cell_message(first), 1, done(), origin_in(other, commit="b" * 40))
        )
        return Wanted([first, *rest], records=other.attempts())

    with pytest.raises(Fault, match="mixed code"):
        toy(tmp_path, study, ask)


def test_trials_of_another_commit_are_taken(toy, tmp_path):
    """They choose a rate, and no verdict rests on them; a rerun of old trials would cost for nothing."""
    study = toy_study(val_per_class=2, tuning={})
    assert toy(tmp_path, study, tuning_alone(study)) == 0
    of_commit(tmp_path, "a" * 40)
    assert toy(tmp_path, study, whole_study(study)) == 0


def test_a_declaration_after_the_first_cells_is_said_to_be_exploratory_before_more_run(toy, tmp_path, capfd):
    contrast = Contrast("gn", treatment={"norm": "gn"}, control={"norm": "bn"})
    assert toy(tmp_path, toy_study(primary=contrast)) == 0
    assert "exploratory" not in capfd.readouterr().err
    longer = toy_study(primary=contrast, seeds=5)
    assert toy(tmp_path, longer) == 0
    assert "exploratory: every contrast: 6 cells of this study had ended" in capfd.readouterr().err
    assert toy(tmp_path, longer) == 0  # nothing left to run, nothing to say
    assert "exploratory" not in capfd.readouterr().err


def test_changed_data_is_refused_with_both_digests(toy, tmp_path, monkeypatch):
    assert toy(tmp_path, limit=1) == 5
    acts(monkeypatch, TOY_DATA="e" * 64)
    with pytest.raises(Fault, match=r"saw sha256 d{12}\.\.\., now e{12}") as refused:
        toy(tmp_path)
    assert refused.value.code == 4
    assert not leases(tmp_path)
    assert {status for status, _ in ends(tmp_path)} == {"interrupted"}
    acts(monkeypatch, TOY_DATA="d" * 64)
    assert toy(tmp_path) == 0


def test_a_worker_that_cannot_start_is_a_refusal_not_a_loop(tmp_path, monkeypatch):
    monkeypatch.setattr(worker_pool, "ENTRY", ("-c", "raise SystemExit(7)"))
    with pytest.raises(Fault, match="could not start: the worker ended with exit code 7") as refused:
        runner.run(toy_study(), Options(results=tmp_path))
    assert refused.value.code == 4


@pytest.mark.parametrize(
    ("drivers", "times"),
    [
        (2, 5),
        *(pytest.param(*each, marks=[pytest.mark.soak, pytest.mark.slow]) for each in ((4, 1), (2, 50))),
    ],
)
def test_of_drivers_started_together_one_works_and_the_others_are_told_who(tmp_path, drivers, times):
    for results in (tmp_path / str(number) for number in range(times)):
        together = [start(results, toy=HANG) for _ in range(drivers)]
        try:
            until(lambda: sum(each.poll() is None for each in together) == 1, 60)  # noqa: B023
            (first,) = [each for each in together if each.poll() is None]
            for told in [each.communicate()[1] for each in together if each is not first]:
                assert (
                    f"process {first.pid} on {socket.gethostname()}, started {time.strftime('%Y-')}" in told
                )
                assert str(results / "toy" / ".lock") in told
            assert sorted(each.poll() or 0 for each in together) == [0] + [4] * (drivers - 1)
            until(lambda: len(leases(results)) == 2, 60)  # noqa: B023
        finally:
            for each in together:
                slay(each)
        assert run(results)[0] == 0  # it does not wait for the dead holder
        assert Counter(record.status for record in store_of(results).attempts()) == {"killed": 2, "done": 6}


# signals, beside tests/execution/test_signals_of_a_run.py


def test_a_signal_to_the_group_does_not_reach_workers_that_are_starting(tmp_path):
    driver = start(tmp_path, toy={"TOY_START_S": "0.5", "TOY_SLEEP_S": "60"})
    until(lambda: len(workers_of(driver.pid)) == 2)
    jobs = workers_of(driver.pid)
    for _ in range(20):
        for pid in jobs:
            os.kill(pid, signal.SIGINT)
            os.kill(pid, signal.SIGTERM)
        time.sleep(0.02)
    until(lambda: len(leases(tmp_path)) == 2)
    assert workers_of(driver.pid) == jobs  # both have come up all the same
    driver.terminate()
    assert (driver.communicate(timeout=10)[1], driver.returncode) == ("", 75)


def test_a_signal_ends_a_calibration(tmp_path):
    driver = start(tmp_path, study={"budget": "2s"}, toy={"TOY_CALIBRATE": "hang"})
    until(lambda: workers_of(driver.pid))
    time.sleep(0.5)
    jobs = workers_of(driver.pid)
    driver.terminate()
    driver.communicate(timeout=10)
    assert (driver.returncode, gone(jobs)) == (75, True)
    assert not store_of(tmp_path).calibrations()


# a driver that dies


@pytest.mark.parametrize("act", ["hang", "stuck"])
def test_no_worker_outlives_its_driver_even_when_it_is_stuck_in_a_call(tmp_path, act):
    driver = start(tmp_path, toy=dict.fromkeys(HANG, act), jobs=3)
    until(lambda: len(leases(tmp_path)) == 3)
    time.sleep(0.2)  # into the call
    jobs = slay(driver)
    assert len(jobs) == 3
    assert gone(jobs)


def test_the_seconds_of_a_killed_driver_are_billed_to_within_a_heartbeat(tmp_path):
    driver, began = start(tmp_path, toy=HANG, beat_s=0.2), time.monotonic()
    until(lambda: len(leases(tmp_path)) == 2)
    time.sleep(1.5)
    slay(driver)
    lived = time.monotonic() - began
    assert run(tmp_path, beat_s=0.2)[0] == 0
    billed = [record for record in store_of(tmp_path).attempts() if record.status == "killed"]
    assert [record.error.what for record in billed] == ["the driver ended without a word"] * 2
    for record in billed:
        # at least what ran: a crash gives no free compute; at most the driver's life, a beat and a look more
        assert 1.5 <= record.spent.lost_s <= lived + 2 * (0.2 + worker_pool.POLL_S)
        assert record.provenance.threads == 1


def test_leases_of_another_declaration_are_closed_too(toy, tmp_path):
    driver = start(tmp_path, toy=HANG)
    until(lambda: len(leases(tmp_path)) == 2)
    slay(driver)
    assert toy(tmp_path, toy_study(norms=("ln", "none"))) == 0
    assert not leases(tmp_path)
    assert [status for status, _ in ends(tmp_path)] == ["killed"] * 2


# a full disk


def test_a_disk_that_fills_while_a_record_is_written_ends_the_run_with_6_and_the_rest_is_intact(
    toy, tmp_path, monkeypatch
):
    write = os.write

    def full(handle, data):
        if b'"status": "done"' in data and b'"seed": 1' in data:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(handle, data)

    monkeypatch.setattr(atomic.os, "write", full)
    with pytest.raises(Fault, match="could not write") as stopped:
        toy(tmp_path / "hit", jobs=2)
    monkeypatch.setattr(atomic.os, "write", write)
    assert (stopped.value.code, "free some space" in stopped.value.block()) == (6, True)
    found = statuses(tmp_path / "hit")
    assert set(found) == {"done", "pending"}
    assert not list(tmp_path.rglob("*.tmp"))
    assert run(tmp_path / "hit")[0] == 0
    assert run(tmp_path / "whole")[0] == 0
    assert table(tmp_path / "hit") == table(tmp_path / "whole")


def test_a_disk_that_fills_in_the_driver_ends_the_jobs_and_leaves_the_leases_for_later(
    toy, tmp_path, monkeypatch
):
    acts(monkeypatch, TOY=json.dumps(HANG))
    told, write, before = [], os.write, children(os.getpid())  # a pool of another test leaves its tracker

    def full(handle, data):
        if len(told) >= 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        if b'"started"' in data:  # the first lease is the last thing that fits
            told.append(data)
        return write(handle, data)

    monkeypatch.setattr(atomic.os, "write", full)
    with pytest.raises(Fault, match="No space left on device") as stopped:
        toy(tmp_path, jobs=2)
    monkeypatch.undo()
    assert stopped.value.code == 6
    assert gone([pid for pid in children(os.getpid()) if pid not in before])
    assert len(leases(tmp_path)) == 1
    assert run(tmp_path)[0] == 0
    assert [status for status, _ in ends(tmp_path)] == ["killed"]
    assert not leases(tmp_path)


def test_a_disk_that_is_full_when_a_signal_comes_does_not_hide_the_signal(toy, tmp_path, monkeypatch):
    acts(monkeypatch, TOY=json.dumps(HANG))
    write = os.write

    def full(handle, data):
        if b'"interrupted"' in data:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(handle, data)

    def signal_once_both_work():
        until(lambda: len(leases(tmp_path)) == 2)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(atomic.os, "write", full)
    threading.Thread(target=signal_once_both_work).start()
    assert toy(tmp_path, jobs=2) == 75
    assert len(leases(tmp_path)) == 2  # the next run bills them
    assert statuses(tmp_path) == ["pending"] * 6


# growth


@pytest.mark.parametrize(
    "more", [{"seeds": 5}, {"norms": ("bn", "gn", "ln")}, {"norms": ("ln", "gn", "bn"), "seeds": 4}]
)
def test_a_grown_study_changes_no_old_file_and_trains_the_new_cells_alone(toy, tmp_path, more):
    assert toy(tmp_path) == 0
    before = {path: path.read_bytes() for path in (tmp_path / "toy" / "cells").iterdir()}
    assert toy(tmp_path, toy_study(**more)) == 0
    after = {path: path.read_bytes() for path in (tmp_path / "toy" / "cells").iterdir()}
    assert before == {path: after[path] for path in before}
    assert len(after) == len(toy_study(**more).cells())


def test_every_attempt_says_which_declaration_it_ran_under_whatever_is_declared_later(toy, tmp_path):
    tuning = Tuning({"lr": (0.03, 0.1, 0.3)}, seeds=1)
    declared = [
        toy_study(seeds=1, val_per_class=2),
        toy_study(seeds=2, val_per_class=2),
        toy_study(seeds=2, val_per_class=2, tuning=tuning),
    ]
    known: set[str] = set()
    for number, study in enumerate(declared, start=1):
        assert toy(tmp_path, study, ask=whole_study(study), limit=1) == 5
        assert toy(tmp_path, study, ask=whole_study(study)) == 0
        hashes, attempts = store_of(tmp_path).hashes(), store_of(tmp_path).attempts()
        assert len(hashes) == number and hashes[-1] == recorded_digest(study.declaration())
        made = {record.cell: record.provenance.declaration for record in attempts if record.cell not in known}
        assert made and set(made.values()) == {hashes[-1]}
        known |= made.keys()
    fixed = toy_study(seeds=2, val_per_class=2, tuning=tuning).at_one_rule(0.3)
    assert toy(tmp_path, fixed) == 0
    (digest,) = Store.of(fixed, tmp_path).hashes()
    assert {record.provenance.declaration for record in Store.of(fixed, tmp_path).attempts()} == {digest}


def test_a_lease_from_before_records_said_their_declaration_is_closed(toy, tmp_path):
    assert toy(tmp_path, limit=1) == 5
    (ran,) = store_of(tmp_path).attempts()
    origin = {name: value for name, value in ran.provenance.as_json().items() if name != "declaration"}
    store_of(tmp_path).lease(toy_study().cells()[-1].record(), 1, 1, origin)
    assert toy(tmp_path) == 0
    (killed,) = (record for record in store_of(tmp_path).attempts() if record.status == "killed")
    assert (killed.provenance.declaration,) == store_of(tmp_path).hashes()


# a stopping rule


def rounds(study, *sizes):
    """A rule that asks for so many seeds first, and for more whenever they have an outcome."""
    calls = []

    def ask(known):
        for size in sizes:
            wanted = [cell for cell in study.cells() if cell.seed < size]
            if not {cell.id for cell in wanted} <= known.keys():
                break
        calls.append(len(wanted))
        return Wanted(wanted, (f"up to {size} seeds",))

    return ask, calls


def test_a_rule_is_asked_again_when_its_cells_have_an_outcome(toy, tmp_path, capfd):
    study = toy_study(seeds=4)
    ask, calls = rounds(study, 1, 2, 3)
    assert toy(tmp_path, study, ask=ask) == 0  # the cells of the fourth seed are nobody's wish
    assert calls == [2, 4, 6, 6]
    assert {(row["seed"], row["status"]) for row in table(tmp_path, seeds=4)} == {
        (0, "done"), (1, "done"), (2, "done"), (3, "pending"),
    }  # fmt: skip
    told = capfd.readouterr().err
    assert [told.count(f"up to {seeds} seeds") for seeds in (1, 2, 3)] == [1, 1, 1]
    assert toy(tmp_path, study, ask=ask) == 0
    assert len(store_of(tmp_path).attempts()) == 6


def test_limit_and_budget_hold_over_the_rounds_of_a_rule(toy, tmp_path):
    study = toy_study(seeds=4)
    ask, _ = rounds(study, 1, 2, 3)
    assert toy(tmp_path, study, ask=ask, limit=3) == 5
    assert len(store_of(tmp_path).attempts()) == 3
    assert toy(tmp_path, study, ask=ask, total_budget_s=1e-9) == 5
    assert len(store_of(tmp_path).attempts()) == 3
    assert toy(tmp_path, study, ask=ask) == 0


def test_a_tuned_study_runs_its_trials_first_then_each_arm_at_its_rate(toy, tmp_path, capfd):
    tuning = Tuning({"lr": (0.03, 0.1, 0.3)}, seeds=2, share=0.5)
    study = toy_study(seeds=2, val_per_class=2, tuning=tuning)
    assert toy(tmp_path, study, ask=whole_study(study)) == 0
    attempts = store_of(tmp_path).attempts()
    stages = [record.settings.stage for record in sorted(attempts, key=lambda one: one.provenance.ended)]
    trials = stages.count("tuning")
    assert stages == ["tuning"] * trials + ["downstream"] * (len(stages) - trials)
    _, stage = resolve(study, outcomes(attempts))
    assert stage.complete and len(stage.cells) == trials
    ran = {(r.levels["norm"], r.settings.lr) for r in attempts if r.settings.stage == "downstream"}
    assert ran == {(dict(regime)["norm"], params["lr"]) for (_, regime), params in stage.chosen.items()}
    assert toy(tmp_path, study, ask=whole_study(study)) == 0  # typed again, it trains nothing
    assert len(store_of(tmp_path).attempts()) == len(attempts)


def test_tuning_that_was_cut_off_goes_on_where_it_stopped(toy, tmp_path):
    study = toy_study(seeds=2, val_per_class=2, tuning=Tuning({"lr": (0.03, 0.1, 0.3)}, seeds=1))
    assert toy(tmp_path, study, ask=tuning_alone(study), limit=3) == 5
    assert len(store_of(tmp_path).attempts()) == 3
    assert toy(tmp_path, study, ask=tuning_alone(study)) == 0
    assert {record.settings.stage for record in store_of(tmp_path).attempts()} == {"tuning"}


def test_the_command_line_stops_a_study_early_and_status_tells(monkeypatch, tmp_path, capfd):
    """Toy scores decide nothing within 1 point, so both looks are read; the driver asks the analysis."""
    monkeypatch.setattr(worker_pool, "ENTRY", (WORKER,))
    path = write(tmp_path, ("seeds=range(3)", "seeds=range(6)"))
    where = [str(path), "--results", str(tmp_path / "r"), "--stop", "looks:3,6"]
    assert main(["run", *where]) == 0
    told = capfd.readouterr()
    assert "interim analysis 1 of 2, at 3 seeds: decided " in told.err
    assert "paired seeds (interim analysis " in told.out
    assert main(["status", *where, "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["looks"] and "pending" not in found["counts"]
    assert sum(found["counts"].values()) == found["cells"]
    assert found["counts"].get("spared", 0) == 6  # the arms at batch 16 belong to no contrast


def test_what_cannot_be_opened_changes_no_declaration(toy, tmp_path, monkeypatch):
    """The images are opened first: a slip of the pen leaves a finished study finished, and declares none."""
    monkeypatch.setenv("TOY_MISSING", "folder:/nowhere")
    wrong = replace(toy_study(), fixed={**toy_study().fixed, "data": "folder:/nowhere"})
    with pytest.raises(Fault, match="the images cannot be read"):
        toy(tmp_path, wrong)
    assert not (tmp_path / "toy").exists()
    assert toy(tmp_path, toy_study()) == 0
    declared = (tmp_path / "toy" / "study.json").read_bytes()
    with pytest.raises(Fault, match="the images cannot be read"):
        toy(tmp_path, wrong)
    assert (tmp_path / "toy" / "study.json").read_bytes() == declared
    # nothing is opened where every cell is recorded
    monkeypatch.setenv("TOY_MISSING", "digits")
    assert toy(tmp_path, toy_study(seeds=2)) == 0
    assert len(Store(tmp_path / "toy").declared()["history"]) == 2
