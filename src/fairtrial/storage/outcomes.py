"""Which attempt of a cell counts, and which ones failed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from fairtrial.errors import Fault
from fairtrial.storage.record import Attempt, read
from fairtrial.study.failure_policy import FailurePolicy
from fairtrial.study.identity import canonical

if TYPE_CHECKING:
    from fairtrial.study.settings import Settings
    from fairtrial.study.study import Study

DECLARED = FailurePolicy()  # where a study declares nothing else


def outcomes(attempts: Iterable[Attempt], policy: FailurePolicy = DECLARED) -> dict[str, Attempt]:
    """Cell -> the attempt that counts: its first one with an outcome, which no later one replaces."""
    found: dict[str, Attempt] = {}
    for attempt in sorted(attempts, key=lambda attempt: attempt.number):
        if policy.decides(attempt.status, evaluated=attempt.evaluated):
            found.setdefault(attempt.cell, attempt)
    return found


def of_study(study: Study, ended: Mapping[str, Attempt]) -> list[Attempt]:
    """Return the recorded runs that a study's verdicts rest on; before its trials choose, whatever they will.

    ended: cell -> the attempt that counts.
    """
    if study.tuning is None or study.chosen:
        return [ended[cell.id] for cell in study.cells() if cell.id in ended]
    chosen = dict.fromkeys(study.tuning.names)
    texts: dict[Settings, str] = {}  # many cells share their settings

    def key(settings: Settings, *rest: object) -> tuple[object, ...]:
        if settings not in texts:
            texts[settings] = canonical(settings.record() | chosen)
        return (texts[settings], *rest)

    own = {key(c.settings, str(c.budget), c.seed, c.replica) for c in study.provisional().cells()}
    runs = [one for one in ended.values() if one.settings.stage != "tuning"]
    return [run for run in runs if key(run.settings, run.budget, run.seed, run.replica) in own]


def failures(attempts: Iterable[Attempt], policy: FailurePolicy = DECLARED) -> dict[str, list[Attempt]]:
    """Cell -> its failed attempts in their order, of the cells that have no outcome."""
    records = sorted(attempts, key=lambda attempt: attempt.number)
    known, found = outcomes(records, policy), defaultdict[str, list[Attempt]](list)
    for attempt in records:
        if attempt.failed and attempt.cell not in known:
            found[attempt.cell].append(attempt)
    return dict(found)


def has_outcome(folder: Path, cell: str) -> bool:
    """Whether a cell of a study has ended, as far as its records can be read."""
    for path in folder.glob(f"cells/{cell}-*.json"):
        with suppress(Fault, OSError):
            if outcomes([read(path)]):
                return True
    return False
