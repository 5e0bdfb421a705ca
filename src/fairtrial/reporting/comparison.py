"""A file of a report beside the same file drawn anew: what differs, and what another library explains.

Text, tables and captions must be equal to the letter. In verdicts.json a float may differ beyond its ninth
digit: versions of scipy do. A picture says which matplotlib drew it. By the same version it must be the same:
the svg line by line, the pdf as unpacked, the png pixel by pixel. By another version its drawing is not
compared, and that is told; the texts in an svg and all of a page around its figures still are.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import matplotlib
import numpy as np
from matplotlib.image import imread

from fairtrial.reporting.differences import NUMBER, of_csv, of_json, of_text

_MADE: Final = re.compile(
    rb'(?:<dc:title>|/Creator \(|Software\x00|name="generator" content=")matplotlib ([\w.+-]+)'
)
_MOST: Final = 20  # places of one drawing that are listed


@dataclass(frozen=True)
class Compared:
    """named: what the records do not say. noted: what a library's other version explains."""

    named: tuple[str, ...] = ()
    noted: tuple[str, ...] = ()


def compare(kind: str, found: bytes, expected: bytes) -> Compared:
    """Compare two files of a kind, such as '.csv'."""
    if found == expected:
        return Compared()
    try:
        return _KINDS.get(kind, _text)(found, expected)
    except UnicodeDecodeError as error:
        return Compared((f"not UTF-8 text: {error.reason} at byte {error.start}",))


def numbers(kind: str, data: bytes) -> int:
    """How many numbers a file tells; those of a drawing are not counted."""
    return 0 if kind in (".svg", ".png", ".pdf") else len(NUMBER.findall(_without_drawings(data.decode())))


def _text(found: bytes, expected: bytes) -> Compared:
    return Compared(tuple(of_text(found.decode(), expected.decode())))


def _csv(found: bytes, expected: bytes) -> Compared:
    return Compared(tuple(of_csv(found.decode(), expected.decode())))


def _json(found: bytes, expected: bytes) -> Compared:
    named, tiny = of_json(found.decode(), expected.decode())
    note = f"{tiny} floats differ beyond their ninth digit, as versions of scipy do"
    return Compared(tuple(named), (note,) if tiny else ())


def _page(found: bytes, expected: bytes) -> Compared:
    note = _other_version(found)
    if note is None:
        return _text(found, expected)
    bare = [_without_drawings(_MADE.sub(b"", data).decode()) for data in (found, expected)]
    return Compared(tuple(of_text(*bare)), (note,))


def _without_drawings(page: str) -> str:
    """The page, with its lines where they were."""
    return re.sub(r"<svg.*?</svg>", lambda svg: "\n" * svg[0].count("\n"), page, flags=re.DOTALL)


def _svg(found: bytes, expected: bytes) -> Compared:
    mine, theirs = found.decode(), expected.decode()
    if _drawing(mine) == _drawing(theirs):
        return Compared()
    note = _other_version(found)
    if note is not None:
        return Compared(tuple(of_text(_texts(mine), _texts(theirs))), (f"{note}; its texts are",))
    named = list(of_text(mine, theirs))
    more = [f"and {len(named) - _MOST} more places of the drawing"] if len(named) > _MOST else []
    return Compared((*named[:_MOST], *more))


def _drawing(svg: str) -> str:
    """An svg without what is said about it."""
    return re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)


def _texts(svg: str) -> str:
    """What a drawing says, a text a line: matplotlib draws letters as paths, with the text as a comment."""
    return "\n".join(" ".join(text.split()) for text in re.findall(r"<!--(.*?)-->", svg, re.DOTALL))


def _pdf(found: bytes, expected: bytes) -> Compared:
    return _picture(found, lambda: _unpacked(found) == _unpacked(expected))


def _unpacked(pdf: bytes) -> bytes:
    """A pdf without its table of places, its streams unpacked: another zlib packs them otherwise."""
    objects = re.sub(rb"/Length \d+|\d+ 0 obj\s+\d+\s+endobj", b"", pdf[: pdf.rfind(b"\nxref")])
    return re.sub(rb"(?<=stream\n)(.*?)(?=\nendstream)", lambda s: _inflated(s[1]), objects, flags=re.DOTALL)


def _inflated(stream: bytes) -> bytes:
    try:
        return zlib.decompress(stream)
    except zlib.error:
        return stream


def _png(found: bytes, expected: bytes) -> Compared:
    try:
        mine = imread(io.BytesIO(found))
    except (OSError, SyntaxError, ValueError) as error:
        return Compared((f"not a picture that can be read: {error}",))
    return _picture(found, lambda: np.array_equal(mine, imread(io.BytesIO(expected))))


def _picture(found: bytes, same: Callable[[], bool]) -> Compared:
    note = _other_version(found)
    if note is not None:
        return Compared((), (note,))
    return Compared() if same() else Compared(("the picture is not the one that the records give",))


def _other_version(found: bytes) -> str | None:
    """What to say where another matplotlib drew; None where it was this one."""
    made = _MADE.search(found)
    version = made[1].decode() if made else None
    if version == matplotlib.__version__:
        return None
    by = f"drawn by matplotlib {version}" if version else "it does not say which matplotlib drew it"
    return f"{by}, this is {matplotlib.__version__}: the drawing is not compared"


_KINDS: Final[dict[str, Callable[[bytes, bytes], Compared]]] = {
    ".csv": _csv,
    ".json": _json,
    ".html": _page,
    ".svg": _svg,
    ".pdf": _pdf,
    ".png": _png,
}
