"""Parquet files in the layout of public data hubs: one row per image, with its bytes and its label."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fairtrial.data.parquet_files import SPLITS, files_of
from fairtrial.data.parquet_table import Table, rows_of
from fairtrial.data.split_arrays import Arrays, Source, Split, decoded
from fairtrial.errors import BAD_INPUT, Fault, Problem, fault
from fairtrial.plain_file import open_file


def source(path: Path, download: bool = False) -> Source:
    """`path`, or its folder `data`, holds train and test: a column of encoded images, a column of labels.

    A split is one file or the shards of a hub; without a test split, validation is it. Class names come from
    the file's `huggingface` metadata; without it they are the numbers up to the largest training label, from
    0 or from 1, or the texts of the label column in sorted order.
    """
    files, notes = files_of(path)
    digests = _of_each(path, files, lambda opened: hashlib.file_digest(opened, "sha256").hexdigest())
    shards = "" if len(digests) == len(SPLITS) else f" {len(files['train'])} shards"
    # 2: class names in one spelling of Unicode
    return Source(f"parquet 2 {digests}{shards}", partial(_build, files, notes))


def class_counts(path: Path) -> dict[str, int]:
    """Class -> its training images, by footers and labels alone; a Fault as of a run."""
    files, _ = files_of(path)
    _of_each(path, files, lambda opened: None)
    tables = _opened(files)
    names, first, _ = _classes(tables)
    labels = np.concatenate([table.labels for table in tables["train"]]) - first
    return dict(zip(names, np.bincount(labels, minlength=len(names)).tolist(), strict=True))


def count_images(path: Path) -> dict[str, int]:
    """Split -> its images, by footers alone."""
    files, _ = files_of(path)
    return {split: sum(rows_of(file) for file in shards) for split, shards in files.items()}


def _of_each(path: Path, files: Mapping[str, Sequence[Path]], take: Callable[[Any], Any]) -> list[Any]:
    """What is taken from each file; a Fault names all that cannot be opened."""
    taken, problems = [], []
    for file in (file for split in SPLITS for file in files[split]):
        try:
            with open_file(file) as opened:
                taken.append(take(opened))
        except OSError as error:
            what = f"expected the file {file.name}: {error.strerror}"
            do = f"put train.parquet and test.parquet, or the shards of a hub, into {path}"
            problems.append(Problem(what, str(file), do))
    if problems:
        raise Fault(problems, BAD_INPUT)
    return taken


def _opened(files: Mapping[str, Sequence[Path]]) -> dict[str, list[Table]]:
    return {split: [Table(file) for file in shards] for split, shards in files.items()}


def _build(files: dict[str, list[Path]], told: tuple[str, ...], resolution: int | None) -> Arrays:
    tables = _opened(files)
    names, first, notes = _classes(tables)
    splits = [_split(tables[split], first) for split in SPLITS]
    return decoded(names, splits[0], splits[1], resolution, told + notes)


def _classes(tables: dict[str, list[Table]]) -> tuple[tuple[str, ...], int, tuple[str, ...]]:
    """Class names, the label of the first class, and notes; a Fault names every label that is none."""
    every = [table for shards in tables.values() for table in shards]
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


def _name_texts(train: list[Table], every: list[Table]) -> tuple[str, ...]:
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


def _refuse_other_names(names: tuple[str, ...], table: Table) -> None:
    if names and table.names and names != table.names:
        differ = [pair for pair in zip(names, table.names, strict=False) if pair[0] != pair[1]]
        raise fault(
            f"expected the class names of training ({len(names)}) in {table.file.name}; it has "
            f"{len(table.names)} names, first difference {differ[:1] or 'in number'}",
            str(table.file),
            "write all files with the same class names in the same order",
            BAD_INPUT,
        )


def _split(tables: list[Table], first: int) -> Split:
    """The rows of all shards, ready to be decoded. first: the label of the first class."""
    starts = np.cumsum([0, *(len(table.labels) for table in tables)])

    def place(row: int) -> tuple[Table, int]:
        shard = int(np.searchsorted(starts, row, side="right")) - 1
        return tables[shard], row - int(starts[shard])

    def read(row: int) -> bytes:
        table, own = place(row)
        return table.read(own)

    def where(row: int) -> str:
        table, own = place(row)
        return f"{table.file}, row {own}"

    return Split(np.concatenate([table.labels for table in tables]) - first, read, where)
