"""What the driver knows of each cell: its attempts, how they ended, what they cost."""

from __future__ import annotations

from collections import Counter
from typing import Any

from fairtrial.forecast import arm_of
from fairtrial.record import attempt_record, cell_message
from fairtrial.store import MOST_KILLS, OUTCOMES, Store
from fairtrial.study import Cell

Record = dict[str, Any]
RETRIED = ("error", "oom", "timeout")  # outcomes that --retry runs again; a divergence would only repeat itself


class Books:
    """The attempts of one study, read once and kept up to date; the writer of attempts that have no result."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.records: list[Record] = []
        self.spent_s = 0.0  # device seconds of every attempt, lost ones included
        self._attempts: dict[str, int] = {}
        self._kills: Counter[str] = Counter()
        for record in store.attempts():
            self.note(record)

    def note(self, record: Record) -> None:
        """Take in one more published attempt."""
        self.records.append(record)
        cell = record["cell"]
        self._attempts[cell] = max(record["attempt"], self._attempts.get(cell, 0))
        self.spent_s += seconds_of(record)
        if record["status"] == "killed" and record["error"]["where"] == "job":
            self._kills[cell] += 1

    def outcomes(self) -> dict[str, str]:
        """Cell -> status of the attempt that counts."""
        return {record["cell"]: record["status"] for record in self.records if record["status"] in OUTCOMES}

    def pending(self, cells: list[Cell], *, retry: bool = False) -> list[Cell]:
        """The cells that have no outcome yet, in their order."""
        ended = self.outcomes()
        return [cell for cell in cells if cell.id not in ended or (retry and ended[cell.id] in RETRIED)]

    def begin(self, cell: Cell, pid: int) -> int:
        """Lease the cell to a process; the number of the new attempt, larger than any before."""
        attempt = self._attempts[cell.id] = self._attempts.get(cell.id, 0) + 1
        self.store.lease(cell.id, attempt, pid)
        return attempt

    def renew(self, cell: Cell) -> None:
        """Say that a cell is still being worked on."""
        self.store.renew(cell.id, self._attempts[cell.id])

    def close(self, cell: Cell, result: Record, *, attempt: int | None = None, threads: int | None = None) -> None:
        """Publish an attempt without a result; one that the job published just before stands instead."""
        attempt = attempt or self._attempts[cell.id]
        origin = {} if threads is None else {"threads": threads}
        record = attempt_record(self.store.name, cell_message(cell), attempt, result, origin)
        if self.store.publish(record):
            self.note(record)
        else:
            self.store.release(cell.id, attempt)

    def hopeless(self, cell: Cell) -> bool:
        """Whether the cell has taken its job down as often as is allowed."""
        return self._kills[cell.id] >= MOST_KILLS

    def data_sha256(self, cell: Cell) -> str | None:
        """The digest of the images that recorded cells of this data saw; None when none is recorded."""
        same = (r["origin"].get("data") for r in self.records if r["settings"]["data"] == cell.settings["data"])
        return next((sha256 for sha256 in same if sha256), None)

    def typical_s(self, cell: Cell) -> float:
        """Mean device seconds of this arm's finished cells; 0 when none has finished."""
        arm = arm_of(cell.settings)
        seen = [seconds_of(r) for r in self.records if r["status"] == "done" and arm_of(r["settings"]) == arm]
        return sum(seen) / len(seen) if seen else 0.0


def seconds_of(record: Record) -> float:
    """Device seconds that an attempt cost: training, evaluation, and what was lost."""
    spent = record["spent"]
    return spent["train_s"] + spent["eval_s"] + spent["lost_s"]
