"""Timed launches before and after the runs of a study in seconds."""

import json
import os
import signal

import numpy as np
import pytest

from fairtrial.execution import runner, step_times, worker_pool
from fairtrial.execution.launches import LAUNCHES, MOST_LAUNCHES, calibrate, half_width, until_even
from fairtrial.execution.runner import Options
from fairtrial.execution.ways import fastest, ways_of
from fairtrial.stats.cost_parity import MOST_ROUNDS, REFUSED, ROUNDS, cost_parity
from fairtrial.storage import provenance
from fairtrial.storage.calibrations import sessions_of
from fairtrial.storage.store import Store
from fairtrial.study.identity import arm_key
from fairtrial.study.settings import Settings
from fairtrial.study.study import Contrast
from fairtrial.tuning.schedule import whole_study
from tests.support.toy import WORKER, store_of, toy_study

PAIR = Contrast("pair", {"norm": "gn"}, {"norm": "bn"})


@pytest.fixture
def timed(tmp_path, monkeypatch, capfd):
    """Run four seeds whose seconds are as said; what is on the screen, and the launches after the runs."""
    monkeypatch.setattr(worker_pool, "ENTRY", (WORKER,))

    def run(seconds, launches="steady"):
        monkeypatch.setenv("TOY_TRAIN_S", json.dumps(seconds))
        monkeypatch.setenv("TOY_LAUNCHES", launches)
        assert runner.run(toy_study(budget="2s", seeds=4, primary=PAIR), Options(results=tmp_path)) == 0
        made = store_of(tmp_path).calibrations()
        return capfd.readouterr().err, [each.rounds for each in made if not each.step_s]

    return run


OPEN = {"bn 0": 1.1, "gn 1": 1.1, "bn 2": 1.05}


def test_a_forecast_is_timed_by_as_many_workers_as_will_run_side_by_side(tmp_path, monkeypatch):
    """Two cores of one processor are slower together than one alone; and a cell evaluates, too."""
    monkeypatch.setattr(worker_pool, "ENTRY", (WORKER,))
    calibrate(toy_study(), Options(results=tmp_path, jobs=3))
    (made,) = store_of(tmp_path).calibrations()
    assert [len(seconds) for seconds in made.rounds.values()] == [3 * LAUNCHES] * 2
    assert made.side_by_side == 3
    assert list(made.looks.values()) == [{"image_s": 0.5, "classes": 10, "train_n": 1000, "test_n": 20}] * 2
    calibrate(toy_study(budget="2s"), Options(results=tmp_path / "timed", jobs=3))
    (alone,) = store_of(tmp_path / "timed").calibrations()
    assert all(len(seconds) <= MOST_LAUNCHES for seconds in alone.rounds.values())  # seconds are timed alone
    assert alone.side_by_side == 1


def test_times_of_cells_side_by_side_set_no_number_of_steps(tmp_path, monkeypatch, capfd):
    """`plan --calibrate` of a budget in examples, then `run --budget 2s` in the same folder."""
    monkeypatch.setattr(worker_pool, "ENTRY", (WORKER,))
    calibrate(toy_study(), Options(results=tmp_path, jobs=2))
    capfd.readouterr()
    assert runner.run(toy_study(budget="2s", seeds=2), Options(results=tmp_path)) == 0
    assert "timing one step and one evaluation of each of 2 arms" in capfd.readouterr().err
    assert [each.side_by_side for each in store_of(tmp_path).calibrations()] == [2, 1, 1]


def test_costs_that_the_runs_leave_open_are_launched_again_and_recorded(timed):
    said, rounds = timed(OPEN)
    assert "whether 2 arms cost equal seconds is open: timing them again" in said
    assert [[len(seconds) for seconds in each.values()] for each in rounds] == [[ROUNDS, ROUNDS]]
    assert timed(OPEN) == ("", rounds)  # decided: the same command launches nothing more


def test_costs_that_the_runs_decide_are_not_launched_again(timed):
    assert timed({})[1] == [] and "again" not in timed({})[0]


def test_launches_after_the_runs_end_when_they_decide_nothing(timed):
    """A toy's step takes as long at each session: the last one set them all, and its rounds are units."""
    _, rounds = timed(OPEN, "noisy")
    assert len(rounds) == MOST_ROUNDS / ROUNDS
    assert timed(OPEN, "noisy") == ("", rounds)


