"""Seconds per step: from calibrations made as here, else from recorded cells."""

from dataclasses import replace

import pytest

from fairtrial.planning import forecast
from fairtrial.planning.forecast import arm_of, arms_of, calibrated, cell_seconds, overhead, step_seconds
from fairtrial.storage.store import Store
from fairtrial.study.budget import Budget
from fairtrial.study.settings import Settings
from tests.support.records import ORIGIN, done, killed, publish
from tests.support.toy import toy_study


@pytest.fixture(autouse=True)
def abacus(monkeypatch):
    monkeypatch.setattr(forecast.provenance, "cpu_model", lambda: "abacus")


@pytest.fixture
def cells():
    return toy_study().cells()


@pytest.fixture
def store(tmp_path):
    store = Store.of(toy_study(), tmp_path)
    store.declare(toy_study())
    return store


def test_records_of_before_a_factor_was_added_time_the_same_arm(cells):
    settings = cells[0].settings
    before = {name: value for name, value in settings.record().items() if name != "precision"}
    assert arm_of(Settings.of(before)) == arm_of(settings)


def test_an_arm_is_what_the_time_of_a_step_depends_on(cells):
    settings = cells[0].settings
    assert arm_of(settings) == arm_of(replace(settings, lr=9.0, shots=3, weight_decay=1.0, warmup=0.5))
    for name, value in {"norm": "ln", "batch_size": 8, "resolution": 64, "mixup": 0.1}.items():
        assert arm_of(settings) != arm_of(replace(settings, **{name: value}))


def test_the_median_of_finished_cells_is_used_and_the_newest_calibration_before_it(store, cells):
    bn = arm_of(cells[0].settings)
    for cell, seconds in zip(cells[::2], (8.0, 80.0, 16.0), strict=True):
        publish(store, cell, 1, done(train_s=seconds, steps=8))
    publish(store, cells[1], 1, killed())
    assert step_seconds(store, 1) == {bn: 2.0}
    for seconds in (0.5, 0.25):
        store.calibrate({bn: seconds}, ORIGIN)
    assert step_seconds(store, 1) == calibrated(store, 1) == {bn: 0.25}


@pytest.mark.parametrize("other", [{"threads": 2}, {"cpu": "another"}, {"device": "NVIDIA H200"}])
def test_times_of_another_machine_are_not_used(store, cells, other):
    publish(store, cells[0], 1, None, **other)
    store.calibrate({"a": 0.5}, ORIGIN | other)
    assert step_seconds(store, 1) == {}
    assert ("a" in step_seconds(store, 1, "cuda:0")) == ("device" in other)


def test_a_cell_takes_its_steps_times_their_time_or_its_seconds(cells):
    known = {arm_of(cells[0].settings): 0.5}
    assert cell_seconds(cells[0], known) == 4.0  # 8 steps
    assert cell_seconds(cells[1], known) is None
    assert cell_seconds(toy_study(budget="9s").cells()[0], {}) == 9.0
    assert cell_seconds(toy_study(budget="9gflop").cells()[0], known) is None


def test_each_arm_is_represented_by_its_first_cell(cells):
    assert list(arms_of(cells).values()) == cells[:2]


def test_overhead_is_the_median_share_of_evaluation_and_loading(store, cells):
    assert overhead(store) == 0
    for cell, eval_s in zip(cells[:3], (0.1, 0.3, 9.0), strict=True):
        result = done(train_s=2.0)
        result["spent"] |= {"eval_s": eval_s, "load_s": 0.1}
        publish(store, cell, 1, result)
    publish(store, cells[3], 1, killed())
    assert overhead(store) == pytest.approx(0.2)


def test_a_budget_reads_as_words():
    assert Budget(examples=2048).words == "2,048 examples"
