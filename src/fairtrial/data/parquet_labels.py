"""The labels of a parquet file, whole numbers or texts, read some rows at a time."""

from __future__ import annotations

from typing import Any, Final
from unicodedata import normalize

import numpy as np

from fairtrial.errors import BAD_INPUT, Fault, Problem, fault, shown
from fairtrial.parquet_reader import ParquetReader

MOST_TEXT: Final = 2**22  # bytes of all different texts of a file; 20,000 classes take a fifth of it
LONGEST: Final = 1000  # characters of one text
_MOST_TOLD: Final = 1000  # rows named one by one: all of a file of many would take gigabytes
_BATCH: Final = 2**16  # rows decoded at once, at most
_MANY: Final = 2**31  # labels from here on are no labels


class Labels:
    """numbers: (n,) int64, -1 where no label can be. are_texts: `number` then gives the numbers.

    texts: the different ones, in one spelling of Unicode: a name in two of them is one class.
    """

    def __init__(self, reader: ParquetReader, name: str) -> None:
        self.numbers = np.full(reader.rows, -1, np.int64)
        self.texts: tuple[str, ...] = ()
        self._where, self._reader, self._name = reader.where, reader, name
        self._odd: dict[int, int] = {}  # row -> what is no label
        self._codes: dict[str, int] = {}
        self._bytes = 0
        self._last: Any = None  # a dictionary, and what its entries are: most parts of a column share one
        kind = reader.schema.field(name).type
        types = reader.types
        inner = kind.value_type if types.is_dictionary(kind) else kind
        named = ("is_string", "is_large_string", "is_string_view")
        self.are_texts = any(getattr(types, test)(inner) for test in named if hasattr(types, test))
        with reader.damage():
            self._read(kind)

    def number(self, numbers: dict[str, int]) -> None:
        """Set the numbers to those of the texts, -1 where a text has none."""
        own = np.array([*(numbers.get(text, -1) for text in self.texts), -1], np.int64)
        self._texts_of_rows = self.numbers
        self.numbers = own[self.numbers]

    def problems(self, first: int, count: int) -> list[Problem]:
        """Rows whose label is missing or outside first..first+count-1."""
        expected = "one of the texts of training" if self.are_texts else f"in {first}..{first + count - 1}"
        do = "correct the label, or remove the row"
        rows = np.flatnonzero((self.numbers < first) | (self.numbers >= first + count))
        told = [
            Problem(f"expected a label {expected}; got {self._told(row)}", f"{self._where}, row {row}", do)
            for row in rows[:_MOST_TOLD].tolist()
        ]
        if len(rows) > _MOST_TOLD:
            told.insert(
                0, Problem(f"expected labels {expected}; {len(rows):,} rows have others", self._where, do)
            )
        return told

    def _told(self, row: int) -> str:
        if self.are_texts:
            code = int(self._texts_of_rows[row])
            return "none" if code < 0 else shown(self.texts[code])
        number = int(self.numbers[row])
        return str(number) if number >= 0 else str(self._odd.get(row, "none"))

    def _read(self, kind: Any) -> None:
        at = 0
        for column in self._reader.column(self._name, self._reader.rows_at_once(_BATCH)):
            if not at and not self.are_texts and not self._reader.types.is_integer(kind):
                what = (
                    f"expected labels, integers in 0..classes-1 or texts; column {self._name!r} holds {kind}"
                )
                first = f"{self._where}, row 0: {shown(column[0].as_py())}"
                raise fault(what, first, "write labels as int64 or as texts", BAD_INPUT)
            if at + len(column) > len(self.numbers):
                raise ValueError(f"more labels than {len(self.numbers):,} rows")
            numbers = self._coded(column) if self.are_texts else self._plausible(column, at)
            self.numbers[at : at + len(column)] = numbers
            at += len(column)
        if at != len(self.numbers):
            raise ValueError(f"{at:,} labels for {len(self.numbers):,} rows")
        self.texts = tuple(self._codes)

    def _coded(self, column: Any) -> np.ndarray:
        """The positions in `texts` of a part of the column; -1 where there is none."""
        words = column if self._reader.types.is_dictionary(column.type) else column.dictionary_encode()
        if self._last is None or not words.dictionary.equals(self._last[0]):
            if words.dictionary.nbytes > MOST_TEXT:
                raise self._too_much()
            own = [self._code(text) for text in words.dictionary.to_pylist()]
            # the last one is that of -1
            self._last = words.dictionary, np.array([*own, -1], np.int64)
        codes = words.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        return self._last[1][codes]

    def _code(self, text: str | None) -> int:
        if text is None:
            return -1
        if len(text) > LONGEST:
            raise self._reader.bomb(f"a text of {len(text):,} characters as a label")
        composed = normalize("NFC", text)
        if composed not in self._codes:
            self._bytes += len(composed.encode())
            if self._bytes > MOST_TEXT:
                raise self._too_much()
        return self._codes.setdefault(composed, len(self._codes))

    def _too_much(self) -> Fault:
        return self._reader.bomb(f"more than {MOST_TEXT:,} bytes of different texts as labels")

    def _plausible(self, column: Any, at: int) -> np.ndarray:
        from pyarrow import compute

        inside = compute.and_(compute.greater_equal(column, 0), compute.less(column, _MANY))
        kept = compute.fill_null(compute.if_else(inside, column, None).cast("int64"), -1)
        numbers = kept.to_numpy(zero_copy_only=False)
        room = _MOST_TOLD - len(self._odd)
        given = ((row, column[row].as_py()) for row in np.flatnonzero(numbers < 0)[:room].tolist())
        self._odd |= {at + row: value for row, value in given if value is not None}
        return numbers
