"""The series over nights: one file per gate that was asked to record, with the medians of its launches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from fairtrial.errors import BAD_INPUT, Fault, Problem, fault
from fairtrial.regression import timing_machine
from fairtrial.storage.atomic import publish, read_json
from fairtrial.storage.integrity import sealed, unsealed

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
    now = datetime.now(UTC)
    record = {
        "schema": SCHEMA,
        "kind": "fairtrial gate night",
        "datetime": now.isoformat(timespec="seconds"),
        "device": dict(device),
        "code": dict(code),
        "seconds": {name: [launch[name] for launch in seconds] for name in seconds[0]},
        "decision": decision,
    }
    path = folder / FOLDER / f"{now:%Y%m%dT%H%M%S}-{(str(code.get('commit') or 'unknown'))[:12]}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    publish(path, sealed(record))
    return path


def of_device(results: Path, device: str, threads: int) -> tuple[Path, list[dict[str, Any]]]:
    """The folder of this device and its nights; a Fault (exit 3) where none is recorded."""
    folder = results / "bench" / timing_machine.folder_name(timing_machine.identity(device, threads))
    found = nights(folder)
    if not found:
        do = "record gates: fairtrial gate --record"
        raise fault("no gate of this device is recorded", str(folder / FOLDER), do, BAD_INPUT)
    return folder, found


def nights(folder: Path) -> list[dict[str, Any]]:
    """Every recorded night in order of time; a Fault (exit 3) lists the damaged ones."""
    found, problems = [], []
    for path in sorted((folder / FOLDER).glob("*.json"))[-MOST:]:
        try:
            found.append(_night(path))
        except Fault as error:
            problems += [Problem(each.what, each.where, _DO) for each in error.problems]
    if problems:
        raise Fault(problems, BAD_INPUT)
    return found


def _night(path: Path) -> dict[str, Any]:
    return unsealed(path, read_json(path, cap=CAP), newest=SCHEMA, do=_DO)
