"""A figure in the formats of a report: the same figure gives the same bytes."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Final

import matplotlib
from matplotlib.figure import Figure

from fairtrial.reporting.figures import style

MADE_BY: Final = f"matplotlib {matplotlib.__version__}"  # in each file: `verify` compares what it drew itself
_METADATA: Final[dict[str, dict[str, Any]]] = {  # no dates: the same results give the same bytes
    "svg": {"metadata": {"Date": None, "Creator": MADE_BY}},
    "pdf": {"metadata": {"CreationDate": None, "Producer": None, "Creator": MADE_BY}},
    "png": {"metadata": {"Software": MADE_BY}},
}
FORMATS: Final = tuple(_METADATA)
# how letters join and how formulas are set: a file in which each letter has its place needs neither, and
# reading them takes half of the time of drawing a pdf
_UNUSED_FONT_TABLES: Final = ("GDEF", "GPOS", "GSUB", "MATH", "kern")
# Decimals of a place: a hundredth of a point is seen by nobody, but a pdf has scales among its numbers.
# Places are often halves, quarters ... and their last bit another processor computes anew: where a number is
# rounded up or down lies beside all of those, in both formats.
_DECIMALS: Final = {"svg": 2, "pdf": 5}
_ASIDE: Final = 1.37e-7
_NUMBER: Final = re.compile(rb"-?\d+\.\d+")
# of what is drawn; scales and turns keep their decimals
_PLACES: Final = re.compile(rb' (?:x|y|width|height|d)="[^"]*"|translate\([^)]*\)')
_PATH: Final = re.compile(rb'(?<= d=)"[^"]*"')
_COMMAND: Final = re.compile(rb'\s*([MLHVCSQTAZz"-])\s*')
# names of marks, clips and letters ("DejaVuSans-15")
_NAME: Final = rb"(?:[mph]|C[0-9a-f]+_[0-9a-f]+_)[0-9a-f]{10}|[A-Z][A-Za-z]+[\w-]*-[0-9a-f]+"
_NAMED: Final = re.compile(rb'( id="|href="#|url\(#)(%b)(?=[")])' % _NAME)
_INDENT: Final = re.compile(rb"(?<=\n) +")
# Its size, what drew it, and a style. XML is UTF-8 unless it says otherwise; SVG 2 has no document type.
_HEADER: Final = re.compile(
    rb"\A.*?(<svg .*?>).*?<dc:title>(.*?)</dc:title>.*?<defs>\n(<style.*?</style>)\n</defs>", re.DOTALL
)
_SHORT_HEADER: Final = rb"\1\n<metadata>\2</metadata>\n\3"
_PART: Final = rb"figure|axes|matplotlib\.axis|[xy]tick|line2d|text|patch|legend|[A-Z]\w*Collection"
_TAG: Final = re.compile(rb"<[a-z][^>]*>")
_SHORTER: Final = tuple(
    (re.compile(long), short)
    for long, short in (
        (rb' xmlns:xlink="[^"]*"| version="1.1"| type="text/css"|xlink:(?=href=)', b""),  # SVG 2 needs none
        (rb'(?<=<g) id="(?:%b)_\d+"' % _PART, b""),
        (rb'(<use href="[^"]*") transform="translate\((\S+) 0\)"', rb'\1 x="\2"'),  # a letter in its line
        (rb"(?<=[:;]) ", b""),  # of styles
        (rb'(?<=[ (:,"A-Z-])0(?=\.\d)', b""),  # 0.5
    )
)
_ALIKE: Final = re.compile(rb'<g( clip-path="[^"]*")?>\n((?:<use [^>]*/>\n){2,})</g>')  # marks of one series
_STYLE: Final = re.compile(rb' style="[^"]*"')
_BLENDED: Final = re.compile(rb"(?<!-)opacity")  # which blends a group as one mark
_GROUP: Final = re.compile(rb"<g(?: [^>]*[^>/])?>\n|<g/>\n|</g>\n")


@dataclass(frozen=True)
class RenderedFigure:
    """A figure in its formats; `svg` can stand in a page beside others.

    provenance: what a figure that stands alone says after its caption: budget, preset, commit, hash.
    """

    name: str
    caption: str
    formats: dict[str, bytes]
    wide: bool  # over both columns of a paper
    provenance: str = ""

    @property
    def full_caption(self) -> str:
        """Return the caption of a figure that travels without its page."""
        return f"{self.caption} {self.provenance}".rstrip()

    @property
    def svg(self) -> str:
        """The drawing alone: no prolog, and ids that no other figure has."""
        text = self.formats["svg"].decode()
        text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text[text.index("<svg") :], flags=re.DOTALL)
        for before in (' id="', 'href="#', "url(#"):
            text = text.replace(before, f"{before}{self.name}-")
        return text


@contextmanager
def styled() -> Iterator[None]:
    """Draw in the look of this project, whatever a matplotlibrc says here."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(style.RC)
        yield


