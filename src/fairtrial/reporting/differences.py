"""A file of a report beside the same file made anew: where they differ, and what another library explains.

Texts and tables must be equal to the letter. In verdicts.json a float may differ beyond its ninth digit:
versions of scipy do, and processors. A picture says which matplotlib drew it. By the same version it must be
the same one; numbers of a pdf may differ by less than is seen. By another version its drawing is not
compared, and that is noted; the texts in an svg are, and a page around its figures.
"""

from __future__ import annotations

import csv
import io
import math
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, zip_longest
from typing import Final

import matplotlib
import numpy as np
from matplotlib.image import imread

from fairtrial.errors import refuse_shortage

NUMBER: Final = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")
_MADE_BY: Final = re.compile(
    rb'(?:<metadata>|<dc:title>|/Creator \(|Software\x00|name="generator" content=")matplotlib ([\w.+-]+)'
)
_LAST_DIGITS: Final = 1e-9  # relative; what another version of scipy may change in a float
_HEADS: Final = {".png": 33, ".pdf": 0}  # bytes that say what size a picture claims, before it is unpacked
_MOST_UNPACKED: Final = 2**26  # bytes of a stream of a pdf
_MOST_PLACES: Final = 20  # of one file that are listed
_PDF_NUMBER: Final = re.compile(rb"(-?\d+(?:\.\d+)?)")
_NEAR: Final = 1e-4  # points; matplotlib writes ten decimals, of which another processor rounds the last anew
_SHADES: Final = 2.5 / 255  # of a pixel, where another processor places an edge a 256th of it aside
_AROUND: Final = 24  # characters shown around a place


@dataclass(frozen=True)
class Difference:
    """places: where a file does not say what the records say. note: what a library's version explains."""

    places: tuple[str, ...] = ()
    note: str = ""


def count_numbers(kind: str, data: bytes) -> int:
    """Count the numbers in a file; those of a drawing are none."""
    return 0 if kind in (".svg", ".png", ".pdf") else len(NUMBER.findall(_without_drawings(data.decode())))


def compare(kind: str, found: bytes, expected: bytes) -> Difference:
    """Compare two files of a kind, such as '.csv'."""
    if found == expected:
        return Difference()
    note = _other_version(found) if kind in (".svg", ".png", ".pdf", ".html") else ""
    if kind in (".png", ".pdf"):
        sized = found[: _HEADS[kind]] == expected[: _HEADS[kind]]
        same = note or (sized and _alike(_content(kind, found), _content(kind, expected)))
        return Difference(() if same else ("the picture is not the one that the records give",), note)
    try:
        old, new = found.decode(), expected.decode()
    except UnicodeDecodeError as error:
        return Difference((f"not UTF-8 text: {error.reason} at byte {error.start}",))
    if kind == ".json":
        return _of_json(old, new)
    if kind == ".csv":
        return Difference(_listed(_cells(old, new)))
    if kind == ".svg" and _drawing_of(old) == _drawing_of(new):
        return Difference()
    if kind == ".svg" and note:
        return Difference(_listed(_lines(_texts_of(old), _texts_of(new))), f"{note}; its texts are")
    if kind == ".html" and note:
        old, new = (_without_drawings(_MADE_BY.sub(b"", page).decode()) for page in (found, expected))
    return Difference(_listed(_lines(old, new)), note)


def _other_version(found: bytes) -> str:
    """Return what to say if another matplotlib drew a file; the empty text if it was this one."""
    made_by = _MADE_BY.search(found)
    version = made_by[1].decode() if made_by else None
    if version == matplotlib.__version__:
        return ""
    by = f"drawn by matplotlib {version}" if version else "it does not say which matplotlib drew it"
    return f"{by}, this is {matplotlib.__version__}: the drawing is not compared"


def _without_drawings(page: str) -> str:
    """Return the page without its figures, with its lines where they were."""
    return re.sub(r"<svg.*?</svg>", lambda svg: "\n" * svg[0].count("\n"), page, flags=re.DOTALL)


def _drawing_of(svg: str) -> str:
    """Return an svg without what is said about it."""
    return re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)


def _texts_of(svg: str) -> str:
    """Return the texts of a drawing, one a line: matplotlib draws letters as paths, with a comment."""
    return "\n".join(" ".join(text.split()) for text in re.findall(r"<!--(.*?)-->", svg, re.DOTALL))


def _content(kind: str, data: bytes) -> bytes | np.ndarray:
    """Return the pixels of a png, the unpacked streams of a pdf: another zlib packs them otherwise."""
    if kind == ".png":
        try:
            pixels = imread(io.BytesIO(data))
        except Exception as error:  # whatever damage does to a decoder
            refuse_shortage(error, "the picture")
            return data
        return np.asarray(pixels, np.float64)
    objects = re.sub(rb"/Length \d+|\d+ 0 obj\s+\d+\s+endobj", b"", data[: data.rfind(b"\nxref")])
    return re.sub(rb"(?<=stream\n)(.*?)(?=\nendstream)", _unpacked, objects, flags=re.DOTALL)


