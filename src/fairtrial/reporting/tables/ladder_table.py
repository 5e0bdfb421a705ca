"""A ladder of arms as a table: a row per step, what it earns when added and when left out."""

from __future__ import annotations

import pandas as pd

from fairtrial.reporting.report_item import STUDY, RegistryRow
from fairtrial.reporting.results.arms import gather, metric_of
from fairtrial.reporting.results.paired_sides import has_limits
from fairtrial.reporting.tables.table import Table
from fairtrial.reporting.verdicts.captions import provenance, seeds
from fairtrial.reporting.verdicts.ladder_steps import ladder, rung_names
from fairtrial.reporting.verdicts.rulings import Finding
from fairtrial.reporting.verdicts.study_verdicts import StudyVerdicts
from fairtrial.reporting.wording import SCALES
from fairtrial.study.factors import spaced


def ladder_tables(verdicts: StudyVerdicts) -> list[Table]:
    """Make a row per rung; no table where the study declares no ladder."""
    results, findings = verdicts.results, verdicts.findings
    found = ladder(results.study)
    if found is None:
        return []
    metric = metric_of(results.study)
    scale = SCALES[metric]
    groups = gather(results, list(results.study.factors), metric, intervals=results.sound or verdicts.partial)
    centres = {tuple(g.levels.values()): scale.show(g.centre) if g.values else "" for g in groups}
    rows = []
    for name, rung, step in zip(rung_names(found), found.rungs, (None, *found.steps), strict=True):
        added = None if step is None else findings[step.added]
        left_out = None if step is None or step.left_out is None else findings[step.left_out]
        rows.append({
            "step": name,
            scale.axis: centres[tuple(rung.values())],
            "added": _told(added),
            "verdict": _verdict(added),
            "left out of the last": _told(left_out),
            "its verdict": _verdict(left_out),
        })  # fmt: skip
    caption = (
        f"Steps from the first arm to the last, each in one factor. Added: {scale.unit} that the step earns "
        "over the rung before; left out: what the last rung has over itself without this step. Paired "
        f"differences with {results.inference.name}, not adjusted; verdicts by Holm over all declared "
        f"contrasts. {seeds(results)}. {provenance(results)}"
    )
    return [Table("ladder", caption, pd.DataFrame(rows))]


def _told(finding: Finding | None) -> str:
    """'1.2 [0.3, 2.1]'; no brackets where there is no interval."""
    if finding is None or finding.interval is None:
        return ""
    scale, found = finding.scale, finding.interval
    limits = has_limits(found) and finding.verdict != "refused"
    return scale.show(found.estimate) + (f" {scale.bounds(found.low, found.high)}" if limits else "")


def _verdict(finding: Finding | None) -> str:
    return "" if finding is None else spaced(finding.verdict)


ROWS = (RegistryRow(STUDY, ladder_tables, rank=4),)
