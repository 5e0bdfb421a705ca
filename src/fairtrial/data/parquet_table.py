"""One parquet file of a hub: its columns, its labels, its images row by row; damage is a Fault."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from unicodedata import normalize

import numpy as np

from fairtrial.data.decode import Unusable
from fairtrial.data.parquet_files import class_labels, names_of
from fairtrial.errors import BAD_INPUT, Fault, Problem, fault, refuse_shortage, shown

IMAGE_COLUMNS: Final = ("img", "image")
LABEL_COLUMNS: Final = ("label", "labels", "fine_label", "class", "class_name", "target", "category")
MOST_ROWS: Final = 2**24  # of one file
MOST_RATIO: Final = 100  # decoded bytes per stored byte, of a group of rows; images hardly shrink
FREE: Final = 2**26  # bytes that any group of rows may decode to
_BATCH: Final = 256  # rows decoded at once, at most
_MANY: Final = 2**31  # labels from here on are no labels
_AGAIN: Final = "fetch or write the file again"


class Table:
    """One opened file. labels: (n,) int64, -1 where no label can be; names: class names, or none.

    texts: the different labels of a column of texts; `number` then gives the labels.

    Images are decoded some rows at a time, in their order: a few bytes can stand for a column of any length.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._arrow, reader = _pyarrow()
        with self._damage():
            self._opened = reader.ParquetFile(file)
            schema = self._opened.schema_arrow
        image = self._column(schema.names, IMAGE_COLUMNS)
        label = self._column(schema.names, (*LABEL_COLUMNS, *class_labels(schema.metadata or {})))
        self._leaf = self._path_of_bytes(image, schema.field(image).type)
        rows = self._opened.metadata.num_rows
        if not rows:
            raise fault("expected images; the file has no row", str(file), "write the file again", BAD_INPUT)
        if rows > MOST_ROWS:
            raise self._bomb(f"{rows:,} rows in one file; at most {MOST_ROWS:,} are taken")
        self._batch = self._rows_at_once()
        self.given = self._given(label)
        self.texts: tuple[str, ...] = ()
        if self._arrow.types.is_dictionary(self.given.type):
            # one name in two spellings of Unicode is one class
            self.texts = tuple(normalize("NFC", text) for text in self.given.dictionary.to_pylist())
        self.labels = np.empty(0, np.int64) if self.texts else self._plausible()
        self.names = names_of(schema.metadata or {}, label)
        self._batches: Iterator[Any] = iter(())
        self._held: Any = ()
        self._start, self._seen = 0, 0

    def _column(self, names: list[str], known: tuple[str, ...]) -> str:
        for name in known:
            if name in names:
                return name
        what = f"expected a column {' or '.join(known)}; the file has {', '.join(names)}"
        raise fault(what, str(self.file), "rename the column", BAD_INPUT)

    def _path_of_bytes(self, name: str, kind: Any) -> str:
        """The column of the images, or the part `bytes` of it, whatever Arrow calls its bytes."""
        types = self._arrow.types
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

    def _rows_at_once(self) -> int:
        """How many rows may be decoded together; a Fault where a group of rows declares too much.

        The whole group is asked: a column's own numbers, once damaged, end the process inside Arrow.
        """
        stored, largest = self.file.stat().st_size, 1
        for group in range(self._opened.num_row_groups):
            declared = self._opened.metadata.row_group(group).total_byte_size
            if declared > max(FREE, MOST_RATIO * stored):
                raise self._bomb(f"{declared:,} bytes declared by {stored:,} in row group {group}")
            largest = max(largest, declared)
        # one value can be as long as its whole group, and stand in every row
        return int(max(1, min(_BATCH, 2 * FREE // largest)))

    def _given(self, name: str) -> Any:
        """The column of labels: integers, or texts in dictionary form."""
        types = self._arrow.types
        with self._damage():
            column = self._opened.read(columns=[name])[name]
            if len(column) != (rows := self._opened.metadata.num_rows):
                raise ValueError(f"{len(column):,} labels for {rows:,} rows")
            kind = column.type.value_type if types.is_dictionary(column.type) else column.type
            if types.is_string(kind) or types.is_large_string(kind):
                return column.cast("large_string").dictionary_encode().unify_dictionaries().combine_chunks()
        if not types.is_integer(kind) or types.is_dictionary(column.type):
            what = f"expected labels, integers in 0..classes-1 or texts; column {name!r} holds {column.type}"
            first = f"{self.file}, row 0: {column[0].as_py()!r}"
            raise fault(what, first, "write labels as int64 or as texts", BAD_INPUT)
        return column

    def number(self, numbers: dict[str, int]) -> None:
        """Set the labels to the numbers of their texts, -1 where a text has none."""
        own = np.array([numbers.get(text, -1) for text in self.texts], np.int64)
        codes = self.given.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        self.labels = np.where(codes < 0, -1, own[codes])

    def _plausible(self) -> np.ndarray:
        from pyarrow import compute

        inside = compute.and_(compute.greater_equal(self.given, 0), compute.less(self.given, _MANY))
        kept = compute.if_else(inside, self.given, None).cast("int64")
        return compute.fill_null(kept, -1).to_numpy()

    def label_problems(self, first: int, count: int) -> list[Problem]:
        """Rows whose label is missing or outside first..first+count-1."""
        expected = "one of the texts of training" if self.texts else f"in {first}..{first + count - 1}"
        return [
            Problem(
                f"expected a label {expected}; got {_missing(self.given[row].as_py())}",
                f"{self.file}, row {row}",
                "correct the label, or remove the row",
            )
            for row in np.flatnonzero((self.labels < first) | (self.labels >= first + count)).tolist()
        ]

    def read(self, row: int) -> bytes:
        """The encoded image of a row; rows are asked for in their order."""
        if row < self._start or not self._seen:
            self._batches, self._held, self._start, self._seen = self._decoded(), (), 0, 1
        while row >= self._start + len(self._held):
            self._start += len(self._held)
            with self._damage():
                self._held = next(self._batches)
        data = self._held[row - self._start].as_py()
        if isinstance(data, dict):
            data = data["bytes"]
        if data is None:
            raise Unusable("expected the bytes of an image; the row has none (a path is not followed)")
        return data

    def _decoded(self) -> Iterator[Any]:
        """Columns of images, group by group; a Fault where one comes to more than its file can hold."""
        for group in range(self._opened.num_row_groups):
            total, most = 0, max(FREE, MOST_RATIO * self.file.stat().st_size)
            batches = self._opened.iter_batches(self._batch, row_groups=[group], columns=[self._leaf])
            for batch in batches:
                total += batch.nbytes
                if total > most:
                    raise self._bomb(f"more than {most:,} bytes decoded of row group {group}")
                yield batch.column(0)

    @contextlib.contextmanager
    def _damage(self) -> Iterator[None]:
        """Whatever damaged bytes do to the reader becomes a Fault."""
        try:
            yield
        except (self._arrow.ArrowException, OSError, ValueError, StopIteration) as error:
            refuse_shortage(error, str(self.file))
            what = f"expected a whole parquet file: {str(error)[:300] or 'it ends too early'}"
            raise fault(what, str(self.file), _AGAIN, BAD_INPUT) from None

    def _bomb(self, what: str) -> Fault:
        return fault(f"{what}, refused", str(self.file), "write images, encoded and each once", BAD_INPUT)


def _missing(label: int | str | None) -> str:
    return "none" if label is None else shown(label) if isinstance(label, str) else str(label)


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet as reader
    except ImportError:
        do = 'pip install "fairtrial[data]"'
        raise fault("expected pyarrow, which reads parquet; it is not installed", "parquet:DIR", do) from None
    return pyarrow, reader
