"""`fairtrial selftest`: its lines, its JSON, its exit codes."""

import json

import pytest

from fairtrial.cli.main import main
from fairtrial.errors import DONE, FAILED_CELLS, USAGE
from fairtrial.rng import ROOT
from fairtrial.selftest import command, speed
from fairtrial.selftest.harness import Check


def some(rate, known=None):
    return Check(f"claimed {rate}", (0.95, 0.95), lambda rng, draws: rng.random(draws) < rate, known=known)


@pytest.fixture
def few(monkeypatch):
    def put(*checks):
        monkeypatch.setattr(command, "CHECKS", checks)
        monkeypatch.setattr(command, "CONTROLS", (some(0.7, 0.7),))
        monkeypatch.setattr(speed, "ROWS", 50)
        monkeypatch.setattr(speed, "measure", lambda: {"mean": 0.25})

    return put


def test_all_is_well(few, capsys):
    few(some(0.95))
    assert main(["selftest"]) == DONE
    out = capsys.readouterr().out.splitlines()
    assert out[0].split() == ["seed", str(ROOT)]
    assert out[1].startswith("check    claimed 0.95") and out[1].endswith("ok")
    assert out[2].endswith("caught (known .70)")
    assert "in 0.2 s (mean 0.25)" in out[3]
    assert "fine: 1 claims hold, 1 wrong methods are caught" in out[-1]


def test_a_failing_check_ends_with_its_line_and_code_1(few, capsys):
    few(some(0.95), some(0.9))
    assert main(["selftest", "--seed", "7"]) == FAILED_CELLS
    out = capsys.readouterr().out.splitlines()
    assert out[0].split() == ["seed", "7"]
    assert "claimed 0.9 " in out[2] and out[2].endswith("FAILED: outside")
    assert "FAILED 1 of 3: claimed 0.9," in out[-1]


def test_json_holds_every_check_and_the_window(few, capsys):
    few(some(0.95), some(0.9))
    assert main(["selftest", "--json"]) == FAILED_CELLS
    found = json.loads(capsys.readouterr().out)
    assert found["failed"] == ["claimed 0.9"]
    assert [each["ok"] for each in found["checks"]] == [True, False, True]
    assert found["checks"][0]["low"] < 0.95 < found["checks"][0]["high"]
    assert found["speed"]["seconds"] == {"mean": 0.25}


@pytest.mark.parametrize("seed", ["-1", "x", "1.5", "0"])
def test_a_seed_is_a_whole_number(seed, capsys):
    assert main(["selftest", f"--seed={seed}"]) == USAGE
    assert f"--seed {seed} is not a whole number" in capsys.readouterr().err


def test_the_speed_row_makes_every_interval_of_every_row():
    found = {name: call() for name, call in speed.kinds(20).items()}
    assert len(found) == 9
    assert all(each.low.shape == (20,) and (each.low < each.high).all() for each in found.values())
    assert speed.measure(20).keys() == found.keys()
