"""What is wrong with a study's records as evidence: reasons to refuse every verdict on them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from fairtrial.reporting.wording import clean, listed, plural
from fairtrial.storage.record import Attempt, is_timing
from fairtrial.study.failure_policy import OUTCOMES
from fairtrial.study.identity import cell_id, digest
from fairtrial.study.study import Cell, Study

HARDWARE: Final = ("device", "cpu", "threads", "kernels")  # what seconds depend on


def flaws(study: Study, attempts: Iterable[Attempt], used: Mapping[str, Attempt]) -> tuple[str, ...]:
    """Return every reason to mistrust the records of a study; empty where there is none.

    attempts: all of them; used: cell -> the attempt that counts. Each record is checked by itself where files
    are read, and missing cells are told by the table. Here: a cell with two outcomes, recorded seeds that are
    left out, several versions of the code, several machines under a budget in seconds, and seeds that change
    nothing.
    """
    records = list(attempts)
    cells = study.cells()
    return (
        *_twice(records),
        *_left_out(cells, records),
        *_mixed_code(used),
        *(mixed_hardware(used) if study.budget.kind == "seconds" else ()),
        *_idle_seeds(cells, used),
    )


def _twice(records: list[Attempt]) -> Iterator[str]:
    """Yield cells that ended twice with different results, neither a retry: one of them was chosen."""
    ended: defaultdict[str, list[Attempt]] = defaultdict(list)
    for record in records:
        if record.status in OUTCOMES:
            ended[record.cell].append(record)
    often = {cell: attempts for cell, attempts in ended.items() if len(attempts) > 1}
    odd = sorted(
        cell
        for cell, attempts in often.items()
        if len({digest([one.status, _result(one)]) for one in attempts}) > 1
    )
    if odd:
        yield f"duplicate seeds: {_some(odd)} ended more than once, with different results"


def _result(record: Attempt) -> dict[str, Any]:
    return {name: value for name, value in record.measured.as_json().items() if not is_timing(name)}


def _left_out(cells: list[Cell], records: list[Attempt]) -> Iterator[str]:
    """Yield recorded seeds that the declaration leaves out before its last one: they may be picked."""
    last = max((cell.seed for cell in cells), default=0)
    missing = [seed for seed in left_out(cells, records) if seed < last]
    if missing:
        yield f"missing seeds: {seed_words(missing)} left out by the declaration"


def seed_words(seeds: list[int]) -> str:
    """Return '2 recorded seeds (8 and 9)'."""
    return f"{plural(len(seeds), 'recorded seed')} ({listed([str(seed) for seed in seeds[:10]])})"


def left_out(cells: list[Cell], records: list[Attempt]) -> list[int]:
    """Return the seeds of the declared arms that were recorded, but that the declaration leaves out."""
    own = {cell.id for cell in cells}
    seeds = sorted({r.seed for r in records if r.cell not in own and r.status in OUTCOMES})
    declared = {cell.seed for cell in cells}
    arms = {(cell.replica, str(cell.budget), cell.settings.identity_text): cell for cell in cells}
    known = {r.cell for r in records if r.status in OUTCOMES}
    return [
        seed
        for seed in seeds
        if seed not in declared
        and any(cell_id(cell.settings, cell.budget, seed, cell.replica) in known for cell in arms.values())
    ]


def _mixed_code(used: Mapping[str, Attempt]) -> Iterator[str]:
    codes = {record.provenance.code_words for record in used.values()}
    if len(codes) > 1:
        yield f"mixed code: cells of {listed(sorted(map(clean, codes))[:5])}"


def mixed_hardware(used: Mapping[str, Attempt]) -> Iterator[str]:
    """Yield machines that differ where the budget is in seconds: an arm's seconds are not another's."""
    for name in HARDWARE:
        values = {clean(getattr(record.provenance, name)) for record in used.values()}
        if len(values) > 1:
            yield f"mixed hardware in a contrast of seconds: {name} {listed(sorted(values)[:5])}"


def _idle_seeds(cells: list[Cell], used: Mapping[str, Attempt]) -> Iterator[str]:
    """Yield arms in which every seed gave exactly the same network, or the same answers and loss."""
    arms: defaultdict[str, list[str]] = defaultdict(list)
    for cell in cells:
        record = used.get(cell.id)
        if record is not None and record.status == "done":
            arms[cell.arm].append(_fingerprint(record))
    idle = [arm for arm, prints in arms.items() if len(prints) > 1 and len(set(prints)) == 1]
    if idle:
        yield f"seeds that change nothing: all seeds of {_some(idle, 'arm')} gave exactly the same result"


def _fingerprint(record: Attempt) -> str:
    """Return the digest of the final weights, where it was recorded; else of everything that was measured."""
    return record.measured.weights_sha256 or digest(_result(record))


def _some(names: list[str], word: str = "cell") -> str:
    """Return 'cell ab12', '12 cells, such as ab12'."""
    first = clean(names[0])
    return f"{word} {first}" if len(names) == 1 else f"{len(names)} {word}s, such as {first}"
