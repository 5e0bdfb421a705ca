"""Where the rooms lie: beside src/ in a checkout, inside the package in a wheel."""

from pathlib import Path

from fairtrial import installation


def test_in_a_checkout_a_room_lies_beside_src():
    root = Path(__file__).parents[1]
    assert installation.room("ablations") == root / "ablations"


def test_in_a_wheel_a_room_lies_in_the_package(tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "fairtrial"
    monkeypatch.setattr(installation, "_PACKAGE", package)
    assert installation.room("ablations") == package / "_rooms" / "ablations"