def test_arms_are_timed_anew_before_each_seed(timed, tmp_path):
    """bn becomes 3 % slower at each session: its runs get fewer steps, and the next session judges them."""
    timed(OPEN, "drifting")
    store = store_of(tmp_path)
    setting = store.calibrations()
    assert len(setting) == 4  # those between the runs decide, none after them
    set_by = {(one.levels["norm"], one.seed): one.spent for one in store.attempts()}
    for norm in ("bn", "gn"):
        (arm,) = {arm_key(one.settings) for one in store.attempts() if one.levels["norm"] == norm}
        for seed, calibration in enumerate(setting):
            assert set_by[norm, seed].calibrated_step_s == calibration.step_s[arm]
            assert set_by[norm, seed].steps == round(2 / calibration.step_s[arm])
    sides = [[one.timed for one in store.attempts() if one.levels["norm"] == norm] for norm in ("gn", "bn")]
    found = cost_parity(sides, sessions_of(store.calibrations()))
    assert (found.source, found.verdict) == ("launches", REFUSED)
    assert found.ratio == pytest.approx(1.03, abs=0.002)  # each seed by the session after it
    timed(OPEN, "drifting")
    assert len(store.calibrations()) == 4


def test_trials_go_by_the_steps_of_before_and_runs_are_timed_after_them(tmp_path, monkeypatch):
    monkeypatch.setattr(worker_pool, "ENTRY", (WORKER,))
    monkeypatch.setenv("TOY_LAUNCHES", "drifting")
    study = toy_study(budget="2s", seeds=2, val_per_class=2, tuning={"seeds": 2})
    assert runner.run(study, Options(results=tmp_path), whole_study(study)) == 0
    store = Store.of(study, tmp_path)
    first, *between = store.calibrations()
    assert len(between) == 2
    for one in store.attempts():
        by = first if one.settings.stage == "tuning" else between[one.seed]
        assert one.spent.calibrated_step_s == by.step_s[arm_key(one.settings)]


def test_a_worker_that_dies_as_it_times_a_seed_loses_the_launches_alone(timed, monkeypatch, tmp_path):
    """The seed runs by the steps of before, and that is said."""
    time_steps, sessions = worker_pool.WorkerPool.time_steps, []

    def dying(pool, workers, *more):
        sessions.append(workers)
        if len(sessions) == 5:  # two choose the way, the third sets the steps of the first seed
            os.kill(workers[0].pid, signal.SIGKILL)
        return time_steps(pool, workers, *more)

    monkeypatch.setattr(worker_pool.WorkerPool, "time_steps", dying)
    said, _ = timed({})
    assert "the arms of seed 2 keep the steps of before: the calibration stopped" in said
    store = store_of(tmp_path)
    assert len(store.calibrations()) == 3 and {one.status for one in store.attempts()} == {"done"}


def test_a_signal_during_the_launches_between_seeds_leaves_the_seed_for_the_next_run(
    timed, monkeypatch, tmp_path
):
    time_steps, sessions = worker_pool.WorkerPool.time_steps, []

    def stopped(pool, workers, arms, rounds, stop, *more):
        sessions.append(workers)
        if len(sessions) == 5:
            stop.code = 75
        return time_steps(pool, workers, arms, rounds, stop, *more)

    monkeypatch.setattr(worker_pool.WorkerPool, "time_steps", stopped)
    study = toy_study(budget="2s", seeds=4, primary=PAIR)
    assert runner.run(study, Options(results=tmp_path)) == 75
    assert {one.seed for one in store_of(tmp_path).attempts()} == {0, 1}
    assert runner.run(study, Options(results=tmp_path)) == 0
    assert [one.status for one in store_of(tmp_path).attempts()] == ["done"] * 8


def test_another_machine_cannot_check_the_seconds_of_the_runs(timed, monkeypatch, tmp_path):
    monkeypatch.setattr(worker_pool.WorkerPool, "time_steps", _interrupted(worker_pool.WorkerPool.time_steps))
    assert timed(OPEN)[1] == []
    monkeypatch.undo()
    monkeypatch.setattr(worker_pool, "ENTRY", (WORKER,))
    monkeypatch.setenv("TOY_CPU", "another")
    assert runner.run(toy_study(budget="2s", seeds=4, primary=PAIR), Options(results=tmp_path)) == 0
    assert all(each.step_s for each in store_of(tmp_path).calibrations())


def _interrupted(time_steps):
    """Launches before the runs alone, as if a signal had come behind the runs."""

    def wrapped(pool, worker, arms, rounds, stop, *more):
        return None if rounds == ROUNDS else time_steps(pool, worker, arms, rounds, stop, *more)

    return wrapped


