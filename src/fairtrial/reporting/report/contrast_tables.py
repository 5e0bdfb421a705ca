"""Every declared contrast with its verdict, favourable or not: for the whole report, and for the README."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pandas as pd

from fairtrial.plain_file import read_file
from fairtrial.reporting.tables.table import Table, markdown_text
from fairtrial.reporting.wording import clean, plural
from fairtrial.storage.store import Store
from fairtrial.storage.study_folders import RELEASED, find_studies, is_study
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
BEGIN: Final = "<!-- every primary contrast of the studies quoted here, by: python analysis/readme.py -->"
END: Final = "<!-- end of the contrasts -->"
_MOST: Final = 2**26  # bytes of a verdicts.json


def every_contrast(studies: Sequence[RecordedStudy], claims: Iterable[ClaimEntry]) -> Table:
    """Return a row per declared contrast; the caption counts contrasts and families, those of claims too."""
    frame = _frame(row for study in studies for row in _rows_of(study))
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
    return Table("primary-contrasts", caption, _frame(rows), marked=("verdict",))


def summary(verdicts: StudyVerdicts) -> str:
    """Return the verdicts of one study in Markdown, for a pull request: a row per declared contrast."""
    study, pairs = verdicts.results.study, zip(verdicts.findings, verdicts.sentences, strict=True)
    frame = _frame(_row(study, study.id, found.contrast.name, found.verdict, text) for found, text in pairs)
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


def with_contrasts(readme: str, results: Path) -> str:
    """Return a page with the table between its two marks made anew, of every shipped study that it quotes.

    A study is quoted where the page holds a sentence of its verdicts, or links to its folder; one of the
    user's own that ships too is left out. A ValueError where a mark is missing.
    """
    head, begin, rest = readme.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page lacks the line {END if begin else BEGIN}")
    shipped, every = results / RELEASED, find_studies([results])
    folders = [each for each in every if each.parent == shipped or not is_study(shipped / each.name)]
    rows = [row for folder in folders for row in _recorded_rows(folder, results, head + tail)]
    table = Table("quoted", "", _frame(rows).drop(columns="declared as"))
    return f"{head}{BEGIN}\n\n{verdict_key()}\n\n{table.markdown()}\n{END}{tail}"


def _recorded_rows(folder: Path, results: Path, page: str) -> list[dict[str, str]]:
    """Return the rows of a study's primary contrasts, of its verdicts.json; none where a page quotes none."""
    path = folder / "verdicts.json"
    if not path.is_file():
        return []
    contrasts = json.loads(read_file(path, _MOST))["contrasts"]
    place = f"results/{folder.relative_to(results).as_posix()}/"
    if place not in page and not any(contrast["sentence"] in page for contrast in contrasts):
        return []
    study = Study.of(Store(folder).declared()["declaration"])
    label = f"{folder.name} (preset {clean(study.preset)})"
    rows = [_row(study, label, one["contrast"]["name"], one["verdict"], one["sentence"]) for one in contrasts]
    return [row for row in rows if row["declared as"] == "primary"]


def _rows_of(study: RecordedStudy) -> Iterable[dict[str, str]]:
    pairs = zip(study.verdicts.findings, study.verdicts.sentences, strict=True)
    declared = study.verdicts.results.study
    return (_row(declared, study.name, found.contrast.name, found.verdict, text) for found, text in pairs)


def _row(study: Study, label: str, name: str, verdict: str, sentence: str) -> dict[str, str]:
    primary = name in {contrast.name for contrast in study.primary_contrasts}
    return {
        "verdict": f"{ICONS[verdict]} {spaced(verdict)}",
        "study": label,
        "contrast": clean(name),
        "declared as": "primary" if primary else "secondary",
        "what the records say": sentence,
    }


def _frame(rows: Iterable[dict[str, str]]) -> pd.DataFrame:
    columns = ["verdict", "study", "contrast", "declared as", "what the records say"]
    return pd.DataFrame(list(rows), columns=columns)


def _families(number: int) -> str:
    return "1 family" if number == 1 else f"{number} families"


def verdict_key() -> str:
    """Return '↑ better, ↓ worse, ...'."""
    return ", ".join(f"{icon} {spaced(verdict)}" for verdict, icon in ICONS.items()) + "."
