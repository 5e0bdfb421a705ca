"""What tests of this folder share."""

import pytest

from tests.storage.making import FIRST
from tests.support.records import declared_store
from tests.support.toy import toy_study


@pytest.fixture
def study():
    return toy_study(primary=FIRST)


@pytest.fixture
def store(study, tmp_path):
    return declared_store(study, tmp_path)
