"""Every declared contrast with its verdict, favourable or not: for the whole report, and for the README."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

import pandas as pd

from fairtrial.reporting.tables.table import Table, markdown_text
from fairtrial.reporting.wording import clean, plural
from fairtrial.study.factors import spaced
from fairtrial.study.study import ALPHA, Study

if TYPE_CHECKING:
    from fairtrial.reporting.claims.claim_entries import ClaimEntry
    from fairtrial.reporting.report.recorded_studies import RecordedStudy
    from fairtrial.reporting.verdicts.study_verdicts import StudyVerdicts

ICONS: Final = {
    "better": "↑",
    "worse": "↓",
    "equivalent": "≡",
    "different_but_negligible": "≈",
    "inconclusive": "?",
    "refused": "×",
}


def every_contrast(studies: Sequence[RecordedStudy], claims: Iterable[ClaimEntry]) -> Table:
    """Return a row per declared contrast; the caption counts contrasts and families, those of claims too."""
    frame = contrast_frame(row for study in studies for row in _rows_of(study))
    families = sum(bool(study.verdicts.findings) for study in studies)
    exploratory = {
        (one.source.label, one.arms)
        for entry in claims
        for one in entry.evidence
        if one.part.measure == "contrast" and "exploratory" in one.stamps
    }
    of_claims = _families(len({label for label, _ in exploratory}))
    caption = (
        f"{plural(len(frame), 'declared contrast')} in {_families(families)}, one for each study. Holm "
        f"corrects within a family and not across: with no difference anywhere about "
        f"{ALPHA * families:.2g} families would hold a false verdict. The claims ledger tests "
        f"{plural(len(exploratory), 'further contrast')}, exploratory, in {of_claims}. "
        f"{verdict_key()}"
    )
    return Table("contrasts", caption, frame, marked=("verdict",))


def primary_contrasts(studies: Sequence[RecordedStudy]) -> Table:
    """Return a row per primary contrast of studies that a page quotes."""
    rows = [row for study in studies for row in _rows_of(study) if row["declared as"] == "primary"]
    caption = f"Every primary contrast of the studies that this page quotes. {verdict_key()}"
    return Table("primary-contrasts", caption, contrast_frame(rows), marked=("verdict",))


def summary(verdicts: StudyVerdicts) -> str:
    """Return the verdicts of one study in Markdown, for a pull request: a row per declared contrast."""
    study, pairs = verdicts.results.study, zip(verdicts.findings, verdicts.sentences, strict=True)
    frame = contrast_frame(
        contrast_row(study, study.id, found.contrast.name, found.verdict, text) for found, text in pairs
    )
    table = Table("summary", "", frame.drop(columns="study"))
    control = [] if verdicts.control is None else [verdicts.control.sentence]
    head = f"### {study.id} (preset {study.preset})"
    said = [markdown_text(text) for text in dict.fromkeys((*control, *verdicts.warnings))]
    return "\n\n".join([head, markdown_text(study.question), table.markdown().rstrip(), *said]) + "\n"


def shared_table(studies: Sequence[RecordedStudy]) -> Table:
    """Return a row per pair of studies that share runs."""
    rows = [
        {"study": study.label, "other study": other, "runs of both": str(runs)}
        for study in studies
        for other, runs in study.shared.items()
    ]
    caption = "Runs with the same final weights in two studies; the claims ledger counts them once."
    frame = pd.DataFrame(rows, columns=["study", "other study", "runs of both"])
    return Table("shared-runs", caption if rows else "No two studies share a run.", frame)


def _rows_of(study: RecordedStudy) -> Iterable[dict[str, str]]:
    pairs = zip(study.verdicts.findings, study.verdicts.sentences, strict=True)
    declared = study.verdicts.results.study
    return (
        contrast_row(declared, study.name, found.contrast.name, found.verdict, text) for found, text in pairs
    )


def contrast_row(study: Study, label: str, name: str, verdict: str, sentence: str) -> dict[str, str]:
    """Return the row of one contrast, and whether it was declared as primary."""
    primary = name in {contrast.name for contrast in study.primary_contrasts}
    return {
        "verdict": f"{ICONS[verdict]} {spaced(verdict)}",
        "study": label,
        "contrast": clean(name),
        "declared as": "primary" if primary else "secondary",
        "what the records say": sentence,
    }


def contrast_frame(rows: Iterable[dict[str, str]]) -> pd.DataFrame:
    """Return rows of contrasts as a table, in the order of its columns."""
    columns = ["verdict", "study", "contrast", "declared as", "what the records say"]
    return pd.DataFrame(list(rows), columns=columns)


def _families(number: int) -> str:
    return "1 family" if number == 1 else f"{number} families"


def verdict_key() -> str:
    """Return '↑ better, ↓ worse, ...'."""
    return ", ".join(f"{icon} {spaced(verdict)}" for verdict, icon in ICONS.items()) + "."
