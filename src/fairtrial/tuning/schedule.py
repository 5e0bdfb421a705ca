"""Which cells a study wants next: its tuning first, then what its stopping rule asks for, or all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fairtrial.execution.part import Part
from fairtrial.execution.runner import Schedule, Wanted
from fairtrial.storage.outcomes import outcomes
from fairtrial.storage.record import Attempt
from fairtrial.storage.store import Store
from fairtrial.study import factors
from fairtrial.study.stopping import Asked
from fairtrial.study.study import Cell, Study
from fairtrial.tuning.selection import Stage, resolve

Outcomes = Mapping[str, Attempt]
Rule = Callable[[], Asked]  # the ids that a stopping rule wants by now


def whole_study(study: Study, rule: Rule | None = None) -> Schedule:
    """Return what a driver asks: the trials while any is missing, then the confirmatory cells."""

    def ask(known: Outcomes) -> Wanted:
        resolved, stage = resolve(study, known)
        trials = () if stage is None else stage.cells
        if rule is None or (stage is not None and not stage.complete):
            return Wanted((*trials, *resolved.cells()), _words(study, stage))
        wanted = rule()
        cells = [cell for cell in resolved.cells() if cell.id in wanted.cells]
        return Wanted((*trials, *cells), (*_words(study, stage), *wanted.said))

    return ask


def tuning_alone(study: Study) -> Schedule:
    """Return what a driver asks that runs the trials and nothing else."""

    def ask(known: Outcomes) -> Wanted:
        _, stage = resolve(study, known)
        return Wanted(() if stage is None else stage.cells, _words(study, stage))

    return ask


def in_part(schedule: Schedule, study: Study, part: Part, store: Store) -> Schedule:
    """Return the same schedule for the cells of one part, by what all parts have recorded in its folder."""
    has = part.of_study(study)

    def ours(cell: Cell) -> bool:
        return has(cell.id, cell.seed, cell.settings.stage)

    def ask(known: Outcomes) -> Wanted:
        records = store.attempts()
        ended = {**outcomes(records, study.failures), **known}
        wanted = schedule(ended)
        # what the trials choose, and which seeds a rule asks for, is known when all of them have ended
        decisive = [c for c in wanted.cells if c.settings.stage == "tuning" or study.rule is not None]
        missing = sum(cell.id not in ended and not ours(cell) for cell in decisive)
        cells = [cell for cell in wanted.cells if ours(cell)]
        lines = wanted.lines
        if missing and all(cell.id in ended for cell in cells):
            lines += (f"{part} waits for {missing} cells of other parts: run it again when they have ended",)
        return Wanted(cells, lines, records, held_up=missing > 0)

    return ask


def _words(study: Study, stage: Stage | None) -> tuple[str, ...]:
    """What a person is told once: each widening of the grid."""
    if stage is None or study.tuning is None or not stage.grid:
        return ()
    added = [f"{value:g}" for value in stage.grid if value not in study.tuning.grid]
    (name,) = study.tuning.names
    return (
        (f"tuning: a choice lay at an edge, {name} {', '.join(added)} added for every arm",) if added else ()
    )


def choices_of(study: Study, store: Store) -> dict[str, Any]:
    """Return what the recorded trials of a study chose, as data; `lines` puts it in words."""
    _, stage = resolve(study, outcomes(store.attempts(), study.failures))
    assert stage is not None and study.tuning is not None
    names = list(study.factors)
    chosen = [
        {
            "arm": factors.label({name: dict(regime)[name] for name in names}),
            "search": index,
            **choice.params,
            "stability": choice.stability,
            "diverged_trials": choice.failed,
            "device_s": choice.device_s,
        }
        for (index, regime), choice in stage.choices.items()
    ]
    return {
        "study": study.id,
        "tuning": study.tuning.words,
        "complete": stage.complete,
        "runs": len(stage.cells),
        "pending": len(stage.pending),
        "choices": chosen,
    }


def lines(found: Mapping[str, Any]) -> Iterable[str]:
    """The choices as a person reads them."""
    yield f"tuning     {found['tuning']}"
    yield f"runs       {found['runs'] - found['pending']} of {found['runs']}"
    told = {"arm", "search", "stability", "diverged_trials", "device_s"}
    for choice in found["choices"]:
        values = ", ".join(f"{name} {value:g}" for name, value in choice.items() if name not in told)
        yield f"{choice['arm']}: {values} ({100 * choice['stability']:.0f} % of resampled seeds choose it)"
