"""The report that is handed in, as one document in two columns (docs/written-report.md)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import fairtrial
from fairtrial.reporting.figures.figure_files import MADE_BY, RenderedFigure
from fairtrial.reporting.report.page_model import split_caption, title_of, without_provenance
from fairtrial.reporting.report.pdf_document import (
    Bullets,
    Document,
    Facts,
    Line,
    Note,
    Picture,
    Pointers,
    Section,
    Tabular,
)
from fairtrial.reporting.results.load import Results
from fairtrial.reporting.results.shared_runs import Shared
from fairtrial.reporting.tables.table import Table
from fairtrial.reporting.verdicts.aa_check import absence
from fairtrial.reporting.verdicts.captions import provenance, study_facts
from fairtrial.reporting.wording import clean
from fairtrial.study.factors import spaced

if TYPE_CHECKING:
    from fairtrial.reporting.verdicts.study_verdicts import StudyVerdicts

MAKER: Final = f"fairtrial {fairtrial.__version__}, {MADE_BY}"
_BESIDE: Final = ("arms",)  # tables that stand with the figures; the others follow at the end
_WORKS: Final = {  # of a factor: keys of references.bib
    "norm": ("bn", "gn"),
    "weight_std": ("ws",),
    "mixup": ("mixup",),
    "block": ("resnet", "preactivation"),
}
HOW_TO_READ: Final = Section(
    "How to read the verdicts",
    (
        Line(
            "At one seed all arms see the same images in the same order, and start from the same weights "
            "wherever shapes agree. What is compared is the difference within a seed: the luck of the seed "
            "cancels.",
            "Pairing.",
        ),
        Line(
            "A Student interval of the mean paired difference. It speaks of new seeds on this test set; n "
            "counts seeds, or checkpoints where networks were pre-trained.",
            "Interval.",
        ),
        Line(
            "Better or worse: the interval excludes 0. Equivalent: the difference is shown to lie inside the "
            "margin. Inconclusive: neither is shown, which is not the same as no difference. Each p is "
            "corrected by Holm's method over the contrasts of its study; failure rates carry "
            "Clopper-Pearson limits.",
            "Verdict.",
            cites=("tost", "holm", "clopper"),
        ),
    ),
)


def of_study(
    study: StudyVerdicts, figures: Sequence[RenderedFigure], tables: Sequence[Table], shared: Shared
) -> Document:
    """Return the written report of one study. shared: runs that the studies beside it have too."""
    results = study.results
    name, preset = clean(results.study.name), clean(results.study.preset)
    drawn = [_picture(figure, results) for figure in figures]
    pictures, notes = [picture for picture, _ in drawn], [note for _, note in drawn if note.text]
    numbered = {table.name: _tabular(table, results) for table in tables}
    beside = [numbered.pop(name) for name in _BESIDE if name in numbered and not numbered[name].long]
    pairs = zip(study.findings, study.sentences, strict=True)
    answers = [Line(said, f"{spaced(finding.verdict).capitalize()}:") for finding, said in pairs]
    control = (
        Line(absence(results.study))
        if study.control is None
        else Line(study.control.sentence, alarm=study.control.alarm)
    )
    pointers = (
        pointers_to("Shown:", (*pictures, *beside)),
        pointers_to("In full at the end:", numbered.values()),
    )
    sections = [
        Section("Answer", (Bullets(tuple(answers)), control)),
        Section("Results", (*pictures[:1], *beside, *pictures[1:], *pointers)),
        Section("What was run", (Facts(tuple(study_facts(results, shared))), *_background(results))),
    ]
    if study.warnings:
        sections.append(Section("Warnings", (Bullets(tuple(Line(text) for text in study.warnings)),)))
    # in the text: it fills the page that the last figures leave
    sections += [HOW_TO_READ, Section("Notes on the figures", tuple(notes))]
    return Document(
        title=clean(results.study.question),
        subtitle=f"Study {name}, preset {preset}. {dated([results])}",
        made=latest([results]),
        maker=MAKER,
        alarms=() if results.sound else (results.unsound,),
        sections=tuple(sections),
        appendix=(Section("Tables", tuple(numbered.values())),),
    )


def latest(every: Iterable[Results]) -> datetime:
    """Return when the last of these runs ended; the first second of 1970 where no record says it."""
    ended = (one.provenance.ended for results in every for one in results.records.values())
    return datetime.fromtimestamp(max((int(one) for one in ended if one), default=0), UTC)


def dated(every: Iterable[Results]) -> str:
    """Return 'Last run on 27 November 2026.'; nothing where no record says it."""
    last = latest(every)
    return f"Last run on {last.day} {last:%B %Y}." if last.timestamp() else ""


def _background(results: Results) -> tuple[Line, ...]:
    """Return the works on what a study sweeps."""
    works = [key for factor, keys in _WORKS.items() if factor in results.study.factors for key in keys]
    return (Line("Published work on what is compared:", cites=(*works, "bit")),)


def _picture(figure: RenderedFigure, results: Results) -> tuple[Picture, Note]:
    caption, notes = split_caption(without_provenance(figure.caption, provenance(results)))
    return Picture(figure.name, figure, f"{title_of(figure.name)}.", caption), Note(figure.name, notes)


def _tabular(table: Table, results: Results) -> Tabular:
    caption = without_provenance(table.caption, provenance(results))
    return Tabular(f"table-{table.name}", table, f"{title_of(table.name)}.", caption)


def pointers_to(lead: str, blocks: Iterable[Picture | Tabular]) -> Pointers:
    """Return the figures and tables of the document by number, with their titles."""
    return Pointers(lead, tuple((block.title.removesuffix("."), block.name) for block in blocks))
