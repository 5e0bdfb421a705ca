"""What n counts: upstream checkpoints where networks start from them, the study's seeds elsewhere."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from fairtrial.reporting.wording import SEED, plural
from fairtrial.study.initial_checkpoint import DRAWN, FILE, KEPT
from fairtrial.study.limits import MIN_UNITS
from fairtrial.study.settings import ALL
from fairtrial.study.tuning_plan import Tuning

if TYPE_CHECKING:
    from fairtrial.reporting.results.load import Results

CHECKPOINT: Final = "upstream checkpoint"
TUNING: Final = "tuning"  # one tuning study of every arm, and the runs of what it chose
_FEW: Final = 100  # images per class; above it a subset is not called few-shot


@dataclass(frozen=True)
class ReplicationUnit:
    """The replication unit of some cells (STATISTICS 2).

    seeds: those declared. inner: what one of them is, 'seed' or 'few-shot subset'. groups: seed -> upstream
    seed, where several checkpoints are the units, or tuning study, where arms were tuned; outer: what a group
    is. checkpoints: how many an arm has; None without pre-training. problem: why these cells cannot be
    compared.
    """

    seeds: tuple[int, ...]
    inner: str = SEED
    groups: Mapping[int, int] | None = None
    checkpoints: int | None = None
    problem: str = ""
    outer: str = CHECKPOINT

    @property
    def name(self) -> str:
        """'seed', 'few-shot subset', 'upstream checkpoint' or 'tuning'."""
        return self.inner if self.groups is None else self.outer

    @property
    def short(self) -> str:
        """' checkpoints' or ' tunings' behind a number of groups; nothing behind a number of seeds."""
        return "" if self.groups is None else f" {self.outer.rpartition(' ')[2]}s"

    @property
    def beside_a_file(self) -> bool:
        """Whether some of the arms have several checkpoints, and others a single file for all of them."""
        return self.groups is not None and self.outer == CHECKPOINT and self.checkpoints == 1

    @property
    def planned(self) -> int:
        """How many units were declared."""
        return self.count(self.seeds)

    def labels(self, seeds: Iterable[int]) -> dict[int, int] | None:
        """Say what the `groups` argument of an interval over these seeds takes."""
        return None if self.groups is None else {seed: self.groups[seed] for seed in seeds}

    def count(self, seeds: Iterable[int]) -> int:
        """Say how many units these seeds belong to."""
        return len(set(seeds) if self.groups is None else {self.groups[seed] for seed in seeds})

    def means(self, values: Mapping[int, float]) -> list[float]:
        """Return one value per unit: the mean over its seeds."""
        if self.groups is None:
            return list(values.values())
        members: dict[int, list[float]] = {}
        for seed, value in values.items():
            members.setdefault(self.groups[seed], []).append(value)
        return [math.fsum(of_unit) / len(of_unit) for of_unit in members.values()]

    def describe(self, seeds: Iterable[int], before: str = "") -> str:
        """Return '10 seeds', '3 upstream checkpoints (15 few-shot subsets)'; before: of a plain unit."""
        number = len(set(seeds))
        if self.groups is None:
            return plural(number, before + self.inner)
        return f"{plural(self.count(seeds), self.outer)} ({plural(number, self.inner)})"


def unit_of(results: Results, *sides: pd.DataFrame) -> ReplicationUnit:
    """Return the unit of cells that are averaged or compared seed by seed; one frame of cells per side.

    From several checkpoints of a study it is the checkpoint, and a side from scratch takes the other side's.
    With one checkpoint, or a file, it is the seed, and what is said holds for that checkpoint. Of tuned arms
    it is the tuning study: seeds that run one choice are no independent answers to "A tuned or B tuned".
    """
    cells = pd.concat(list(sides))
    unit = _untuned(results, cells)
    tuning = results.study.tuning
    return unit if tuning is None else _tuned(tuning, unit)


def unit_of_pairs(names: Sequence[str], keys: Mapping[int, Sequence[str]]) -> ReplicationUnit:
    """Return the unit of pairs that no study declared. names: of the unit and, if it is grouped, of the pair.

    keys: pair -> its unit and, if it is grouped, its own name within it.
    """
    if len(names) == 1:
        return ReplicationUnit(tuple(keys), names[0])
    numbers = {name: number for number, name in enumerate(dict.fromkeys(key[0] for key in keys.values()))}
    groups = {pair: numbers[key[0]] for pair, key in keys.items()}
    return ReplicationUnit(tuple(keys), names[1], groups, outer=names[0])


def _tuned(tuning: Tuning, below: ReplicationUnit) -> ReplicationUnit:
    """Return the unit of arms that independent searches tuned; a claim over searches needs three of them.

    With one search the unit stays: what is said is conditional on the rates that it chose.
    """
    if tuning.studies == 1:
        return below
    problem = below.problem
    if tuning.studies < MIN_UNITS:
        problem = f"a claim over tunings needs {MIN_UNITS} searches; there are {tuning.studies}"
    elif below.groups is not None:
        problem = "arms are tuned and start from several checkpoints: two levels of replication"
    groups = {seed: tuning.index_of(seed) for seed in below.seeds}
    return ReplicationUnit(below.seeds, below.inner, groups, below.checkpoints, problem, TUNING)


def _untuned(results: Results, cells: pd.DataFrame) -> ReplicationUnit:
    started = cells[cells["start"] != DRAWN]
    if not len(started):
        return ReplicationUnit(results.seeds)
    inner, kept = _inner(results, started), started[started["start"] == KEPT]
    labels_of: dict[int, set[int]] = {}
    for seed, label in zip(kept["seed"], kept["upstream_seed"], strict=True):
        labels_of.setdefault(int(seed), set()).add(int(label))
    for seed, labels in labels_of.items():
        if len(labels) > 1:
            numbers = " and ".join(map(str, sorted(labels)))
            problem = f"at seed {seed} its cells start from different upstream seeds ({numbers}): not paired"
            return ReplicationUnit(results.seeds, inner, problem=problem)
    groups = {seed: min(labels) for seed, labels in labels_of.items()}
    several = len(set(groups.values()))
    fewest = 1 if FILE in set(started["start"]) else several
    return ReplicationUnit(results.seeds, inner, groups if several > 1 else None, fewest)


def _inner(results: Results, cells: pd.DataFrame) -> str:
    """Say what one seed draws below its checkpoint."""
    swept = "shots" in results.study.factors
    shots = set(cells["shots"]) if swept else {results.study.settings({}).shots}
    return SEED if ALL in shots else kept_by_seed(max(shots))


def kept_by_seed(shots: Any) -> str:
    """Say what two runs of a seed share, whatever else they draw: its images."""
    if shots == ALL:
        return "validation split"
    return "few-shot subset" if shots <= _FEW else "subset"
