"""A document in two columns as PDF, typeset by Typst (extra `pdf`): equal content gives equal bytes."""

from __future__ import annotations

import importlib.util
import json
import re
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import matplotlib

from fairtrial.errors import USAGE, fault
from fairtrial.reporting.derived_files import write_files
from fairtrial.reporting.figures.figure_files import RenderedFigure
from fairtrial.reporting.tables.table import Table

PDF: Final = "report.pdf"
_TEMPLATES: Final = Path(__file__).parent / "templates"
_SHIPPED: Final = ("written_report.typ", "references.bib")
# letters after which a word without a space may be broken; no escape of JSON is torn
_LONG_WORD: Final = re.compile(r'[^\s"\\]{24}(?=[^\s"\\])')
_ROWS: Final = 14  # of a table that stands on one page, whatever its cells hold
_CHARACTERS: Final = 3000


@dataclass(frozen=True)
class Line:
    """A paragraph, or an item of a list. lead: its first words, bold; cites: keys of references.bib."""

    text: str
    lead: str = ""
    alarm: bool = False
    cites: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bullets:
    """A list."""

    items: tuple[Line, ...]


@dataclass(frozen=True)
class Pointers:
    """Figures and tables of the document, one after the other: (words, name)."""

    lead: str
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Note:
    """What the caption of a figure has no room for."""

    name: str
    text: str


@dataclass(frozen=True)
class Facts:
    """Names with their values."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Heading:
    """A heading within a section."""

    text: str


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure with its title and caption. name: what `Pointers` call it; it stands once in a document."""

    name: str
    figure: RenderedFigure
    title: str
    caption: str


@dataclass(frozen=True, eq=False)
class Tabular:
    """A table with its title and caption. name: what `Pointers` call it; it stands once in a document."""

    name: str
    table: Table
    title: str
    caption: str

    @property
    def long(self) -> bool:
        """Whether it may need more than a page: it is not placed, and breaks between rows."""
        return len(self.rows) > _ROWS or sum(len(cell) for row in self.rows for cell in row) > _CHARACTERS

    @property
    def rows(self) -> list[list[str]]:
        """The names of its columns, then its rows."""
        frame = self.table.frame.astype(str)
        return [list(frame.columns), *frame.values.tolist()]


Block = Line | Bullets | Pointers | Note | Facts | Heading | Picture | Tabular


@dataclass(frozen=True, eq=False)
class Section:
    """What stands under one heading; nothing does where it has no blocks."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, eq=False)
class Document:
    """A written report. made: when its last run ended; appendix: sections over the whole width."""

    title: str
    subtitle: str
    made: datetime
    maker: str
    sections: tuple[Section, ...]
    alarms: tuple[str, ...] = ()
    appendix: tuple[Section, ...] = field(default=())


def refuse_without_typst() -> None:
    """Raise a Fault that names the extra, where Typst is not installed: before anything is drawn."""
    if importlib.util.find_spec("typst") is None:
        raise fault("writing a PDF needs typst", "--pdf", 'pip install "fairtrial[pdf]"', USAGE)


def typeset(document: Document) -> bytes:
    """Return the document as PDF. No string in it is read as markup, no font of the machine is used."""
    refuse_without_typst()
    import typst

    content, figures = _content(document)
    with tempfile.TemporaryDirectory(prefix="fairtrial-pdf-") as made:
        folder = Path(made)
        text = _LONG_WORD.sub("\\g<0>\N{ZERO WIDTH SPACE}", json.dumps(content, ensure_ascii=False))
        shipped = {name: (_TEMPLATES / name).read_bytes() for name in _SHIPPED}
        write_files(folder, {**figures, **shipped, "content.json": text})
        fonts = Path(matplotlib.get_data_path()) / "fonts" / "ttf"  # for what Typst's own fonts lack
        how: dict[str, Any] = {"root": str(folder), "font_paths": [str(fonts)], "ignore_system_fonts": True}
        try:
            return typst.compile(str(folder / _SHIPPED[0]), **how)
        except typst.TypstError as error:
            # Typst 0.15 fails at tagging some layouts ("parent group", in tags/tree/build.rs); the same
            # document can be made without tags for readers of screens
            if "internal error" not in str(error):
                raise
            return typst.compile(str(folder / _SHIPPED[0]), pdf_tags=False, **how)


def _content(document: Document) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return what the template reads, and the drawings by the names of their files."""
    figures: dict[str, bytes] = {}

    def sections(given: Sequence[Section]) -> list[dict[str, Any]]:
        return [
            {"title": one.title, "blocks": [_block(each, figures) for each in one.blocks]}
            for one in given
            if one.blocks
        ]

    made = document.made.astimezone(UTC)
    parts = ("year", "month", "day", "hour", "minute", "second")
    return {
        "title": document.title,
        "subtitle": document.subtitle,
        "made": {part: getattr(made, part) for part in parts},
        "maker": document.maker,
        "alarms": list(document.alarms),
        "sections": sections(document.sections),
        "appendix": sections(document.appendix),
    }, figures


def _block(block: Block, figures: dict[str, bytes]) -> dict[str, Any]:
    """Return a block as the template reads it; a drawing is added to `figures`."""
    if isinstance(block, Line):
        return {"kind": "text", **asdict(block)}
    if isinstance(block, Bullets):
        return {"kind": "list", "items": [asdict(item) for item in block.items]}
    if isinstance(block, (Pointers, Note, Facts, Heading)):
        return {"kind": type(block).__name__.lower(), **asdict(block)}
    shared = {"title": block.title, "caption": block.caption}
    if isinstance(block, Picture):
        drawn = block.figure
        file = f"{len(figures)}.pdf"
        figures[file] = drawn.formats["pdf"]
        return {
            "kind": "figure",
            "label": block.name,
            "file": file,
            "alt": block.caption,
            "wide": bool(drawn.wide),
            **shared,
        }
    columns, *rows = ([_unbroken(cell) for cell in row] for row in block.rows)
    return {
        "kind": "table", "label": block.name, "long": block.long,
        "columns": columns, "rows": rows, "marked": [_unbroken(name) for name in block.table.marked],
        **shared,
    }  # fmt: skip


def _unbroken(text: str) -> str:
    """Return a cell whose percent signs stay with their numbers."""
    return re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", text)
