"""What pairing buys: the variance of a contrast as it is, and with other seeds in each arm."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import pandas as pd

from fairtrial.reporting.results.contrast_sides import has_limits
from fairtrial.reporting.results.load import Results
from fairtrial.reporting.tables.table import Table
from fairtrial.reporting.verdicts.captions import provenance, seeds
from fairtrial.reporting.verdicts.findings import Finding
from fairtrial.reporting.verdicts.sentences import title
from fairtrial.reporting.wording import clean, fixed


def pairing_table(results: Results, findings: Sequence[Finding]) -> Table | None:
    """One row per contrast with an interval (STATISTICS 5); None where there is no such contrast.

    Gain: the sum of the variances of the sides over the variance of the paired differences, each over the
    units that n counts. It is also how many times the units an unpaired design needs for the same standard
    error.
    """
    rows = [_row(finding) for finding in findings if has_limits(finding.interval)]
    if not rows:
        return None
    caption = (
        "What pairing buys: variance of a contrast if its arms had other seeds each (the variances of its "
        "sides, summed), over the variance of the paired differences. A gain of 2 saves half of the seeds; "
        "below 1 pairing has cost precision, and the interval is valid all the same. "
        f"{seeds(results)}. {provenance(results)}"
    )
    return Table("pairing", caption, pd.DataFrame(rows))


def _row(finding: Finding) -> dict[str, str]:
    scale, found = finding.scale, finding.interval
    assert found is not None
    sides = [finding.unit.means({s: side.values[s] for s in finding.differences}) for side in finding.sides]
    unpaired, paired = sum(map(statistics.variance, sides)), found.sd**2
    return {
        "contrast": clean(finding.contrast.name),
        "arms": title(finding.contrast),
        "n": str(found.n),
        "unit": scale.unit,
        "sd unpaired": scale.show(unpaired**0.5),
        "sd paired": scale.show(found.sd),
        "r": "" if found.r is None else f"{found.r:.2f}",
        "gain": fixed(unpaired / paired, 2),
    }
