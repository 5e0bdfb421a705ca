"""Judged contrasts as a notebook shows them: sentences, a table, a figure, JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from fairtrial.reporting.verdicts.rulings import Finding
from fairtrial.reporting.verdicts.sentences import grounds, title
from fairtrial.reporting.verdicts.verdict_record import finding_record
from fairtrial.study.factors import spaced

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fairtrial.reporting.results.inference_rule import InferenceRule
    from fairtrial.reporting.verdicts.aa_check import AACheck
    from fairtrial.reporting.verdicts.study_verdicts import StudyVerdicts


@dataclass(frozen=True, eq=False, repr=False)
class Verdicts:
    """Contrasts with their sentences; a notebook shows them as a table.

    about: what was read, in a line. notes: what a reader must know beside them. keys: seed -> its name in
    JSON, where a seed stands for a unit of a table. aa: the A/A check of a study, a row of the figure.
    """

    findings: tuple[Finding, ...]
    sentences: tuple[str, ...]
    rule: InferenceRule
    about: str
    notes: tuple[str, ...] = ()
    keys: Sequence[str] | None = None
    aa: AACheck | None = None

    def __str__(self) -> str:
        """Return the sentences, a line each."""
        return "\n".join([*self.sentences, *self.notes])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return the table that Jupyter shows; every string in it is escaped."""
        # pages load jinja2, which a command that prints a sentence does not need
        from fairtrial.reporting.report.page_templates import render_page

        rows = [
            {
                "verdict": finding.verdict,
                "word": spaced(finding.verdict),
                "sentence": sentence,
                "grounds": grounds(finding),
                "warnings": finding.warnings,
            }
            for finding, sentence in zip(self.findings, self.sentences, strict=True)
        ]
        return render_page("verdicts_cell.html", rows=rows, about=self.about, notes=self.notes)

    def lines(self) -> list[str]:
        """Return the words of a command: what was read, each sentence with what decided it, its warnings."""
        lines = [self.about]
        for finding, sentence in zip(self.findings, self.sentences, strict=True):
            lines.append(sentence)
            if finding.verdict != "refused":
                lines.append(f"  {grounds(finding)}")
            lines += [f"  {warning}" for warning in finding.warnings]
        return [*lines, *self.notes]

    def record(self) -> dict[str, Any]:
        """Return everything as JSON; each contrast as in verdicts.json."""
        pairs = zip(self.findings, self.sentences, strict=True)
        return {"about": self.about, "contrasts": [self._record(*pair) for pair in pairs]}

    def _record(self, finding: Finding, sentence: str) -> dict[str, Any]:
        record = finding_record(finding, sentence)
        if self.keys is not None:
            record.pop("upstream_seeds", None)  # the key of a pair names its unit
            record["differences"] = {
                self.keys[int(seed)]: value for seed, value in record["differences"].items()
            }
        return record

    def frame(self) -> pd.DataFrame:
        """Return a row per contrast; estimate, limits and margin of accuracies are in points."""
        rows = []
        for finding, sentence in zip(self.findings, self.sentences, strict=True):
            decided, factor = finding.decided_by, finding.scale.factor
            estimate = None if finding.interval is None else finding.interval.estimate * factor
            rows.append(
                {
                    "contrast": finding.contrast.name,
                    "arms": title(finding.contrast),
                    "metric": finding.contrast.metric,
                    "verdict": finding.verdict,
                    "estimate": estimate,
                    "low": None if decided is None else decided.low * factor,
                    "high": None if decided is None else decided.high * factor,
                    "level": None if decided is None else decided.level,
                    "p": None if decided is None else decided.p,
                    "n": finding.n,
                    "unit": finding.unit.name,
                    "margin": finding.margin * factor,
                    "sentence": sentence,
                }
            )
        return pd.DataFrame(rows)

    def figure(self) -> Figure:
        """Draw the contrasts on the first one's metric as the report does: a row each, with its verdict."""
        # matplotlib is slow to load
        from fairtrial.reporting.figures import forest
        from fairtrial.reporting.figures.figure_files import styled
        from fairtrial.reporting.notebook_figure import for_notebook

        with styled():
            metric = self.findings[0].contrast.metric
            shown = [finding for finding in self.findings if finding.contrast.metric == metric]
            rows = forest.rows_of(shown, self.aa)
            return for_notebook(forest.draw(rows, shown, self.rule, family=len(self.findings))[1])

    def drawn(self, form: str) -> bytes:
        """Return the figure as a file in this format; the same contrasts give the same bytes."""
        from fairtrial.reporting.figures.figure_files import render, styled

        with styled():
            return render("contrasts", self.about, self.figure(), [form]).formats[form]


def of_study(judged: StudyVerdicts) -> Verdicts:
    """Return the verdicts of a study that was judged, its A/A check and its warnings as notes."""
    results = judged.results
    control = judged.control
    notes = [control.sentence] if control is not None and not control.alarm else []
    return Verdicts(
        judged.findings,
        judged.sentences,
        results.inference,
        f"{results.study.id}, hash {results.hash}: {results.progress}",
        (*notes, *judged.warnings),
        aa=control,
    )
