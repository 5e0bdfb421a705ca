"""Calibrations and leases of a study: what each says, and whose it is."""

import json
import os
import time

import pytest

from fairtrial.errors import Fault
from fairtrial.storage.integrity import sealed
from fairtrial.storage.record import cell_message
from tests.support.records import ORIGIN, publish

WAY = {"layout": "nhwc", "kernels": "torch"}


@pytest.mark.parametrize(
    "way", [{"layout": "nhwc"}, WAY | {"layout": "nhw"}, WAY | {"lr": 0.1}, WAY | {"kernels": 1}]
)
def test_a_calibration_in_a_way_that_no_cell_is_computed_in_is_damage_and_named(store, way):
    store.calibrate({"a": 0.1}, ORIGIN, ways={"a": way})
    with pytest.raises(Fault, match="ways: expected a known layout with known kernels") as refused:
        store.calibrations()
    assert refused.value.code == 3
    assert len(store.set_aside()) == 1 and store.calibrations() == []


def test_a_copied_calibration_is_named_and_not_counted_twice(store):
    store.calibrate({"a": 0.1}, ORIGIN)
    (path,) = store.folder.glob("calibration-*.json")
    copy = path.with_name(f"{path.stem} (copy).json")
    copy.write_bytes(path.read_bytes())
    with pytest.raises(Fault, match="it is called") as refused:
        store.calibrations()
    assert refused.value.code == 3
    assert len(store.set_aside()) == 1 and len(store.calibrations()) == 1


def test_a_lease_says_what_a_later_driver_needs(store, study):
    cell = study.cells()[3]
    store.lease(cell_message(cell), 2, 77, ORIGIN)
    store.renew(cell.id, 2, 12.5)
    ((lease, ran_s),) = store.abandoned()
    assert (lease.cell["seed"], lease.number, lease.pid, lease.origin) == (cell.seed, 2, 77, ORIGIN)
    assert ran_s == pytest.approx(12.5, abs=1e-3)


@pytest.mark.parametrize(
    ("at", "value", "said"),
    [
        ("cell.id", "../../../precious", "cell: expected 12 hexadecimal digits; got '../../../precious'"),
        ("cell.id", None, "expected 12 hexadecimal digits"),
        ("cell.id", "0" * 12, "are those of cell"),
        ("attempt", 2, "the file is called"),
        ("attempt", 0, "attempt: expected a whole number from 1 on; got 0"),
        ("attempt", "/../x", "expected a whole number from 1 on"),
        ("cell", {}, r"the record lacks cell\.id"),
        ("cell.settings", [], "settings: expected a table"),
        ("started", -1e12, "started: expected seconds since 1970"),
        ("started", 1e300, "started: expected seconds since 1970"),
        ("origin", [], "origin: expected an object"),
        ("pid", "1", "pid: expected a whole number"),
    ],
)
def test_a_lease_that_no_driver_wrote_touches_nothing(store, study, tmp_path, at, value, said):
    cell = study.cells()[0]
    store.lease(cell_message(cell), 1, 77, ORIGIN)
    (path,) = (store.folder / "leases").iterdir()
    body = json.loads(path.read_text())
    *inside, name = at.split(".")
    (body[inside[0]] if inside else body)[name] = value
    path.write_text(json.dumps(body))
    precious = tmp_path / "precious-1.json"
    precious.write_text("{}")
    for reader in (store.abandoned, lambda: store.renew(cell.id, 1, 2.0)):
        with pytest.raises(Fault, match=said) as damaged:
            reader()
        assert (damaged.value.code, damaged.value.problems[0].where) == (3, str(path))
    assert [moved.name.endswith(path.name) for moved in store.set_aside()] == [True]
    assert precious.read_text() == "{}" and not path.exists()


@pytest.mark.parametrize("jump", [3600.0, -3600.0, 86_400.0, -2e9])
def test_a_jump_of_the_wall_clock_bills_nothing(store, study, monkeypatch, jump):
    now, cell = time.time(), study.cells()[0]
    monkeypatch.setattr(time, "time", lambda: now)
    store.lease(cell_message(cell), 1, 77, ORIGIN)
    monkeypatch.setattr(time, "time", lambda: now + jump)
    store.renew(cell.id, 1, 4.0)
    assert store.abandoned()[0][1] == pytest.approx(4.0, abs=1e-3)


def test_publishing_drops_the_lease_and_dropping_it_twice_is_fine(store, study):
    cell = study.cells()[0]
    store.lease(cell_message(cell), 1, os.getpid(), ORIGIN)
    publish(store, cell)
    assert store.abandoned() == []
    store.release(cell.id, 1)
    store.renew(cell.id, 1, 3.0)  # its driver has not heard yet


def test_calibrations_come_oldest_first_and_numbered_ones_before_them(store):
    for value in (3.0, 4.0, 5.0):
        store.calibrate({"a": value}, ORIGIN)
    for number, value in ((10, 2.0), (9, 1.0)):  # as they were written before they had a time
        record = {"schema": 1, "step_s": {"a": value}, "origin": ORIGIN}
        (store.folder / f"calibration-{number}.json").write_text(sealed(record))
    assert [each.step_s["a"] for each in store.calibrations()] == [1.0, 2.0, 3.0, 4.0, 5.0]


@pytest.mark.parametrize("jump", [3600.0, -3600.0, 86_400.0, -86_400.0, -2e9])
def test_a_jump_of_the_wall_clock_does_not_reorder_calibrations(store, monkeypatch, jump):
    """The newest sets steps, the first one the layout: each was the other one after a clock went back."""
    now = time.time()
    record = {"schema": 1, "step_s": {"a": 0.1}, "origin": {**ORIGIN, "ended": now}}
    (store.folder / "calibration-1.json").write_text(sealed(record))  # from before they were counted
    store.calibrate({"a": 0.2}, ORIGIN, ways={"a": WAY | {"layout": "nchw"}})
    monkeypatch.setattr(time, "time", lambda: now + jump)
    store.calibrate({"a": 0.3}, ORIGIN, ways={"a": WAY})
    assert [each.step_s["a"] for each in store.calibrations()] == [0.1, 0.2, 0.3]
