"""A file of results that another tool wrote -> its table; every cell of a text file stays text."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from pathlib import Path
from typing import Final

import pandas as pd

from fairtrial.errors import BAD_INPUT, Fault, fault, refuse_shortage

FORMS: Final = "csv, tsv, parquet, jsonl (one JSON object per line)"
_SEPARATORS: Final = ",;\t"


def read_table(path: Path) -> pd.DataFrame:
    """Return the table of a file, by the end of its name; a Fault (exit code 3) says what cannot be read.

    Its index is the line of the file at which a row stands, or the row's number, so that errors can name it.
    """
    kind = path.suffix.lower()
    if kind not in (".csv", ".tsv", ".txt", ".parquet", ".jsonl", ".ndjson"):
        raise fault(f"no table is read from {path.name!r}", str(path), f"give one of: {FORMS}", BAD_INPUT)
    try:
        content = path.read_bytes()
    except OSError as error:
        refuse_shortage(error, str(path))
        do = "name the file of results that the other tool wrote"
        raise fault(f"expected a table: {error.strerror}", str(path), do, BAD_INPUT) from None
    frame = _parquet(content, path) if kind == ".parquet" else _text(content, path, kind)
    twice = [name for name, n in Counter(map(str, frame.columns)).items() if n > 1]
    if twice:
        raise fault(f"two columns are called {twice[0]!r}", str(path), "rename one of them", BAD_INPUT)
    if not len(frame):
        raise fault("the table has no rows", str(path), "export the runs, one row for each", BAD_INPUT)
    return frame


def _text(content: bytes, path: Path, kind: str) -> pd.DataFrame:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        what = f"byte {error.start:,} is no UTF-8 text"
        raise fault(what, str(path), "save the table as UTF-8", BAD_INPUT) from None
    return _json_lines(text, path) if kind in (".jsonl", ".ndjson") else _separated(text, path)


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
    return pd.DataFrame(rows, columns=header, index=numbers, dtype=object)


def _json_lines(text: str, path: Path) -> pd.DataFrame:
    rows, numbers = [], []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise _no_object(path, number, str(error)) from None
        if not isinstance(row, dict):
            raise _no_object(path, number, f"it is a {type(row).__name__}")
        rows.append(row)
        numbers.append(number)
    # what is nested, as trackers write configs, becomes config.lr
    frame = pd.json_normalize(rows)
    frame.index = pd.Index(numbers)
    return frame.astype(object)


def _no_object(path: Path, number: int, why: str) -> Fault:
    do = "write one JSON object per line, a run each"
    return fault(f"line {number} is no JSON object: {why}", str(path), do, BAD_INPUT)


def _parquet(content: bytes, path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(io.BytesIO(content))
    except ImportError:
        do = "pip install 'fairtrial[data]', or export the table as csv"
        raise fault("reading parquet needs pyarrow", str(path), do, BAD_INPUT) from None
    except Exception as error:  # pyarrow raises many kinds for a damaged file
        refuse_shortage(error, str(path))
        what = f"the file is no parquet table: {error}"
        raise fault(what, str(path), "export it again, or give it as csv", BAD_INPUT) from None
    frame = frame.reset_index(drop=all(name is None for name in frame.index.names))
    frame.index = pd.RangeIndex(1, len(frame) + 1)
    return frame.astype(object)
