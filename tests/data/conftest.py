"""Every test has a cache folder of its own; real data is used where FAIRTRIAL_TEST_DATA names it."""

import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.data.making import write_folder


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


@pytest.fixture
def without_the_unpackers_of_python(monkeypatch):
    """So that no test passes thanks to a filter that another Python lacks."""
    for owner in (zipfile.ZipFile, tarfile.TarFile):
        for name in ("extract", "extractall"):
            monkeypatch.setattr(owner, name, lambda *_, **__: pytest.fail("unpacked by the standard library"))


@pytest.fixture
def pets(tmp_path):
    return write_folder(tmp_path / "pets")