def render(name: str, caption: str, figure: Figure, formats: Collection[str] = FORMATS) -> RenderedFigure:
    """Render a figure as svg and in these formats; its layout is computed once, so that all agree on it."""
    figure.draw_without_rendering()
    figure.set_layout_engine(None)
    rendered = {}
    for kind, options in _METADATA.items():
        if kind == "svg" or kind in formats:
            buffer = io.BytesIO()
            with _lean_pdf() if kind == "pdf" else nullcontext():
                figure.savefig(buffer, format=kind, **options)
            rendered[kind] = _lean(buffer.getvalue()) if kind == "svg" else buffer.getvalue()
    return RenderedFigure(name, caption, rendered, wide=figure.get_figwidth() > style.COLUMN)


def _lean(svg: bytes) -> bytes:
    """Return a drawing without spare words, digits and groups, and with each style once; ids count up.

    Comments stay: they hold the texts of the drawing, which `verify` reads (`differences`). matplotlib makes
    ids of hashed places, which another processor rounds anew.
    """
    svg = _TAG.sub(_short_tag, _HEADER.sub(_SHORT_HEADER, _INDENT.sub(b"", svg)))
    svg = _without_bare_groups(_ALIKE.sub(_styled_once, svg))
    numbers: dict[bytes, int] = {}

    def renamed(found: re.Match[bytes]) -> bytes:
        return b"%b%b%d" % (found[1], found[2][:1], numbers.setdefault(found[2], len(numbers)))

    return _NAMED.sub(renamed, svg)


def _short_tag(tag: re.Match[bytes]) -> bytes:
    short = _PLACES.sub(lambda found: _with_rounded(found[0], _DECIMALS["svg"]), tag[0])
    short = _PATH.sub(lambda found: _COMMAND.sub(rb"\1", found[0]), short)
    for long, shorter in _SHORTER:
        short = long.sub(shorter, short)
    return short


def _with_rounded(places: bytes, decimals: int) -> bytes:
    """Return a text with its places rounded."""

    def written(place: re.Match[bytes]) -> bytes:
        return (b"%.*f" % (decimals, _rounded(float(place[0]), decimals))).rstrip(b"0").rstrip(b".")

    return _NUMBER.sub(written, places)


def _rounded(place: float, decimals: int) -> float:
    return round(place + _ASIDE, decimals) + 0.0  # no -0


def _without_bare_groups(svg: bytes) -> bytes:
    """Return a drawing without groups that say nothing of their parts, or have none."""
    ends: list[bytes] = []

    def kept(tag: re.Match[bytes]) -> bytes:
        if tag[0] == b"</g>\n":
            return ends.pop()
        said = b"" if tag[0] in (b"<g>\n", b"<g/>\n") else tag[0]
        if tag[0] != b"<g/>\n":
            ends.append(said and b"</g>\n")
        return said

    return _GROUP.sub(kept, svg)


def _styled_once(marks: re.Match[bytes]) -> bytes:
    """Return marks with one style, which they inherit from their group, or as they are."""
    styles = _STYLE.findall(marks[2])
    if len(set(styles)) != 1 or len(styles) < marks[2].count(b"<use ") or _BLENDED.search(styles[0]):
        return marks[0]
    return b"<g%b%b>\n%b</g>" % (marks[1] or b"", styles[0], _STYLE.sub(b"", marks[2]))


@contextmanager
def _lean_pdf() -> Iterator[None]:
    """Leave out the tables of a font and the decimals that no pdf of ours uses; matplotlib has no option."""
    # only a pdf loads them
    from fontTools.subset import Options
    from matplotlib.backends import backend_pdf

    tables, written = Options._drop_tables_default, backend_pdf.pdfRepr

    def rounded(value: Any) -> Any:
        if isinstance(value, backend_pdf.Verbatim):  # a path
            return _with_rounded(written(value), _DECIMALS["pdf"])
        number = isinstance(value, float) and math.isfinite(value)
        return written(_rounded(float(value), _DECIMALS["pdf"]) if number else value)

    Options._drop_tables_default = [*tables, *_UNUSED_FONT_TABLES]
    backend_pdf.pdfRepr = rounded
    try:
        yield
    finally:
        Options._drop_tables_default, backend_pdf.pdfRepr = tables, written


def figure_files(figures: Iterable[RenderedFigure]) -> dict[str, bytes]:
    """Return the files of these figures in a report: 'figures/ladder.svg' and so on."""
    return {
        f"figures/{figure.name}.{kind}": data for figure in figures for kind, data in figure.formats.items()
    }
