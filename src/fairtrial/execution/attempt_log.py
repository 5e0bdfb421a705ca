"""What the driver knows of each cell: its attempts, how they ended, what they cost."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import fsum
from typing import Final

from fairtrial.failpoints import failpoint
from fairtrial.storage.outcomes import DECLARED
from fairtrial.storage.provenance import Provenance
from fairtrial.storage.record import Attempt, Json, attempt_record, cell_message
from fairtrial.storage.store import Store
from fairtrial.study.failure_policy import MOST_FAILED, FailurePolicy, given_up_words
from fairtrial.study.identity import arm_key
from fairtrial.study.initial_checkpoint import StartKey
from fairtrial.study.study import Cell

WORKER: Final = "worker"  # where an attempt ended that took its process down; "job" in older records
MACHINE: Final = "machine"  # where an attempt ended whose whole machine went away


class AttemptLog:
    """A study's attempts, read once and kept up to date; the one writer of its records while it runs."""

    def __init__(self, store: Store, policy: FailurePolicy = DECLARED) -> None:
        self.store, self.policy = store, policy
        self.records: list[Attempt] = []
        self.spent_s = 0.0  # device seconds of every attempt, lost ones included
        self._last: dict[str, int] = {}  # cell -> its highest attempt
        self._counts: dict[str, Attempt] = {}  # cell -> the attempt that counts
        self._failures: Counter[str] = Counter()  # cell -> its failed attempts, since it was last forgiven
        self._failure: dict[str, Attempt] = {}  # cell -> its last failed attempt
        self._data: dict[tuple[str, int], str] = {}  # (data, resolution) -> digest of the images
        self._weights: dict[tuple[StartKey, int | None], str] = {}  # and upstream seed -> digest of the file
        self._times: defaultdict[str, list[float]] = defaultdict(list)  # arm and budget -> their seconds
        self._origins: list[Provenance] = []  # the last places where attempts ran
        for record in store.attempts():
            self.note(record)

    def note(self, record: Attempt) -> None:
        """Take in one more published attempt; of one cell, they come in the order of their numbers."""
        cell, settings = record.cell, record.settings
        if record.number <= self._last.get(cell, 0):
            return  # known already
        record = self._small(record)
        self.records.append(record)
        self._last[cell] = record.number
        self.spent_s += record.spent.device_s
        if self.policy.decides(record.status, evaluated=record.evaluated):
            self._counts.setdefault(cell, record)
        elif record.failed:
            self._failures[cell] += 1
            self._failure[cell] = record
        if record.status == "done":
            self._times[arm_key(settings) + record.budget].append(record.spent.cell_s)
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
        """The cells that have no outcome yet and may be tried, in their order.

        retry: also those that failed as often as is allowed; they may fail as often again.
        """
        missing = [cell for cell in cells if cell.id not in self._counts]
        if retry:
            for cell in missing:
                self._failures[cell.id] = 0
        return [cell for cell in missing if not self.given_up(cell.id)]

    def begin(self, cell: Cell, pid: int, origin: Json) -> int:
        """Lease the cell to a process; the number of the new attempt, larger than any before."""
        attempt = self._last.get(cell.id, 0) + 1
        failpoint("claim-before")
        self.store.lease(cell_message(cell), attempt, pid, origin)
        failpoint("claim-after")
        return attempt

    def renew(self, cell: Cell, attempt: int, ran_s: float) -> None:
        """Say that a cell is still being worked on."""
        failpoint("lease-renew")
        self.store.renew(cell.id, attempt, ran_s)

    def close(self, cell: Json, attempt: int, result: Json, origin: Json) -> Attempt:
        """End an attempt with its result, or without one -> what stands."""
        return self.publish(attempt_record(self.store.name, cell, attempt, result, origin))

    def publish(self, attempt: Attempt) -> Attempt:
        """Publish an attempt; what was published under its number before stands instead -> what stands."""
        self.store.publish(attempt)
        record = self.store.attempt(attempt.cell, attempt.number)  # what is on the disk counts
        self.note(record)
        return record

    def _small(self, record: Attempt) -> Attempt:
        """Return what is kept of an attempt: no answer to each image, and each place it ran at only once."""
        origin = {**vars(record.provenance), "ended": None}
        shared = next((known for known in self._origins if vars(known) == origin), None)
        if shared is None:
            self._origins = [*self._origins[-7:], shared := replace(record.provenance, ended=None)]
        return replace(record, measured=replace(record.measured, correct=None), provenance=shared)

    def given_up(self, cell: str) -> bool:
        """Whether a cell without an outcome has failed as often as is allowed."""
        return cell not in self._counts and self._failures[cell] >= MOST_FAILED

    def last_failure(self, cell: str) -> Attempt | None:
        """The last failed attempt of a cell without an outcome; None where there is none."""
        return None if cell in self._counts else self._failure.get(cell)

    def last_failures(self) -> dict[str, Attempt]:
        """Cell -> its last failed attempt, of the cells that have no outcome."""
        return {cell: last for cell, last in self._failure.items() if cell not in self._counts}

    def given_up_words(self, cells: Iterable[Cell]) -> list[str]:
        """Name each of these cells that was given up, with the reason of its last attempt."""
        given_up = [cell for cell in cells if cell.id in self._failure and self.given_up(cell.id)]
        last = [(cell, self._failure[cell.id]) for cell in given_up]
        return [given_up_words(cell.arm, cell.seed, one.status, one.error) for cell, one in last]

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
        return fsum(seen) / len(seen) if seen else 0.0

    def price(self, cell: Cell) -> float:
        """Device seconds that a cell will cost: the typical ones, else a budget in seconds; 0 if unknown."""
        return self.typical_s(cell) or (cell.budget.amount if cell.budget.kind == "seconds" else 0.0)
