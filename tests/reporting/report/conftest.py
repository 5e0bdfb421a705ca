"""What tests of this folder share."""

from __future__ import annotations

import pytest

from fairtrial.reporting.report import study_report
from fairtrial.study.study import Contrast
from tests.reporting.report.pages import PLAIN


@pytest.fixture
def page(make_study, publish, noise):
    """The page of a common study, by its path."""
    contrast = Contrast("small batch", {"norm": "gn"}, {"norm": "bn"}, {"batch_size": 4})
    study = make_study(**PLAIN | {"primary": contrast, "aa": {"norm": "gn", "batch_size": 4}})
    return study_report.build(publish(study, lambda cell: 0.8 + noise(cell, "acc") / 100)).path
