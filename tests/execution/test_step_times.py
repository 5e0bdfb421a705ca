"""Seconds per step: from calibrations made as here, else from recorded cells."""

from dataclasses import replace

import pytest

from fairtrial.errors import Fault
from fairtrial.execution.step_times import calibrated, first_cells, step_seconds, step_time_of
from fairtrial.storage import provenance
from fairtrial.study.identity import arm_key
from fairtrial.study.settings import Settings
from tests.support.records import ORIGIN, declared_store, done, killed, publish
from tests.support.toy import toy_study

HERE = ORIGIN | {"kernels": "torch"}


@pytest.fixture(autouse=True)
def abacus(monkeypatch):
    monkeypatch.setattr(provenance, "cpu_model", lambda: "abacus")


@pytest.fixture
def cells():
    return toy_study().cells()


@pytest.fixture
def store(tmp_path):
    return declared_store(toy_study(), tmp_path)


def test_records_of_before_a_factor_was_added_time_the_same_arm(cells):
    settings = cells[0].settings
    before = {name: value for name, value in settings.record().items() if name != "precision"}
    assert arm_key(Settings.of(before)) == arm_key(settings)


def test_an_arm_is_what_the_time_of_a_step_depends_on(cells):
    settings = cells[0].settings
    assert arm_key(settings) == arm_key(replace(settings, lr=9.0, shots=3, weight_decay=1.0, warmup=0.5))
    for name, value in {"norm": "ln", "batch_size": 8, "resolution": 64, "mixup": 0.1}.items():
        assert arm_key(settings) != arm_key(replace(settings, **{name: value}))


def test_the_median_of_finished_cells_is_used_and_the_newest_calibration_before_it(store, cells):
    bn = arm_key(cells[0].settings)
    for cell, seconds in zip(cells[::2], (8.0, 80.0, 16.0), strict=True):
        publish(store, cell, 1, done(train_s=seconds, steps=8))
    publish(store, cells[1], 1, killed())
    assert step_seconds(store, store.attempts(), 1) == {bn: 2.0}
    for seconds in (0.5, 0.25):
        store.calibrate({bn: seconds}, ORIGIN)
    assert step_seconds(store, store.attempts(), 1) == calibrated(store, HERE) == {bn: 0.25}


@pytest.mark.parametrize("other", [{"threads": 2}, {"cpu": "another"}, {"device": "NVIDIA H200"}])
def test_times_of_another_machine_are_not_used(store, cells, other):
    publish(store, cells[0], 1, None, **other)
    store.calibrate({"a": 0.5}, ORIGIN | other)
    assert step_seconds(store, store.attempts(), 1) == {}
    assert ("a" in step_seconds(store, store.attempts(), 1, "cuda:0")) == ("device" in other)


def test_each_arm_is_represented_by_its_first_cell(cells):
    assert list(first_cells(cells).values()) == cells[:2]


@pytest.mark.parametrize("other", ["threads", "cpu", "device", "kernels"])
def test_a_calibration_counts_for_workers_like_the_one_that_made_it(store, other):
    store.calibrate({"a": 0.5}, HERE)
    assert calibrated(store, HERE) == {"a": 0.5}
    assert calibrated(store, HERE | {other: "another"}) == {}


def test_only_a_budget_in_seconds_needs_a_time_and_none_is_a_refusal(cells):
    assert step_time_of(cells[0], {}) is None
    timed = toy_study(budget="9s").cells()[0]
    assert step_time_of(timed, {arm_key(timed.settings): 0.5}) == 0.5
    for missing in ({}, {arm_key(timed.settings): 0.0}):
        with pytest.raises(Fault, match="no step of bn was timed") as refused:
            step_time_of(timed, missing)
        assert refused.value.code == 4
