"""The what-if of a study as a table and as a record."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from fairtrial.reporting.results.contrast_sides import has_limits
from fairtrial.reporting.results.load import Results
from fairtrial.reporting.tables.table import Table
from fairtrial.reporting.verdicts.captions import provenance, seeds
from fairtrial.reporting.verdicts.sentences import title
from fairtrial.reporting.verdicts.whatif import FREE, Case, Row, WhatIf
from fairtrial.reporting.verdicts.whatif_words import even_words, sentences, shares
from fairtrial.reporting.wording import clean, listed
from fairtrial.stats.records import plain

_READINGS = {"recorded": "recorded", "more": "more updates", "same": "at best"}


def whatif_table(results: Results, what: WhatIf) -> Table:
    """One row per contrast and speed-up; a refused contrast has one, one without the kernel none."""
    rows = [
        _row(case, row)
        for case in what.cases
        for row in case.rows
        if row.verdict != "refused" or row.faster == 1
    ]
    beside, unread = what.budgets.sources, what.budgets.unread
    runs = f"lie on the line between finished runs of the same draws, here and in {listed(beside)}"
    runs = runs if beside else "would lie between finished runs of other studies, and there are none"
    lost = f"Left out, because they cannot be read: {listed(unread)}. " if unread else ""
    caption = (
        f"What a faster {what.kernel} would change at equal seconds. {' '.join(shares(what))} "
        f"More updates: the scores {runs}; at best: the same updates in fewer seconds, the other arm "
        f"read from its curve. {lost}95 % paired t intervals, not adjusted; verdicts as above, at both "
        "limits of the share; likely: the runs next to it do not both say so. "
        f"{seeds(results)}. {provenance(results)}"
    )
    return Table("what-if", caption, pd.DataFrame(rows))


def _row(case: Case, row: Row) -> dict[str, str]:
    scale, refused = case.recorded.scale, row.verdict == "refused"
    found = None if row.finding is None or refused else row.finding.interval
    limits = found is not None and has_limits(found)
    return {
        "contrast": clean(case.recorded.contrast.name),
        "faster": "free" if row.faster == FREE else f"x{row.faster:g}",
        "step, %": " and ".join(f"{100 * ratio:.1f}" for ratio in row.ratios),
        "updates": " and ".join(f"{after:.0f}" for _, after in row.steps),
        "reading": _READINGS[row.reading],
        "difference": scale.show(found.estimate) if found else "",
        "95 % low": scale.show(found.low) if found and limits else "",
        "95 % high": scale.show(found.high) if found and limits else "",
        "verdict": "cannot tell" if row.verdict is None else row.verdict.replace("_", " "),
        "changed": _changed(case, row),
        "break-even": even_words(case.break_even) if row.faster == 1 else "",
    }


def _changed(case: Case, row: Row) -> str:
    changed = case.changed(row)
    if changed is None:
        return "cannot tell"
    return ("yes" if changed else "no") + ("" if row.sure else ", likely")


def record(what: WhatIf) -> dict[str, Any]:
    """The same for JSON."""
    return {
        "kernel": what.kernel,
        "sentences": sentences(what),
        "studies": list(what.budgets.sources),
        "unread": list(what.budgets.unread),
        "contrasts": [_case(case) for case in what.cases],
    }


def _case(case: Case) -> dict[str, Any]:
    even = case.break_even
    return {
        "contrast": case.recorded.contrast.name,
        "arms": title(case.recorded.contrast),
        "recorded": case.recorded.verdict,
        "problem": case.problem,
        "shares": [plain(share) for share in case.shares],
        "rows": [_plain_row(case, row) for row in case.rows],
        "break_even": None
        if even is None
        else {
            "times": _times(even.times),
            "at_largest_share": _times(even.low),
            "at_smallest_share": _times(even.high),
            "verdict": even.to or None,
        },
    }


def _plain_row(case: Case, row: Row) -> dict[str, Any]:
    return {
        "faster": "free" if row.faster == FREE else row.faster,
        "step_ratios": list(row.ratios),
        "steps": [plain(pair) for pair in row.steps],
        "reading": row.reading,
        "verdict": row.verdict,
        "changed": case.changed(row),
        "sure": row.sure,
        "reason": row.reason,
        "interval": None if row.finding is None else plain(row.finding.interval),
    }


def _times(times: float) -> float | str:
    """A speed-up; 'none' where none does it, 'cannot tell' where the records end before."""
    return "cannot tell" if math.isnan(times) else "none" if times == FREE else times
