"""What n of a claim counts: units, each once, whatever number of studies hold runs of it."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from fairtrial.reporting.results.load import Results
from fairtrial.reporting.results.replication_units import ReplicationUnit
from fairtrial.storage.record import Attempt

_FILE = "file "  # begins the key of a checkpoint; all others are keys of runs
Unit = frozenset[str]  # the keys of its runs, and of the checkpoint they start from


class RunKeys:
    """Runs by what makes them one: the digest of their final weights."""

    def __init__(self) -> None:
        self._first: dict[str, str] = {}

    def of(self, run: Attempt) -> str:
        """Return the cell that first had these weights; without a digest the run's own."""
        digest = run.measured.weights_sha256
        return run.cell if digest is None else self._first.setdefault(digest, run.cell)


def units_of(
    results: Results, cells: pd.DataFrame, unit: ReplicationUnit, seeds: Iterable[int], keys: RunKeys
) -> tuple[Unit, ...]:
    """Return the units of these cells, at these seeds, by the keys of their runs."""
    wanted, found = set(seeds), dict[int, set[str]]()
    for cell, seed in zip(cells["cell"], cells["seed"], strict=True):
        run = results.records.get(cell)
        if run is None or seed not in wanted:
            continue
        label = int(seed) if unit.groups is None else unit.groups[int(seed)]
        members = found.setdefault(label, set())
        members.add(keys.of(run))
        if unit.groups is not None and run.drawn.upstream is not None:
            members.add(_FILE + run.drawn.upstream.sha256)
    return tuple(map(frozenset, found.values()))


def runs_of(units: Iterable[Unit]) -> set[str]:
    """Return the keys of the runs of these units."""
    return {key for unit in units for key in unit if not key.startswith(_FILE)}


def count(units: Iterable[Unit]) -> int:
    """Return how many units there are, those that share a run or a checkpoint counted once."""
    first: dict[str, int] = {}  # key -> the first unit that has it
    parents: list[int] = []  # unit -> one that it is linked to, itself at a root
    for number, unit in enumerate(units):
        parents.append(number)
        for one in {first.setdefault(key, number) for key in unit}:
            parents[_root(parents, one)] = number
    return sum(parent == number for number, parent in enumerate(parents))


def _root(parents: list[int], one: int) -> int:
    while parents[one] != one:
        # halve the path for those who come later
        parents[one] = parents[parents[one]]
        one = parents[one]
    return one
