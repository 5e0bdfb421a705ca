"""What tests of this folder share."""

import pytest

from tests.support.studies import write


@pytest.fixture
def beside_a_study(tmp_path, monkeypatch):
    """The current folder is one of the test's own, with the file of a small study."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
