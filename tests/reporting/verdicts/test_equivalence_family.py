"""Equivalences of one study are one family: seldom does any of them hold that is not true."""

from dataclasses import replace

import numpy as np
import pytest

from fairtrial.reporting.results import load
from fairtrial.reporting.results.paired_sides import differences, interval
from fairtrial.reporting.verdicts.findings import decide, measure
from fairtrial.stats import verdicts
from fairtrial.study.study import Contrast

BATCHES = (2, 4, 8, 16, 32, 64, 128)
MARGIN, SD, N = 0.01, 0.008, 6


# uncorrected, 250 give about 70 false ones
@pytest.mark.parametrize("families", [250, pytest.param(1000, marks=pytest.mark.soak)])
def test_seven_equivalences_at_the_margin_are_seldom_called_so(make_study, publish, monkeypatch, families):
    """The truth is the margin itself, of either sign, the worst case; records once, scores drawn anew."""
    contrasts = tuple(
        Contrast(f"at {b}", {"norm": "gn"}, {"norm": "bn"}, {"batch_size": b}, margin=MARGIN) for b in BATCHES
    )
    study = make_study(
        factors={"norm": ("bn", "gn"), "batch_size": BATCHES}, seeds=range(N), primary=contrasts, aa=None
    )
    results = load.load(publish(study, lambda cell: 0.9))
    read = [measure(results, contrast) for contrast in contrasts]
    assert not [finding.reason for finding in read if finding.reason]
    monkeypatch.setattr(verdicts, "_advice", lambda *args: (None, None))  # it takes time and decides nothing
    rng = np.random.default_rng(20261127)
    false = 0
    for _ in range(families):
        found = decide(results, [scored(finding, rng.choice([-1, 1]), rng) for finding in read])
        false += any(finding.verdict == "equivalent" for finding in found)
    assert 0 < false <= 0.05 * families


def scored(finding, sign, rng):
    """The finding with scores drawn anew."""
    gn, bn = (0.8 + SD / np.sqrt(2) * rng.normal(size=N) for _ in range(2))
    columns = gn + sign * MARGIN, bn
    sides = tuple(
        replace(side, values=dict(enumerate(column.tolist())))
        for side, column in zip(finding.sides, columns, strict=True)
    )
    found = replace(finding, sides=sides, differences=differences(sides, range(N)))
    return replace(found, interval=interval(sides, finding.unit, 0.95))
