"""Two parquet files in the layout of public data hubs: one row per image, with its bytes and its label."""

from __future__ import annotations

import hashlib
import json
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from fairtrial.data.decode import Unusable
from fairtrial.data.split_arrays import Arrays, Source, Split, decoded
from fairtrial.errors import BAD_INPUT, Fault, Problem, fault

SPLITS: Final = ("train", "test")
IMAGE_COLUMNS: Final = ("img", "image")
LABEL_COLUMNS: Final = ("label", "labels", "fine_label")
_MANY: Final = 2**31  # labels from here on are no labels


def source(path: Path, download: bool = False) -> Source:
    """`path` holds train.parquet and test.parquet: a column of encoded images, a column of labels.

    Class names come from the file's `huggingface` metadata; without it they are the numbers up to the largest
    training label.
    """
    files = {split: path / f"{split}.parquet" for split in SPLITS}
    digests, problems = [], []
    for file in files.values():
        try:
            with file.open("rb") as opened:
                digests.append(hashlib.file_digest(opened, "sha256").hexdigest())
        except OSError as error:
            what = f"expected the file {file.name}: {error.strerror}"
            problems.append(Problem(what, str(file), f"put train.parquet and test.parquet into {path}"))
    if problems:
        raise Fault(problems, BAD_INPUT)
    return Source(f"parquet 1 {digests}", partial(_build, files))


def _build(files: dict[str, Path], resolution: int | None) -> Arrays:
    tables = {split: _Table(file) for split, file in files.items()}
    train, test = tables["train"], tables["test"]
    if train.names and test.names and train.names != test.names:
        differ = [pair for pair in zip(train.names, test.names, strict=False) if pair[0] != pair[1]]
        raise fault(
            f"expected the class names of training ({len(train.names)}) in the test file; it has "
            f"{len(test.names)} names, first difference {differ[:1] or 'in number'}",
            str(test.file),
            "write both files with the same class names in the same order",
            BAD_INPUT,
        )
    count = len(train.names) or max(1, min(int(train.labels.max()) + 1, len(train.labels)))
    problems = train.label_problems(count) + test.label_problems(count)
    if problems:
        raise Fault(problems, BAD_INPUT)
    classes = train.names or tuple(map(str, range(count)))
    return decoded(classes, train.split(), test.split(), resolution)


class _Table:
    """One opened file. labels: (n,) int64, -1 where no label can be; names: class names, or none."""

    def __init__(self, file: Path) -> None:
        pyarrow, reader = _pyarrow()
        self.file = file
        try:
            schema = reader.read_schema(file)
            image = self._column(schema.names, IMAGE_COLUMNS)
            label = self._column(schema.names, LABEL_COLUMNS)
            table = reader.read_table(file, columns=[image, label])
        except (pyarrow.ArrowException, OSError) as error:
            what = f"expected a whole parquet file: {error}"
            raise fault(what, str(file), "fetch or write the file again", BAD_INPUT) from None
        if not table.num_rows:
            raise fault("expected images; the file has no row", str(file), "write the file again", BAD_INPUT)
        self.images = self._bytes(pyarrow, table, image)
        self.given = self._integers(pyarrow, table, label)
        self.labels = np.array([-1 if v is None or not 0 <= v < _MANY else v for v in self.given], np.int64)
        self.names = _names(schema.metadata or {}, label)

    def _column(self, names: list[str], known: tuple[str, ...]) -> str:
        for name in known:
            if name in names:
                return name
        what = f"expected a column {' or '.join(known)}; the file has {', '.join(names)}"
        raise fault(what, str(self.file), "rename the column", BAD_INPUT)

    def _bytes(self, pyarrow: Any, table: Any, name: str) -> Any:
        from pyarrow import compute

        column = table[name]
        kind = column.type
        if pyarrow.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
            column = compute.struct_field(column, "bytes")
        if pyarrow.types.is_binary(column.type) or pyarrow.types.is_large_binary(column.type):
            return column
        what = f"expected encoded images (bytes, or a struct with bytes) in {name!r}; it holds {kind}"
        raise fault(what, str(self.file), "write encoded images into the column", BAD_INPUT)

    def _integers(self, pyarrow: Any, table: Any, name: str) -> list[int | None]:
        column = table[name]
        if not pyarrow.types.is_integer(column.type):
            what = f"expected integer labels in 0..classes-1; column {name!r} holds {column.type}"
            first = f"{self.file}, row 0: {column[0].as_py()!r}"
            raise fault(what, first, "write labels as int64", BAD_INPUT)
        return column.to_pylist()

    def label_problems(self, count: int) -> list[Problem]:
        """Rows whose label is missing or outside 0..count-1."""
        return [
            Problem(
                f"expected a label in 0..{count - 1}; got {_missing(self.given[row])}",
                f"{self.file}, row {row}",
                "correct the label, or remove the row",
            )
            for row in np.flatnonzero((self.labels < 0) | (self.labels >= count))
        ]

    def split(self) -> Split:
        """The rows, ready to be decoded."""
        return Split(self.labels, self._read, lambda row: f"{self.file}, row {row}")

    def _read(self, row: int) -> bytes:
        data = self.images[row].as_py()
        if data is None:
            raise Unusable("expected the bytes of an image; the row has none (a path is not followed)")
        return data


def _missing(label: int | None) -> str:
    return "none" if label is None else str(label)


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet as reader
    except ImportError:
        do = 'pip install "fairtrial[data]"'
        raise fault("expected pyarrow, which reads parquet; it is not installed", "parquet:DIR", do) from None
    return pyarrow, reader


def _names(metadata: dict[bytes, bytes], label: str) -> tuple[str, ...]:
    """Class names of the label column as public hubs store them; empty when the file has none."""
    try:
        names = json.loads(metadata[b"huggingface"])["info"]["features"][label]["names"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return ()
    return tuple(names) if isinstance(names, list) and all(isinstance(name, str) for name in names) else ()
