"""What the driver knows of each cell: its attempts, how they ended, what they cost."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from statistics import fmean
from typing import Final

from fairtrial.execution.step_times import arm_key
from fairtrial.storage.record import Attempt, Json, attempt_record, cell_message
from fairtrial.storage.store import MOST_KILLS, Store
from fairtrial.study.failure_policy import OUTCOMES, RETRIED
from fairtrial.study.initial_checkpoint import StartKey
from fairtrial.study.study import Cell

WORKER: Final = "worker"  # where an attempt ended that took its process down; "job" in older records


class AttemptLog:
    """A study's attempts, read once and kept up to date; the writer of attempts that have no result."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.records: list[Attempt] = []
        self.spent_s = 0.0  # device seconds of every attempt, lost ones included
        self._last: dict[str, int] = {}  # cell -> its highest attempt
        self._counts: dict[str, Attempt] = {}  # cell -> the attempt that counts
        self._kills: Counter[str] = Counter()  # cell -> workers it took down since it last had an outcome
        self._data: dict[tuple[str, int], str] = {}  # (data, resolution) -> digest of the images
        self._weights: dict[tuple[StartKey, int | None], str] = {}  # and upstream seed -> digest of the file
        self._times: defaultdict[str, list[float]] = defaultdict(list)  # arm and budget -> their seconds
        for record in store.attempts():
            self.note(record)

    def note(self, record: Attempt) -> None:
        """Take in one more published attempt; of one cell, they come in the order of their numbers."""
        cell, settings = record.cell, record.settings
        if record.number <= self._last.get(cell, 0):
            return  # known already
        self.records.append(record)
        self._last[cell] = record.number
        self.spent_s += record.spent.device_s
        if record.status in OUTCOMES:
            self._counts[cell] = record
            self._kills[cell] = 0
        elif record.status == "killed" and record.error and record.error.where in (WORKER, "job"):
            self._kills[cell] += 1
        if record.status == "done":
            self._times[arm_key(settings) + record.budget].append(record.spent.device_s)
        if sha256 := record.provenance.data:
            self._data.setdefault((settings.data, settings.resolution), sha256)
        if start := record.drawn.upstream:
            self._weights.setdefault((settings.start_key, record.upstream_seed), start.sha256)

    @property
    def counted(self) -> Mapping[str, Attempt]:
        """Cell -> the attempt that counts."""
        return self._counts

    def outcomes(self) -> dict[str, str]:
        """Cell -> status of the attempt that counts."""
        return {cell: record.status for cell, record in self._counts.items()}

    def outcome(self, cell: str) -> Attempt | None:
        """The attempt of a cell that counts; None while it is pending."""
        return self._counts.get(cell)

    def pending(self, cells: list[Cell], *, retry: bool = False) -> list[Cell]:
        """The cells that have no outcome yet, in their order."""
        ended = self.outcomes()
        return [cell for cell in cells if cell.id not in ended or (retry and ended[cell.id] in RETRIED)]

    def begin(self, cell: Cell, pid: int, origin: Json) -> int:
        """Lease the cell to a process; the number of the new attempt, larger than any before."""
        attempt = self._last.get(cell.id, 0) + 1
        self.store.lease(cell_message(cell), attempt, pid, origin)
        return attempt

    def renew(self, cell: Cell, attempt: int, ran_s: float) -> None:
        """Say that a cell is still being worked on."""
        self.store.renew(cell.id, attempt, ran_s)

    def close(self, cell: Json, attempt: int, result: Json, origin: Json) -> Attempt:
        """End an attempt without a result; what its worker has just published stands instead. What stands."""
        self.store.publish(attempt_record(self.store.name, cell, attempt, result, origin))
        return self.take(cell["id"], attempt)

    def take(self, cell: str, attempt: int) -> Attempt:
        """Read an attempt that has been published: what is on the disk counts."""
        record = self.store.attempt(cell, attempt)
        self.note(record)
        return record

    def hopeless(self, cell: Cell) -> bool:
        """Whether the cell has taken its worker down as often as is allowed."""
        return self._kills[cell.id] >= MOST_KILLS

    def data_sha256(self, cell: Cell) -> str | None:
        """The digest of the images that recorded cells of this data saw; None when none is recorded."""
        return self._data.get((cell.settings.data, cell.settings.resolution))

    def weights_sha256(self, cell: Cell) -> str | None:
        """The digest of the file that recorded cells of this arm and upstream seed started from."""
        return self._weights.get((cell.settings.start_key, cell.upstream_seed))

    def typical_s(self, cell: Cell) -> float:
        """Mean device seconds of this arm's finished cells, else of all; 0 when none has finished."""
        own = self._times.get(arm_key(cell.settings) + str(cell.budget))
        seen = own or [seconds for times in self._times.values() for seconds in times]
        return fmean(seen) if seen else 0.0
