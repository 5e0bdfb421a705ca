"""A judged contrast as JSON: everything that its sentence says, in numbers."""

from __future__ import annotations

from typing import Any, Final

from fairtrial.reporting.verdicts.rulings import Finding
from fairtrial.reporting.verdicts.sentences import title
from fairtrial.stats.records import plain

DIGITS: Final = 10  # of a float in a report; the last ones of all its 17 are the processor's


def finding_record(finding: Finding, text: str) -> dict[str, Any]:
    """Return a contrast as verdicts.json holds it. text: its sentence."""
    return rounded(_whole(finding, text))


def rounded(value: Any) -> Any:
    """Return what JSON holds with its floats cut to DIGITS, so that equal records give equal bytes.

    Sums and scipy's functions differ in their last bit where a processor has other vector instructions.
    """
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def _whole(finding: Finding, text: str) -> dict[str, Any]:
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
