"""What an arm reached under other budgets: finished runs with the same draws, read between them."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from fairtrial.errors import Fault
from fairtrial.reporting.results.load import Record, Results
from fairtrial.reporting.wording import clean
from fairtrial.storage.store import Store, outcomes
from fairtrial.study.factors import told
from fairtrial.study.validation import METRICS

Values = Mapping[str, float]

BETWEEN: Final = "between"  # on the straight line over the logarithm of the updates
BELOW: Final = "below"  # as at the next shorter recorded run
ABOVE: Final = "above"  # as at the next longer one
_DRAWS: Final = ("subset", "init", "order")


@dataclass(frozen=True)
class Budgets:
    """cell -> (updates, metrics) of every finished run of its arm and seed, shortest first.

    fixed: cells whose score no budget changes, because their run failed. sources: the studies that runs came
    from beside the cells' own. unread: studies beside it that could not be read.
    """

    points: dict[str, list[tuple[int, Values]]]
    fixed: dict[str, Values]
    sources: tuple[str, ...]
    unread: tuple[str, ...]

    def longest(self, cell: str) -> int:
        """The updates of its longest recorded run; 0 without any."""
        return self.points[cell][-1][0] if cell in self.points else 0

    def at(self, cell: str, steps: float, metric: str, how: str = BETWEEN) -> float | None:
        """The metric after so many updates of a whole schedule; None beyond what was recorded."""
        if cell in self.fixed:
            return self.fixed[cell].get(metric)
        runs = [(n, values[metric]) for n, values in self.points.get(cell, ()) if metric in values]
        for n, value in runs:
            if n == steps:
                return value
        for (few, before), (many, after) in pairwise(runs):
            if few < steps < many:
                weight = math.log(steps / few) / math.log(many / few)
                return {BELOW: before, ABOVE: after}.get(how, before + weight * (after - before))
        return None


def recorded(results: Results, store: Store) -> Budgets:
    """The runs of a study's cells, and their like in the studies that lie beside it."""
    cells = results.frame[results.frame["replica"] == 0]
    values = {
        cell: _finite(dict(zip(METRICS, scores, strict=True)))
        for cell, *scores in zip(cells["cell"], *(cells[name] for name in METRICS), strict=True)
    }
    mine = {cell: results.records[cell] for cell in values if cell in results.records}
    known: dict[str, dict[int, Values]] = defaultdict(dict)
    keys: dict[str, list[str]] = defaultdict(list)
    for cell, record in mine.items():
        if record["status"] == "done":
            known[cell][record["spent"]["steps"]] = values[cell]
            keys[_key(record)].append(cell)
    sources, unread = [], []
    for other in _beside(store):
        try:
            used = _join(other, keys, known)
        except Fault:
            unread.append(clean(other.name))
            continue
        if used:
            sources.append(clean(other.name))
    fixed = {cell: values[cell] for cell, record in mine.items() if record["status"] != "done"}
    points = {cell: sorted(runs.items(), key=lambda run: run[0]) for cell, runs in known.items()}
    return Budgets(points, fixed, tuple(sources), tuple(unread))


def _join(other: Store, keys: Mapping[str, list[str]], known: dict[str, dict[int, Values]]) -> bool:
    """Add the finished runs of another study that are runs of a known cell; whether there was one."""
    used = False
    for record in outcomes(other.attempts()).values():
        if record["status"] == "done" and record["replica"] == 0:
            for cell in keys.get(_key(record), ()):
                known[cell].setdefault(record["spent"]["steps"], _finite(record["measured"]))
                used = True
    return used


def _key(record: Record) -> str:
    """What two runs share that differ in their budget alone: settings, seed, and the digests of the draws."""
    drawn = {name: record["drawn"].get(name) for name in _DRAWS}
    upstream = (record["drawn"].get("upstream") or {}).get("sha256")
    parts = [told(record["settings"]), record["seed"], drawn, upstream, record["origin"].get("data")]
    return json.dumps(parts, sort_keys=True)


def _beside(store: Store) -> list[Store]:
    folders = sorted(path.parent for path in store.folder.parent.glob("*/study.json"))
    return [Store(folder) for folder in folders if folder.name != store.folder.name]


def _finite(row: Mapping[str, Any]) -> Values:
    found = {name: row.get(name) for name in METRICS}
    return {name: float(value) for name, value in found.items() if value is not None and math.isfinite(value)}
