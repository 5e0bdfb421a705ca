"""Parquet files, read some rows at a time within bounds: few bytes can stand for a column of any length."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from fairtrial.errors import BAD_INPUT, Fault, fault, refuse_shortage

MOST_ROWS: Final = 2**24  # of one file
FREE_ROWS: Final = 2**16  # that any file may have; more of them than its bytes are none that anybody wrote
MOST_RATIO: Final = 100  # decoded bytes per stored byte, of a group of rows
FREE: Final = 2**26  # bytes that any group of rows may decode to


@dataclass(frozen=True)
class Advice:
    """What to do about a file. whole: damaged; honest: it would take far more memory than it has bytes."""

    whole: str
    honest: str


class ParquetReader:
    """One opened file; a Fault (exit code 3) where it is damaged, or stands for more than its bytes can hold.

    source: a path, or an open file, of `size` bytes; called `where` in messages. An ImportError: no pyarrow.
    """

    def __init__(self, source: Any, size: int, where: str, advice: Advice) -> None:
        import pyarrow
        import pyarrow.parquet as reader

        self.where, self.size, self.types = where, size, pyarrow.types
        self._arrow, self._reader, self._source, self._advice = pyarrow, reader, source, advice
        with self.damage():
            self._opened = reader.ParquetFile(source)
            self.schema = self._opened.schema_arrow
            self.rows: int = self._opened.metadata.num_rows
            if self.rows < 0:
                raise ValueError(f"{self.rows:,} rows")
        if self.rows > MOST_ROWS:
            raise self.bomb(f"{self.rows:,} rows in one file; at most {MOST_ROWS:,} are taken")
        if self.rows > max(FREE_ROWS, size):
            raise self.bomb(f"{self.rows:,} rows in a file of {size:,} bytes")
        self._largest = self._largest_group()

    def rows_at_once(self, most: int) -> int:
        """Return how many rows may be decoded together: one value can be as long as its group."""
        return int(max(1, min(most, 2 * FREE // self._largest)))

    def batches(self, columns: list[str] | None, rows: int) -> Iterator[Any]:
        """Columns, group by group; a Fault where one comes to more than its file can hold."""
        most = max(FREE, MOST_RATIO * self.size)
        for group in range(self._opened.num_row_groups):
            total = 0
            for batch in self._opened.iter_batches(rows, row_groups=[group], columns=columns):
                total += batch.nbytes
                if total > most:
                    raise self.bomb(f"more than {most:,} bytes decoded of row group {group}")
                yield batch

    def table(self, rows: int) -> Any:
        """All columns and rows."""
        with self.damage():
            return self._arrow.Table.from_batches(list(self.batches(None, rows)), self.schema)

    def column(self, name: str, rows: int) -> Iterator[Any]:
        """One column, whose texts come in dictionary form, however Arrow calls them: each is decoded once."""
        coded = self._reader.ParquetFile(self._source, metadata=self._opened.metadata, read_dictionary=[name])
        for group in range(self._opened.num_row_groups):
            done = 0
            try:
                for batch in coded.iter_batches(rows, row_groups=[group], columns=[name]):
                    yield batch.column(0)
                    done += len(batch)
            except (self._arrow.ArrowException, OSError) as error:
                refuse_shortage(error, self.where)
                # Arrow has no way from texts that share their beginnings (DELTA_BYTE_ARRAY) to that form
                for batch in self._opened.iter_batches(rows, row_groups=[group], columns=[name]):
                    yield batch.column(0)[done:]
                    done = max(0, done - len(batch))

    @contextlib.contextmanager
    def damage(self) -> Iterator[None]:
        """Whatever damaged bytes do to the reader becomes a Fault."""
        try:
            yield
        except (self._arrow.ArrowException, OSError, ValueError, StopIteration) as error:
            refuse_shortage(error, self.where)
            what = f"expected a whole parquet file: {str(error)[:300] or 'it ends too early'}"
            raise fault(what, self.where, self._advice.whole, BAD_INPUT) from None

    def bomb(self, what: str) -> Fault:
        """Return the refusal of a file that would take more memory than it can be worth."""
        return fault(f"{what}, refused", self.where, self._advice.honest, BAD_INPUT)

    def _largest_group(self) -> int:
        """The most that a group of rows declares; a Fault where it is too much.

        The whole group is asked: a column's own numbers, once damaged, end the process inside Arrow.
        """
        largest = 1
        for group in range(self._opened.num_row_groups):
            declared = self._opened.metadata.row_group(group).total_byte_size
            if declared > max(FREE, MOST_RATIO * self.size):
                raise self.bomb(f"{declared:,} bytes declared by {self.size:,} in row group {group}")
            largest = max(largest, declared)
        return largest
