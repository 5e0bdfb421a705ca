"""What tests of this folder share."""

import pytest

from fairtrial.storage.store import Store
from tests.storage.making import FIRST
from tests.support.toy import toy_study


@pytest.fixture
def study():
    return toy_study(primary=FIRST)


@pytest.fixture
def store(study, tmp_path):
    store = Store.of(study, tmp_path)
    store.declare(study)
    return store
