"""A judged contrast as JSON: everything that its sentence says, in numbers."""

from __future__ import annotations

from typing import Any

from fairtrial.reporting.verdicts.rulings import Finding
from fairtrial.reporting.verdicts.sentences import title
from fairtrial.stats.records import plain


def finding_record(finding: Finding, text: str) -> dict[str, Any]:
    """Return a contrast as verdicts.json holds it. text: its sentence."""
    names = ("interval", "whisker", "flip", "equivalence", "step", "equivalence_step", "ruling")
    return {
        "contrast": finding.contrast.record(),
        "arms": title(finding.contrast),
        "verdict": finding.verdict,
        "sentence": text,
        "reason": finding.reason,
        "margin": finding.margin,
        "differences": {str(seed): value for seed, value in finding.differences.items()},
        **_upstream_seeds(finding),
        "parity_gap": plain(finding.gap),
        "failures": {
            side.name: dict(sorted(side.failures.items())) for side in finding.sides if side.failures
        },
        "hedges_g": finding.effect,
        **{name: plain(getattr(finding, name)) for name in names},
        "stamps": list(finding.stamps),
        "warnings": list(finding.warnings),
    }


def _upstream_seeds(finding: Finding) -> dict[str, Any]:
    """Which checkpoint each difference belongs to, where that is what n counts."""
    labels = finding.unit.labels(finding.differences)
    return {} if labels is None else {"upstream_seeds": {str(seed): label for seed, label in labels.items()}}
