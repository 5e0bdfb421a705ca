"""The sides of a declared contrast: which cells they are, what each seed scored there, what they spent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from fairtrial.reporting.results.load import Results, per_seed
from fairtrial.reporting.results.paired_sides import ContrastSide, differences
from fairtrial.reporting.results.replication_units import ReplicationUnit, unit_of
from fairtrial.reporting.wording import clean
from fairtrial.stats import interaction_interval
from fairtrial.study import factors
from fairtrial.study.budget import SPENT
from fairtrial.study.contrast import corners
from fairtrial.study.study import Contrast


def sides(results: Results, contrast: Contrast) -> tuple[ContrastSide, ...]:
    """Return each corner with its values, averaged within a seed over swept factors it does not name."""
    seeds = results.seeds_of(contrast)
    return tuple(_side(results, contrast.metric, levels, seeds) for levels in corners(contrast))


def unit_of_contrast(results: Results, contrast: Contrast) -> ReplicationUnit:
    """Say what n counts in a contrast."""
    unit = unit_of(results, *(results.where(levels) for levels in corners(contrast)))
    return replace(unit, seeds=results.seeds_of(contrast))


def _side(results: Results, metric: str, levels: dict[str, Any], seeds: tuple[int, ...]) -> ContrastSide:
    cells = results.where(levels)
    if len(seeds) < len(results.seeds):
        cells = cells[cells["seed"].isin(seeds)]
    finished = cells[cells["status"] == "done"]
    failed = cells[cells["failed"].astype(bool)]
    missing = cells[cells["cell"].isin(list(results.missing))]
    spent = finished[SPENT[results.study.budget.kind]].astype(float) if len(finished) else None
    return ContrastSide(
        name=clean(factors.label({name: levels[name] for name in results.study.factors if name in levels})),
        values=per_seed(cells, metric),
        spent=None if spent is None else float(spent.mean()),
        runs=int(cells["ended"].sum()),
        failures=Counter(failed["status"]),
        failed_seeds=frozenset(int(seed) for seed in failed["seed"]),
        missing=Counter(missing["status"]),
        missing_seeds=frozenset(int(seed) for seed in missing["seed"]),
        per_seed=len(cells) // len(seeds),
        overlap=overlap(results, cells["cell"]),
    )


def overlap(results: Results, cells: Iterable[str]) -> int:
    """Return the largest number of test images that a checkpoint of these cells was trained on."""
    checkpoints = (results.records[cell].drawn.upstream for cell in cells if cell in results.records)
    return max((upstream.overlap or 0 for upstream in checkpoints if upstream), default=0)


def turns_on_the_logit(parts: Sequence[ContrastSide], unit: ReplicationUnit, tests: int) -> bool:
    """Say whether an interaction of accuracies has the other sign on the logit scale (STATISTICS 3).

    The ceiling may have made it. tests: test images; 0 where none is known, and nothing can be said.
    """
    if len(parts) != 4 or not tests:
        return False
    kept = list(differences(parts, unit.seeds))
    first, second, third, fourth = ({seed: part.values[seed] for seed in kept} for part in parts)
    groups = unit.labels(kept)
    plain = interaction_interval(first, second, third, fourth, groups=groups)
    logit = interaction_interval(first, second, third, fourth, scale="logit", n_test=tests, groups=groups)
    return logit.estimate * plain.estimate < 0