def test_more_launches_come_while_a_ratio_is_uncertain():
    rng, calls = np.random.default_rng(3), []

    def launch(noise):
        def rounds(number):
            calls.append(number)
            shared = np.exp(0.3 * rng.normal(size=number))  # what all arms of a round share is no uncertainty
            return {arm: list(shared * np.exp(noise * rng.normal(size=number))) for arm in "ab"}

        return rounds

    assert len(until_even(launch(0.001))["a"]) == 5
    assert len(until_even(launch(0.1))["a"]) == MOST_LAUNCHES
    assert calls == [5, 5, 5, 5, 5]
    rows = {arm: np.exp(0.02 * rng.normal(size=400)).tolist() for arm in "abc"}
    assert half_width(rows) == pytest.approx(2 * 0.02 * np.sqrt(2 / 400), rel=0.1)


@pytest.mark.parametrize(
    ("levels", "swept", "of_device", "found"),
    [
        ({"norm": "bn", "weight_std": False}, (), "compiled", "nchw fastest, nhwc fastest"),
        (
            {"norm": "bn", "weight_std": True},
            (),
            "compiled",
            "nchw fastest, nchw torch, nhwc fastest, nhwc torch",
        ),
        ({"norm": "gn", "weight_std": False}, (), "compiled", "nchw fastest, nhwc fastest"),
        ({"norm": "gn", "weight_std": False}, ("layout",), "triton", "nchw fastest, nchw torch"),
        ({"norm": "gn", "weight_std": True}, ("kernels",), "triton", "nchw fastest, nhwc fastest"),
        ({"norm": "gn", "weight_std": True}, (), "torch", "nchw fastest, nhwc fastest"),
        (
            {"norm": "ln", "weight_std": False, "kernels": "fused"},
            (),
            "compiled",
            "nchw fused, nchw torch, nhwc fused, nhwc torch",
        ),
        ({"norm": "bn", "weight_std": False, "kernels": "fused"}, (), "compiled", "nchw fused, nhwc fused"),
    ],
)
def test_an_arm_may_run_in_each_layout_and_on_our_kernels_where_it_has_some(levels, swept, of_device, found):
    ways = ways_of(Settings(**levels), swept, of_device)
    assert ", ".join(" ".join(way.values()) for way in ways) == found


def test_the_fastest_way_wins_and_slow_ones_are_launched_once():
    cell = toy_study(budget="2s").cells()[0]
    ways = [
        {"layout": layout, "kernels": kernels}
        for layout in ("nchw", "nhwc")
        for kernels in ("fastest", "torch")
    ]
    times = dict(
        zip(("nchw fastest", "nchw torch", "nhwc fastest", "nhwc torch"), (1.0, 1.2, 0.95, 1.05), strict=True)
    )
    launched = []

    def launch(cells, rounds):
        names = {key: f"{cell.settings.layout} {cell.settings.kernels}" for key, cell in cells.items()}
        launched.append(sorted(names.values()))
        return {key: [times[name]] * rounds for key, name in names.items()}

    assert fastest({"a": cell}, {"a": ways}, launch) == {"a": {"layout": "nhwc", "kernels": "fastest"}}
    assert launched == [sorted(times), ["nchw fastest", "nhwc fastest", "nhwc torch"]]
    assert fastest({"a": cell}, {"a": ways}, lambda cells, rounds: None) is None
    assert fastest({}, {}, launch) == {}


def test_one_choice_holds_for_a_study_stands_in_its_records_and_leaves_its_ids(timed, tmp_path, monkeypatch):
    timed({}, "nhwc")
    attempts = store_of(tmp_path).attempts()
    assert {attempt.cell for attempt in attempts} == {
        cell.id for cell in toy_study(budget="2s", seeds=4).cells()
    }
    assert {attempt.drawn.layout for attempt in attempts} == {"nhwc"}
    monkeypatch.setenv("TOY_LAUNCHES", "nchw")
    more = toy_study(budget="2s", seeds=5, norms=("bn", "gn", "ln"))
    calibrate(more, Options(results=tmp_path))
    assert runner.run(more, Options(results=tmp_path)) == 0
    found = {attempt.levels["norm"]: attempt.drawn.layout for attempt in store_of(tmp_path).attempts()}
    assert found == {"bn": "nhwc", "gn": "nhwc", "ln": "nchw"}


def test_an_arm_that_was_timed_as_declared_keeps_what_was_declared(timed, tmp_path):
    study = toy_study(budget="2s", seeds=4, primary=PAIR)
    store = store_of(tmp_path)
    store.folder.mkdir()
    with_kernels = provenance.gather("cpu", 1, {}, "compiled")  # as a toy says
    store.calibrate(dict.fromkeys(step_times.first_cells(study.cells()), 0.01), with_kernels)
    timed({}, "nhwc")
    assert {attempt.drawn.layout for attempt in store.attempts()} == {None}
