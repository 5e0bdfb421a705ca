"""Where the rooms lie: beside src/ in a checkout, inside the package in a wheel."""

import sys
from pathlib import Path

from fairtrial import rooms


def test_in_a_checkout_a_room_lies_beside_src():
    root = Path(__file__).parents[1]
    assert rooms.room("ablations") == root / "ablations"
    assert (rooms.room("analysis") / "__init__.py").exists()


def test_in_a_wheel_a_room_lies_in_the_package(tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "fairtrial"
    monkeypatch.setattr(rooms, "_PACKAGE", package)
    assert rooms.room("ablations") == package / "_rooms" / "ablations"


def test_a_room_can_be_entered_twice(monkeypatch):
    monkeypatch.setattr(sys, "path", ["first"])
    rooms.enter("analysis")
    rooms.enter("analysis")
    assert sys.path == [str(Path(__file__).parents[1]), "first"]
