"""Attempts of one cell as they travel between the folders of two drivers: the texts of their files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fairtrial.errors import BAD_INPUT, REFUSED, fault
from fairtrial.plain_file import read_text
from fairtrial.storage import atomic
from fairtrial.storage.integrity import same_record, unsealed
from fairtrial.storage.record import SCHEMA, Attempt, parsed, read
from fairtrial.storage.store import Store

SUPERSEDED: Final = "superseded"  # folder of attempts in whose place another driver's count
REMOVE: Final = "remove that trial"  # what to do about one in a database


def files_of(store: Store, cell: str) -> dict[str, Path]:
    """Return the files of a cell's attempts by name."""
    return {path.name: path for path in sorted((store.folder / "cells").glob(f"{cell}-*.json"))}


def attempts_of(store: Store, cell: str) -> list[Attempt]:
    """Return the attempts of one cell."""
    return [read(path) for path in files_of(store, cell).values()]


def texts_of(store: Store, cell: str) -> list[str]:
    """Return the texts of a cell's attempts, each a sealed record."""
    return [_text(path) for path in files_of(store, cell).values()]


def adopt(store: Store, cell: str, texts: Sequence[str], where: str) -> list[Attempt]:
    """Make these the attempts of a cell -> those that are new here; what differs is moved to superseded/.

    A Fault (exit code 3) where a text is no sealed record of this cell, (4) where two drivers on the same
    kind of processor recorded other results.
    """
    came = {
        f"{each.cell}-{each.number}.json": (each, text) for text in texts for each in [_read(text, where)]
    }
    if any(attempt.cell != cell for attempt, _ in came.values()):
        raise fault(f"a record of another cell than {cell}", where, REMOVE, BAD_INPUT)
    mine = [attempt for attempt in attempts_of(store, cell) if attempt.evaluated]
    known = {name: _text(path) for name, path in files_of(store, cell).items()}
    differing = [
        name for name, text in known.items() if name not in came or not same_record(came[name][1], text)
    ]
    for attempt, _ in came.values():
        _refuse_difference(store, attempt, mine)
    for name in differing:
        atomic.move_aside(store.folder / "cells" / name, store.folder / SUPERSEDED)
    new = {name: both for name, both in came.items() if name not in known or name in differing}
    for name, (_, text) in new.items():
        atomic.publish(store.folder / "cells" / name, text)
    return [attempt for attempt, _ in new.values()]


def _text(path: Path) -> str:
    try:
        return read_text(path, atomic.RECORD_CAP)
    except OSError as error:
        raise fault(f"could not read: {error.strerror}", str(path), atomic.MOVE_AWAY, BAD_INPUT) from None


def _read(text: str, where: str) -> Attempt:
    data = text.encode(errors="surrogatepass")
    if len(data) > atomic.RECORD_CAP:
        raise fault(f"a record of {len(data):,} bytes", where, REMOVE, BAD_INPUT)
    return parsed(unsealed(Path(where), atomic.json_object(data, where, REMOVE), newest=SCHEMA), where)


def _refuse_difference(store: Store, came: Attempt, mine: Sequence[Attempt]) -> None:
    for own in mine:
        same_work = (own.spent.steps, own.provenance.cpu) == (came.spent.steps, came.provenance.cpu)
        if same_work and came.evaluated and own.measured != came.measured:
            what = f"two drivers ran cell {came.cell}, and their results differ"
            path = store.folder / "cells" / f"{own.cell}-{own.number}.json"
            raise fault(what, str(path), "find out which machine errs: fairtrial replay STUDY", REFUSED)