def _alike(old: bytes | np.ndarray, new: bytes | np.ndarray) -> bool:
    """Return whether two pictures show the same: places of a pdf, shades of a png as far as they are seen."""
    if isinstance(old, np.ndarray) and isinstance(new, np.ndarray):
        return old.shape == new.shape and bool(np.abs(old - new).max(initial=0) <= _SHADES)
    if not isinstance(old, bytes) or not isinstance(new, bytes):
        return False  # one of them is damaged
    (old_words, old_numbers), (new_words, new_numbers) = map(_words_and_numbers, (old, new))
    return old_words == new_words and np.allclose(old_numbers, new_numbers, rtol=0, atol=_NEAR)


def _words_and_numbers(content: bytes) -> tuple[list[bytes], list[float]]:
    parts = _PDF_NUMBER.split(b" ".join(content.split()))
    return parts[::2], [float(number) for number in parts[1::2]]


def _unpacked(stream: re.Match[bytes]) -> bytes:
    reader = zlib.decompressobj()
    try:
        data = reader.decompress(stream[1], _MOST_UNPACKED)
    except zlib.error:
        return stream[1]
    return data if reader.eof else stream[1]


def _listed(places: Iterator[str]) -> tuple[str, ...]:
    listed = tuple(islice(places, _MOST_PLACES))
    more = sum(1 for _ in places)
    return (*listed, f"and {more} more") if more else listed


def _lines(found: str, expected: str) -> Iterator[str]:
    """Yield each line that differs; where one has more lines than the other, the first alone."""
    old_lines, new_lines = found.splitlines(), expected.splitlines()
    for number, (old, new) in enumerate(zip_longest(old_lines, new_lines), 1):
        if old != new:
            yield f"line {number}{_parted(old, new)}"
            if len(old_lines) != len(new_lines):
                yield f"it has {len(old_lines)} lines, expected {len(new_lines)}"
                return
    if old_lines == new_lines and found != expected:
        yield "the ends of its lines differ"


def _parted(old: str | None, new: str | None) -> str:
    """Return both texts around the place where they part: ': "by 7.4 points", expected "by 7.2 points"'."""
    pairs = zip_longest(old or "", new or "")
    first = next((at for at, (one, other) in enumerate(pairs) if one != other), 0)
    low, high = max(0, first - _AROUND), first + _AROUND

    def excerpt(line: str | None) -> str:
        if line is None:
            return "nothing"
        return f'"{"..." * (low > 0)}{line[low:high].strip()}{"..." * (high < len(line))}"'

    return f": {excerpt(old)}, expected {excerpt(new)}"


def _cells(found: str, expected: str) -> Iterator[str]:
    """Yield each cell that differs, by its row and column."""
    try:
        old_rows, new_rows = (list(csv.reader(io.StringIO(text))) for text in (found, expected))
    except csv.Error:
        old_rows = new_rows = []
    if old_rows[:1] != new_rows[:1] or len(old_rows) != len(new_rows) or old_rows == new_rows:
        yield from _lines(found, expected)
        return
    for number, (old_row, new_row) in enumerate(zip(old_rows, new_rows, strict=True), 1):
        for column, old, new in zip_longest(new_rows[0], old_row, new_row, fillvalue=""):
            if old != new:
                place = f"row {number} ({', '.join(new_row[:2])[: 2 * _AROUND]}), column {column!r}"
                whole = f": {old or 'nothing'}, expected {new or 'nothing'}"
                yield place + (_parted(old, new) if max(len(old), len(new)) > 2 * _AROUND else whole)


def _of_json(found: str, expected: str) -> Difference:
    """Compare value by value, which stand on a line each; a float may differ in its last digits."""
    old_lines, new_lines = found.splitlines(), expected.splitlines()
    if len(old_lines) != len(new_lines):
        return Difference(_listed(_lines(found, expected)))
    close = [at for at, pair in enumerate(zip(old_lines, new_lines, strict=True)) if _nearly(*pair)]
    for at in close:
        old_lines[at] = new_lines[at]
    places = _listed(_lines("\n".join(old_lines), "\n".join(new_lines)))
    if not places and not close:
        places = _listed(_lines(found, expected))
    note = (
        f"{len(close)} floats differ beyond their ninth digit, as versions of scipy and processors do"
        if close
        else ""
    )
    return Difference(places, note)


def _nearly(old: str, new: str) -> bool:
    """Return whether two lines differ in the last digits of a float alone."""
    if old == new or NUMBER.sub("", old) != NUMBER.sub("", new):
        return False
    pairs = list(zip_longest(NUMBER.findall(old), NUMBER.findall(new), fillvalue=""))
    return all(_is_close(one, other) for one, other in pairs if one != other)


def _is_close(one: str, other: str) -> bool:
    if "." not in one + other:
        return False
    try:
        return math.isclose(float(one), float(other), rel_tol=_LAST_DIGITS, abs_tol=1e-12)
    except ValueError:  # no number of JSON, such as 1,5.5
        return False
