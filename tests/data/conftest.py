"""Every test has a cache folder of its own; real data is used where FAIRTRIAL_TEST_DATA names it."""

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache_home(tmp_path, monkeypatch):
    home = tmp_path / "cache-home"
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    return home


@pytest.fixture(scope="session")
def real_data():
    folder = os.environ.get("FAIRTRIAL_TEST_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("FAIRTRIAL_TEST_DATA does not name a folder with real images")
    return Path(folder)
