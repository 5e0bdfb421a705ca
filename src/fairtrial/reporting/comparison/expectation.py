"""What a CI job expects of contrasts: kept, broken, or not decided yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fairtrial.errors import DONE, FAILED_CELLS, INCOMPLETE
from fairtrial.reporting.verdicts.rulings import Finding

EXPECTATIONS: Final = {  # expected -> the verdicts that keep it
    "better": ("better",),
    "not-worse": ("better", "equivalent", "different_but_negligible"),
    "equivalent": ("equivalent", "different_but_negligible"),
}
_OPEN: Final = ("inconclusive", "refused")


def exit_code(findings: Sequence[Finding], expected: str | None) -> int:
    """Return 0 where all are judged and as expected, 1 where one is decided otherwise, 5 where one is open.

    Without an expectation an inconclusive contrast is a result like the others; a refused one is open.
    """
    if expected is None:
        return INCOMPLETE if any(finding.verdict == "refused" for finding in findings) else DONE
    kept = [_kept(finding, expected) for finding in findings]
    return FAILED_CELLS if False in kept else INCOMPLETE if None in kept else DONE


def _kept(finding: Finding, expected: str) -> bool | None:
    """Say whether a contrast is as expected; None where it is open.

    Not worse is also what excludes the margin on the bad side alone, whatever lies on the good one.
    """
    if finding.verdict in EXPECTATIONS[expected]:
        return True
    ruling = finding.ruling
    if expected == "not-worse" and finding.verdict == "inconclusive" and ruling is not None:
        worst = ruling.equivalence_low if ruling.higher_is_better else -ruling.equivalence_high
        if worst > -finding.margin:
            return True
    return None if finding.verdict in _OPEN else False
