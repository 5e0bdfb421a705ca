"""Data of this machine before a run: what a run would refuse, and what the images take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from fairtrial.data import room
from fairtrial.data.class_counts import class_counts, image_counts, shortage
from fairtrial.errors import BAD_INPUT, Fault, Problem
from fairtrial.execution.container import MEMORY_SHARE, memory_bytes
from fairtrial.screen import working
from fairtrial.study.recipes import rule_of
from fairtrial.study.settings import DRAWN, Settings
from fairtrial.study.study import Cell


def refuse_data(pending: Sequence[Cell], device: str, jobs: int) -> list[str]:
    """Return what to know of large data; no image is read. jobs: workers side by side.

    A Fault where data of this machine would not open, a class has too few images, or a worker too little
    memory.
    """
    specs = sorted({cell.data for cell in pending})
    with working("looking at the data"):
        counts = {spec: class_counts(spec) for spec in specs}
        totals = {spec: found for spec in specs if (found := image_counts(spec)) is not None}
    asked = {
        (cell.data, cell.settings.shots, cell.settings.val_per_class)
        for cell in pending
        if cell.indices == DRAWN
    }
    problems: list[Problem] = []
    for spec, shots, val in sorted(asked, key=str):
        problems += shortage(spec, counts[spec], shots if isinstance(shots, int) else None, val)
    if problems:
        raise Fault(problems, BAD_INPUT)
    sets = {(cell.data, cell.settings): None for cell in pending if cell.data in totals}
    told = [
        line
        for spec, settings in sets
        for line in _room(spec, settings, totals[spec], counts[spec], device, jobs)
    ]
    return list(dict.fromkeys(told))


def _room(
    spec: str, settings: Settings, total: tuple[int, int], classes: Mapping[str, int], device: str, jobs: int
) -> Iterator[str]:
    """Say what the images of an arm take on disk and, on a CPU, in memory, where padded ones take more."""
    side, (train, test) = settings.resolution, total
    decoded, free = room.image_bytes(train + test, side), room.free_in_cache()
    if decoded >= room.LARGE:
        refused = "" if free >= 2 * decoded else ": a run that decodes them here would be refused"
        size = f"{train + test:,} images of {side}x{side} pixels take {room.amount(decoded)} in the cache"
        yield f"{spec}: {size}, twice that while they are written; {room.amount(free)} are free{refused}"
    held = settings.shots * len(classes) if isinstance(settings.shots, int) else train
    if device != "cpu" or rule_of(settings, held, side) is not None:
        return
    need, memory = room.image_bytes(held, side), MEMORY_SHARE * memory_bytes()
    room.refuse_beyond(memory, need, held, side, spec)
    if need * jobs > memory:
        each = f"{held:,} images of {side}x{side} pixels take {room.amount(need)} in each of {jobs} workers"
        yield f"{spec}: {each}; {room.amount(memory)} of memory are there for all: use fewer --jobs"
