"""A file of results that another tool wrote -> its table; every cell of a text file stays text."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import pandas as pd

from fairtrial.errors import BAD_INPUT, Fault, fault, refuse_shortage
from fairtrial.parquet_reader import Advice, ParquetReader
from fairtrial.plain_file import read_file

MOST_BYTES: Final = 2**28  # of a file
MOST_CELLS: Final = 2**24  # of a table: 160 columns of 100,000 runs
FREE_CELLS: Final = 2**22  # that any table may have; more of them than its file has bytes are mostly empty
DEEPEST: Final = 50  # objects in one another
FORMS: Final = "csv, tsv, parquet, jsonl (one JSON object per line), json (a list of objects)"
_BATCH: Final = 2**16  # rows of a parquet file decoded at once, at most
_ADVICE: Final = Advice("export it again, or give it as csv", "export the table as csv")
_SEPARATORS: Final = ",;\t"


def read_table(path: Path) -> pd.DataFrame:
    """Return the table of a file, by the end of its name; a Fault (exit code 3) says what cannot be read.

    Its index is the line of the file at which a row stands, or the row's number, so that errors can name it.
    """
    kind = path.suffix.lower()
    if kind not in (".csv", ".tsv", ".txt", ".parquet", ".jsonl", ".ndjson", ".json"):
        raise fault(f"no table is read from {path.name!r}", str(path), f"give one of: {FORMS}", BAD_INPUT)
    try:
        content = read_file(path, MOST_BYTES)
    except OSError as error:
        do = "name the file of results that the other tool wrote"
        raise fault(f"expected a table: {error.strerror}", str(path), do, BAD_INPUT) from None
    frame = _parquet(content, path) if kind == ".parquet" else _text(content, path, kind)
    if not len(frame):
        raise fault("the table has no rows", str(path), "export the runs, one row for each", BAD_INPUT)
    return frame


def _text(content: bytes, path: Path, kind: str) -> pd.DataFrame:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        what = f"byte {error.start:,} is no UTF-8 text"
        raise fault(what, str(path), "save the table as UTF-8", BAD_INPUT) from None
    if kind in (".jsonl", ".ndjson", ".json"):
        if kind == ".json" and text.lstrip().startswith("["):
            return _objects(_listed(text, path), "object", len(text), path)
        return _objects(_lines(text, path), "line", len(text), path)
    try:
        return _separated(text, path)
    except csv.Error as error:
        do = "quote a cell that holds the separator or a line break, and export the table again"
        raise fault(f"the file is no table: {error}", str(path), do, BAD_INPUT) from None


def _separated(text: str, path: Path) -> pd.DataFrame:
    """Return comma, semicolon or tab separated text, whichever stands most often in its first line."""
    first = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(_SEPARATORS, key=first.count))
    rows, numbers, header = list[list[str]](), list[int](), list[str]()
    for cells in reader:
        if not cells:
            continue
        if not header:
            header = [name.strip() for name in cells]
        elif len(cells) != len(header):
            what = f"line {reader.line_num} has {len(cells)} cells where the first has {len(header)} names"
            do = "quote a cell that holds the separator, and export the table again"
            raise fault(what, str(path), do, BAD_INPUT)
        else:
            rows.append([cell.strip() for cell in cells])
            numbers.append(reader.line_num)
            _refuse_many(len(rows) * len(header), len(text), path)
    return pd.DataFrame(rows, columns=header, index=numbers, dtype=object)


def _lines(text: str, path: Path) -> Iterator[tuple[int, Any]]:
    """Yield (number, value) of each line that is not empty."""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                raise _no_object(path, f"line {number}", str(error)) from None


def _listed(text: str, path: Path) -> Iterator[tuple[int, Any]]:
    """Yield (number, value) of each member of one list."""
    try:
        yield from enumerate(json.loads(text), start=1)
    except (ValueError, RecursionError) as error:
        what = f"the file is no list of JSON objects: {error}"
        raise fault(what, str(path), "export it again, or one object per line", BAD_INPUT) from None


def _objects(found: Iterable[tuple[int, Any]], place: str, size: int, path: Path) -> pd.DataFrame:
    """Return a row for each object. place: what is numbered, in messages."""
    rows, numbers, names = [], [], set[str]()
    for number, row in found:
        if not isinstance(row, dict):
            raise _no_object(path, f"{place} {number}", f"it is a {type(row).__name__}")
        if _add_names(row, names) > DEEPEST:
            raise _no_object(path, f"{place} {number}", f"more than {DEEPEST} objects in one another")
        rows.append(row)
        numbers.append(number)
        _refuse_many(len(rows) * max(1, len(names)), size, path)
    # what is nested, as trackers write configs, becomes config.lr
    frame = pd.json_normalize(rows)
    frame.index = pd.Index(numbers)
    return frame.astype(object)


def _no_object(path: Path, place: str, why: str) -> Fault:
    do = "write one JSON object per line, a run each"
    return fault(f"{place} is no JSON object: {why}", str(path), do, BAD_INPUT)


def _add_names(row: dict[str, Any], names: set[str]) -> int:
    """Add the columns that an object makes -> how many stand in one another (one too many at most)."""
    layer, depth = [("", row)], 0
    while layer and depth <= DEEPEST:
        depth += 1
        inner = []
        for before, each in layer:
            for name, value in each.items():
                if isinstance(value, dict):
                    inner.append((f"{before}{name}.", value))
                else:
                    names.add(before + name)
        layer = inner
    return depth


def _refuse_many(cells: int, size: int, path: Path) -> None:
    most = min(MOST_CELLS, max(FREE_CELLS, size))
    if cells > most:
        what = f"more than {most:,} cells in a table of {size:,} bytes"
        do = "export the columns and rows that are compared, and no others"
        raise fault(what, str(path), do, BAD_INPUT)


def _parquet(content: bytes, path: Path) -> pd.DataFrame:
    try:
        reader = ParquetReader(io.BytesIO(content), len(content), str(path), _ADVICE)
    except ImportError:
        do = "pip install 'fairtrial[data]', or export the table as csv"
        raise fault("reading parquet needs pyarrow", str(path), do, BAD_INPUT) from None
    _refuse_many(reader.rows * len(reader.schema.names), len(content), path)
    # one by one where a small file may stand for large ones, many at once where it is large itself
    table = reader.table(max(reader.rows_at_once(_BATCH), min(256, len(content) >> 14)))
    try:
        frame = table.to_pandas()
    except Exception as error:  # what pandas noted of its table is damaged in as many ways
        refuse_shortage(error, str(path))
        raise fault(f"the file is no table: {error}", str(path), _ADVICE.whole, BAD_INPUT) from None
    frame = frame.reset_index(drop=all(name is None for name in frame.index.names))
    frame.index = pd.RangeIndex(1, len(frame) + 1)
    return frame.astype(object)
