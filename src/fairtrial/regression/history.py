"""The series over nights: one file per gate that was asked to record, with the medians of its launches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from fairtrial.errors import BAD_INPUT, Fault, Problem, Shortage, fault
from fairtrial.regression.benchmark_records import differences, folder_name, identity, publish_timings
from fairtrial.storage.atomic import read_json
from fairtrial.storage.integrity import unsealed

FOLDER: Final = "history"
SCHEMA: Final = 1
CAP: Final = 256 * 1024  # bytes of one night
MOST: Final = 4000  # nights that are read: ten years
_DO: Final = "put it back from version control, or move it away"


def append(
    folder: Path, seconds: Sequence[Mapping[str, float]], device: Mapping[str, Any], code: Mapping[str, Any],
    decision: Mapping[str, Any] | None,
) -> Path:  # fmt: skip
    """Publish one night. seconds: per launch, bench -> median seconds per call of the candidate."""
    medians = {name: [launch[name] for launch in seconds] for name in seconds[0]}
    return publish_timings(
        folder / FOLDER, "fairtrial gate night", SCHEMA, device, code, seconds=medians, decision=decision
    )


def folder_of_device(results: Path, device: str, threads: int) -> Path:
    """Return the folder of this device below a results folder, whether or not a gate is recorded there."""
    return results / "bench" / folder_name(identity(device, threads))


def recorded(folder: Path) -> list[dict[str, Any]]:
    """Return the nights of a device's folder in order of time; a Fault (exit 3) where none is recorded."""
    found = nights(folder)
    if not found:
        do = "record gates: fairtrial gate --record; or name the folder of a device: --history FOLDER"
        raise fault("no gate is recorded here", str(folder / FOLDER), do, BAD_INPUT)
    return found


def nights(folder: Path) -> list[dict[str, Any]]:
    """Return every recorded night in order of time; a Fault (exit 3) lists the damaged ones."""
    found, problems = [], []
    for path in sorted((folder / FOLDER).glob("*.json"))[-MOST:]:
        try:
            found.append(unsealed(path, read_json(path, cap=CAP), newest=SCHEMA, do=_DO))
        except Shortage:
            raise
        except Fault as error:
            problems += [Problem(each.what, each.where, _DO) for each in error.problems]
    if problems:
        raise Fault(problems, BAD_INPUT)
    return found


def device_changes(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return in words since which night the device is another one: its series goes on all the same."""
    return [
        f"Another device since {now['datetime'][:10]}: {'; '.join(other)}."
        for before, now in pairwise(found)
        if (other := differences(before["device"], now["device"], "then"))
    ]
