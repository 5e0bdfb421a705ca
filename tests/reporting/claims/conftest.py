"""A study with planted truths, and what the ledger says of it."""

import pytest

from fairtrial.reporting.claims.read_claims import Recorded, entries
from fairtrial.reporting.results import load
from fairtrial.study.study import Contrast
from tests.reporting.conftest import BN, GN_WS

INTERACTION = Contrast(
    "WS repairs GN", {"weight_std": True}, {"weight_std": False}, {"batch_size": 64}, {"norm": ("gn", "bn")}
)
LARGE = Contrast("large batch", treatment=GN_WS, control=BN, at={"batch_size": 64})


@pytest.fixture
def planted(make_study, publish, noise):
    """A study in which plain GN loses `loss` and WS gives GN `gain`, read as a table."""

    def make(loss, gain, primary=(INTERACTION, LARGE), **changed):
        def acc(cell):
            gn, ws = cell.settings.norm == "gn", cell.settings.weight_std
            return 0.8 + 0.003 * noise(cell, "acc") - loss * gn + gain * (gn and ws)

        return load.load(publish(make_study(primary=primary, **changed), acc))

    return make


def found(results, claim, benches=None):
    studies = results if isinstance(results, list) else [results]
    return next(entry for entry in entries(Recorded(studies, benches or {})) if entry.claim.id == claim)
