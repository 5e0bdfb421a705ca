"""The series over nights, as it is stored."""

import json

import pytest

from fairtrial.errors import BAD_INPUT, Fault
from fairtrial.regression import history

LAUNCHES = [{"a": 0.001, "b": 0.002}, {"a": 0.0011, "b": 0.0021}]


def test_a_night_comes_back_as_it_was(tmp_path):
    path = history.append(tmp_path, LAUNCHES, {"cpu": "x"}, {"commit": "0" * 40}, None)
    assert path.parent == tmp_path / "history"
    (night,) = history.nights(tmp_path)
    assert night["seconds"] == {"a": [0.001, 0.0011], "b": [0.002, 0.0021]}
    assert (night["device"], night["code"]) == ({"cpu": "x"}, {"commit": "0" * 40})


@pytest.mark.parametrize("content", ["", "{", "[]", "{}"])
def test_damaged_nights_are_listed(tmp_path, content):
    path = history.append(tmp_path, LAUNCHES, {}, {}, None)
    path.write_text(content)
    with pytest.raises(Fault) as raised:
        history.nights(tmp_path)
    assert raised.value.code == BAD_INPUT and path.name in raised.value.block()


def test_an_edited_night_is_noticed(tmp_path):
    path = history.append(tmp_path, LAUNCHES, {}, {}, None)
    record = json.loads(path.read_text())
    record["seconds"]["a"][0] = 0.5
    path.write_text(json.dumps(record))
    with pytest.raises(Fault, match="edited"):
        history.nights(tmp_path)


def test_no_night_says_how_to_record_one(tmp_path):
    with pytest.raises(Fault) as raised:
        history.recorded(history.folder_of_device(tmp_path, "cpu", 1))
    assert "fairtrial gate --record" in raised.value.block()


def test_a_device_that_changes_between_nights_is_named():
    """Nights of before instructions were recorded lie in the same folder."""
    old = {"cpu": "x", "torch": "2.15"}
    devices = [old, old, {**old, "instructions": "AVX2"}, {**old, "instructions": "AVX512", "torch": "2.16"}]
    nights = [
        {"device": device, "datetime": f"2026-01-0{number}T03:00:00+00:00"}
        for number, device in enumerate(devices, 1)
    ]
    assert history.device_changes(nights) == [
        "Another device since 2026-01-03: instructions not written down, then AVX2.",
        "Another device since 2026-01-04: torch 2.15, then 2.16; instructions AVX2, then AVX512.",
    ]
    assert history.device_changes(nights[:2]) == history.device_changes([]) == []
