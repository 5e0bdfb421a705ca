"""What the smoothness probe says of the claim that WS smooths the loss: a ratio with its interval."""

import math

import pytest

from fairtrial.measurements import measurement_record
from fairtrial.reporting.claims.ledger import sentences
from fairtrial.reporting.claims.published_claims import CONTRADICTED, SUPPORTED, UNDECIDED
from fairtrial.reporting.claims.read_claims import Recorded, entries, read_probes

ORIGIN = {"commit": "0123456789abcdef", "torch": "2.15"}


def probe(ratios):
    """Five starts whose change of the gradient is `ratios` times as large with WS, two looks each."""
    plain = [[{"gradient_change": 10.0 + start}] * 2 for start in range(5)]
    smooth = [
        [{"gradient_change": ratio * row["gradient_change"]} for row in run]
        for ratio, run in zip(ratios, plain, strict=True)
    ]
    arms = [
        {"norm": norm, "weight_std": ws, "runs": smooth if ws else plain}
        for norm in ("bn", "gn")
        for ws in (False, True)
    ]
    return {
        "model": "mini",
        "data": "digits",
        "batch": 32,
        "lr": 0.1,
        "looks": [8, 32],
        "radii": [0.1],
        "arms": arms,
    }


def claim_of(tmp_path, ratios):
    path = measurement_record.path_of(tmp_path, "smoothness")
    measurement_record.write(path, "smoothness", probe(ratios), ORIGIN)
    (entry,) = [
        one
        for one in entries(Recorded([], probes=read_probes([tmp_path / "nowhere", tmp_path])))
        if one.claim.id == "ws-smooths-the-loss"
    ]
    return entry


@pytest.mark.parametrize(
    ("ratios", "says"),
    [
        ((0.5, 0.55, 0.5, 0.45, 0.5), SUPPORTED),
        ((1.5, 1.6, 1.5, 1.4, 1.5), CONTRADICTED),
        ((0.5, 2.0, 1.0, 0.7, 1.4), UNDECIDED),
    ],
)
def test_the_interval_of_the_ratio_decides(tmp_path, ratios, says):
    entry = claim_of(tmp_path, ratios)
    assert entry.answer == says
    assert [one.arms for one in entry.evidence] == ["bn+ws against bn", "gn+ws against gn"]
    assert entry.evidence[0].estimate == pytest.approx(math.prod(ratios) ** (1 / 5))
    assert (entry.evidence[0].n, entry.scale) == (5, "scaled down")


def test_the_sentence_names_setting_and_units(tmp_path):
    (text,) = sentences([claim_of(tmp_path, (0.5, 0.55, 0.5, 0.45, 0.5))])
    assert "x0.50 [0.4" in text
    assert "n = 5 starts" in text
    assert "all arms at lr 0.1" in text
    assert "not a BiT result" in text


def test_without_the_probe_the_ledger_says_its_command():
    (entry,) = [one for one in entries(Recorded([])) if one.claim.id == "ws-smooths-the-loss"]
    assert not entry.evidence
    assert entry.claim.needs.endswith("fairtrial probe smoothness")
