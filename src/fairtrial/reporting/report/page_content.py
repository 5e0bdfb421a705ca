"""What one page of the whole report holds; each figure is drawn once, later mentions point to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fairtrial.reporting.figures.figure_files import Drawn
from fairtrial.reporting.report.drawing import Hung
from fairtrial.reporting.report.missing_items import Shown
from fairtrial.reporting.report.questions import QUESTIONS, Question
from fairtrial.reporting.report.recorded_studies import Recorded
from fairtrial.reporting.tables.table import Table


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure at one place; `first` is the id of the exhibit that draws it where another one does."""

    source: str
    drawn: Drawn
    first: str = ""


@dataclass(frozen=True, eq=False)
class Item:
    """An exhibit at one place."""

    shown: Shown
    pictures: tuple[Picture, ...]
    tables: tuple[Table, ...]
    first: str = ""  # its id, where an earlier section of the page tells it


@dataclass(frozen=True, eq=False)
class Section:
    """One question with what is recorded on it. said: (study, its sentences about the question)."""

    key: str
    question: Question
    said: tuple[tuple[Recorded, tuple[str, ...]], ...]
    forests: tuple[Picture, ...]
    items: tuple[Item, ...]
    more: tuple[Picture, ...]  # figures of its studies that no exhibit asks for
    missing: tuple[Shown, ...]


@dataclass(frozen=True, eq=False)
class Document:
    """One page: its name, its title, its sections, the studies that it tells in full."""

    name: str
    title: str
    sections: tuple[Section, ...]
    studies: tuple[Recorded, ...]
    overview: tuple[Table, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass
class _Wall:
    """Where a page has already drawn what."""

    places: dict[str, str] = field(default_factory=dict)

    def hang(self, source: str, drawn: Drawn, place: str) -> Picture:
        return Picture(source, drawn, self.first(drawn.name, place))

    def first(self, name: str, place: str) -> str:
        """Where it stands already; empty where this is the first time, also of an exhibit told twice."""
        if name in self.places:
            return self.places[name]
        self.places[name] = place
        return ""


def about(key: str, study: Recorded) -> tuple[str, ...]:
    """The sentences of a study that speak of a question."""
    asks = QUESTIONS[key].about
    pairs = zip(study.seen.findings, study.seen.said, strict=True)
    return tuple(text for finding, text in pairs if asks(study.seen.results.study, finding.contrast))


def documents(
    studies: Sequence[Recorded], hung: Mapping[str, Hung], shown: Sequence[Shown], overview: Sequence[Table]
) -> list[Document]:
    """The index, a page per question, and the report that holds them all."""
    top, warnings = tuple(overview), tuple(_warnings(studies))
    pages = []
    for key, question in QUESTIONS.items():
        section = _section(key, studies, hung, shown, _Wall())
        pages.append(Document(question.slug, question.title, (section,), _told(section, studies)))
    wall, title = _Wall(), "Big Transfer: what the recorded trials say"
    sections = tuple(_section(key, studies, hung, shown, wall) for key in QUESTIONS)
    index = Document("index", title, (), (), top, warnings)
    return [index, *pages, Document("report", title, sections, tuple(studies), top, warnings)]


def _section(
    key: str, studies: Sequence[Recorded], hung: Mapping[str, Hung], shown: Sequence[Shown], wall: _Wall
) -> Section:
    said = tuple((study, about(key, study)) for study in studies if about(key, study))
    mine = [each for each in shown if key in each.wanted.serves]
    items = tuple(_item(each, wall) for each in mine if each.drawn)
    asked = {figure.name for each in shown for _, figure in each.figures}
    forests: list[Picture] = []
    more: list[Picture] = []
    for study, _ in said:
        for figure in hung[study.key].figures:
            if hung[study.key].short(figure).startswith("contrasts"):
                forests.append(wall.hang(study.name, figure, f"{key}-verdicts"))
            elif figure.name not in asked:
                more.append(wall.hang(study.name, figure, f"{key}-more"))
    missing = tuple(each for each in mine if not each.drawn)
    return Section(key, QUESTIONS[key], said, tuple(forests), items, tuple(more), missing)


def _item(shown: Shown, wall: _Wall) -> Item:
    pictures = tuple(wall.hang(source, figure, shown.id) for source, figure in shown.figures)
    first = wall.first(f"exhibit {shown.id}", shown.id)
    return Item(shown, pictures, shown.tables, first)


def _told(section: Section, studies: Sequence[Recorded]) -> tuple[Recorded, ...]:
    """The studies that a page must tell in full, for their fairness."""
    keys = {study.key for study, _ in section.said}
    keys |= {key for item in section.items for key in item.shown.studies}
    return tuple(study for study in studies if study.key in keys)


def _warnings(studies: Sequence[Recorded]) -> list[str]:
    return [f"{study.label}: {warning}" for study in studies for warning in study.seen.warnings]
