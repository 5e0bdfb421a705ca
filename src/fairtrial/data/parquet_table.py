"""One parquet file of a hub: its columns, its labels, its images row by row; damage is a Fault."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from fairtrial.data.decode import Unusable
from fairtrial.data.parquet_files import class_labels, names_of, refuse_twins
from fairtrial.data.parquet_labels import Labels
from fairtrial.errors import BAD_INPUT, fault
from fairtrial.parquet_reader import Advice, ParquetReader

IMAGE_COLUMNS: Final = ("img", "image")
LABEL_COLUMNS: Final = ("label", "labels", "fine_label", "class", "class_name", "target", "category")
_BATCH: Final = 256  # rows decoded at once, at most
_ADVICE: Final = Advice("fetch or write the file again", "write images, encoded and each once")


class Table:
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


def rows_of(file: Path) -> int:
    """Return how many images a file has, by its footer."""
    return _reader(file).rows


def _reader(file: Path) -> ParquetReader:
    try:
        return ParquetReader(file, file.stat().st_size, str(file), _ADVICE)
    except ImportError:
        do = 'pip install "fairtrial[data]"'
        raise fault("expected pyarrow, which reads parquet; it is not installed", "parquet:DIR", do) from None
