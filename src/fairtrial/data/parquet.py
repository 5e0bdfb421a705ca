"""Parquet files in the layout of public data hubs: one row per image, with its bytes and its label."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from fairtrial.data.decode import Unusable
from fairtrial.data.parquet_files import SPLITS, class_labels, files_of, names_of, refuse_twins
from fairtrial.data.parquet_labels import Labels
from fairtrial.data.split_arrays import Arrays, Source, Split, decoded
from fairtrial.errors import BAD_INPUT, Fault, Problem, fault
from fairtrial.parquet_reader import Advice, ParquetReader
from fairtrial.plain_file import open_file

IMAGE_COLUMNS: Final = ("img", "image")
LABEL_COLUMNS: Final = ("label", "labels", "fine_label", "class", "class_name", "target", "category")
_BATCH: Final = 256  # rows decoded at once, at most
_ADVICE: Final = Advice("fetch or write the file again", "write images, encoded and each once")


def source(path: Path, download: bool = False) -> Source:
    """`path`, or its folder `data`, holds train and test: a column of encoded images, a column of labels.

    A split is one file or the shards of a hub; without a test split, validation is it. Class names come from
    the file's `huggingface` metadata; without it they are the numbers up to the largest training label, from
    0 or from 1, or the texts of the label column in sorted order.
    """
    files, notes = files_of(path)
    digests, problems = [], []
    for file in (file for split in SPLITS for file in files[split]):
        try:
            with open_file(file) as opened:
                digests.append(hashlib.file_digest(opened, "sha256").hexdigest())
        except OSError as error:
            what = f"expected the file {file.name}: {error.strerror}"
            do = f"put train.parquet and test.parquet, or the shards of a hub, into {path}"
            problems.append(Problem(what, str(file), do))
    if problems:
        raise Fault(problems, BAD_INPUT)
    shards = "" if len(digests) == len(SPLITS) else f" {len(files['train'])} shards"
    # 2: class names in one spelling of Unicode
    return Source(f"parquet 2 {digests}{shards}", partial(_build, files, notes))


def _build(files: dict[str, list[Path]], told: tuple[str, ...], resolution: int | None) -> Arrays:
    tables = {split: [_Table(file) for file in shards] for split, shards in files.items()}
    every = [table for shards in tables.values() for table in shards]
    names, first, notes = _classes(tables, every)
    splits = [_split(tables[split], first) for split in SPLITS]
    return decoded(names, splits[0], splits[1], resolution, told + notes)


def _classes(
    tables: dict[str, list[_Table]], every: list[_Table]
) -> tuple[tuple[str, ...], int, tuple[str, ...]]:
    """Class names, the label of the first class, and notes; a Fault names every label that is none."""
    names, first, notes = every[0].names, 0, tuple[str, ...]()
    for table in every:
        _refuse_other_names(names, table)
    if any(table.given.are_texts for table in every):
        names = _name_texts(tables["train"], every)
        notes = (f"labels are texts: {len(names)} classes in sorted order",)
    train, test = (np.concatenate([one.labels for one in tables[split]]) for split in SPLITS)
    count = len(names) or max(1, min(int(train.max()) + 1, len(train)))
    if not names and _starts_at_1(train, test):
        first, count, notes = 1, int(train.max()), ("labels start at 1: the first class is called 1",)
    if problems := [problem for table in every for problem in table.given.problems(first, count)]:
        if every[0].names and _starts_at_1(train, test) and int(train.max()) == count:
            what = f"labels start at 1, up to {count}; the file names {count} classes, from 0 on"
            problems = [Problem(what, str(every[0].file), "subtract 1 from every label")]
        raise Fault(problems, BAD_INPUT)
    return names or tuple(map(str, range(first, first + count))), first, notes


def _name_texts(train: list[_Table], every: list[_Table]) -> tuple[str, ...]:
    """The classes of text labels, sorted; sets the labels of each table to their numbers."""
    if other := [table for table in every if not table.given.are_texts]:
        what = f"expected text labels, as in {every[0].file.name}; {other[0].file.name} has numbers"
        raise fault(what, str(other[0].file), "write all files with one kind of labels", BAD_INPUT)
    names = tuple(sorted({word for table in train for word in table.given.texts}))
    numbers = {name: number for number, name in enumerate(names)}
    for table in every:
        table.given.number(numbers)
    return names


def _starts_at_1(train: np.ndarray, test: np.ndarray) -> bool:
    """Whether labels count from 1: each number up to the largest is there, and no 0."""
    used = np.unique(train)
    return bool(used[0] == 1 and used[-1] == len(used) > 1 and test.min() >= 1)


def _refuse_other_names(names: tuple[str, ...], table: _Table) -> None:
    if names and table.names and names != table.names:
        differ = [pair for pair in zip(names, table.names, strict=False) if pair[0] != pair[1]]
        raise fault(
            f"expected the class names of training ({len(names)}) in {table.file.name}; it has "
            f"{len(table.names)} names, first difference {differ[:1] or 'in number'}",
            str(table.file),
            "write all files with the same class names in the same order",
            BAD_INPUT,
        )


def _split(tables: list[_Table], first: int) -> Split:
    """The rows of all shards, ready to be decoded. first: the label of the first class."""
    starts = np.cumsum([0, *(len(table.labels) for table in tables)])

    def place(row: int) -> tuple[_Table, int]:
        shard = int(np.searchsorted(starts, row, side="right")) - 1
        return tables[shard], row - int(starts[shard])

    def read(row: int) -> bytes:
        table, own = place(row)
        return table.read(own)

    def where(row: int) -> str:
        table, own = place(row)
        return f"{table.file}, row {own}"

    return Split(np.concatenate([table.labels for table in tables]) - first, read, where)


class _Table:
    """One opened file. given: its labels; names: class names, or none.

    Images are decoded some rows at a time, in their order: a few bytes can stand for a column of any length.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._reader = _reader(file)
        schema = self._reader.schema
        image = self._column(schema.names, IMAGE_COLUMNS)
        label = self._column(schema.names, (*LABEL_COLUMNS, *class_labels(schema.metadata or {})))
        self._leaf = self._path_of_bytes(image, schema.field(image).type)
        if not self._reader.rows:
            raise fault("expected images; the file has no row", str(file), "write the file again", BAD_INPUT)
        self.given = Labels(self._reader, label)
        self.names = names_of(schema.metadata or {}, label)
        refuse_twins(self.names, file)
        self._batches: Iterator[Any] = iter(())
        self._held: Any = ()
        self._start, self._seen = 0, 0

    @property
    def labels(self) -> np.ndarray:
        """(n,) int64, -1 where no label can be."""
        return self.given.numbers

    def _column(self, names: list[str], known: tuple[str, ...]) -> str:
        for name in known:
            if name in names:
                return name
        what = f"expected a column {' or '.join(known)}; the file has {', '.join(names)}"
        raise fault(what, str(self.file), "rename the column", BAD_INPUT)

    def _path_of_bytes(self, name: str, kind: Any) -> str:
        """The column of the images, or the part `bytes` of it, whatever Arrow calls its bytes."""
        types = self._reader.types
        at, inner = name, kind
        if types.is_struct(kind) and (index := kind.get_field_index("bytes")) >= 0:
            at, inner = f"{name}.bytes", kind.field(index).type
        if types.is_dictionary(inner):
            inner = inner.value_type
        accepted = ("is_binary", "is_large_binary", "is_fixed_size_binary", "is_binary_view")
        if any(getattr(types, test)(inner) for test in accepted if hasattr(types, test)):
            return at
        what = f"expected encoded images (bytes, or a struct with bytes) in {name!r}; it holds {kind}"
        raise fault(what, str(self.file), "write encoded images into the column", BAD_INPUT)

    def read(self, row: int) -> bytes:
        """The encoded image of a row; rows are asked for in their order."""
        if row < self._start or not self._seen:
            self._batches, self._held, self._start, self._seen = self._images(), (), 0, 1
        while row >= self._start + len(self._held):
            self._start += len(self._held)
            with self._reader.damage():
                self._held = next(self._batches)
        data = self._held[row - self._start].as_py()
        if isinstance(data, dict):
            data = data["bytes"]
        if data is None:
            raise Unusable("expected the bytes of an image; the row has none (a path is not followed)")
        return data

    def _images(self) -> Iterator[Any]:
        for batch in self._reader.batches([self._leaf], self._reader.rows_at_once(_BATCH)):
            yield batch.column(0)


def _reader(file: Path) -> ParquetReader:
    try:
        return ParquetReader(file, file.stat().st_size, str(file), _ADVICE)
    except ImportError:
        do = 'pip install "fairtrial[data]"'
        raise fault("expected pyarrow, which reads parquet; it is not installed", "parquet:DIR", do) from None
