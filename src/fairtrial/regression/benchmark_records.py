"""Records of timings, checked before they are trusted: which machine, which rounds."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from fairtrial.errors import BAD_INPUT, Fault, Problem, shown
from fairtrial.execution.process_environment import best_instructions, instructions_of, worker_environment
from fairtrial.storage.atomic import publish
from fairtrial.storage.integrity import sealed
from fairtrial.storage.provenance import cpu_model

CAP: Final = 4 * 1024 * 1024  # bytes of one file
_HUGE: Final = 1e12  # no time, and no number of calls in a second
_GOVERNOR: Final = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
_DO: Final = "run the benches again; a baseline is made anew by `fairtrial gate --save-baseline`"


def rounds_of(report: dict[str, Any], where: str) -> dict[str, list[float]]:
    """Return bench -> seconds per call of each round; a Fault (exit 3) lists every bench that is damaged."""
    rounds: dict[str, list[float]] = {}
    problems = []
    rows = report.get("benchmarks")
    for index, row in enumerate(rows if isinstance(rows, list) else []):
        name = row.get("name") if isinstance(row, dict) else None
        if not isinstance(name, str) or not name:
            problems.append(Problem(f"bench number {index + 1} has no name", where, _DO))
        elif what := "stands there twice" if name in rounds else _damage(row):
            problems.append(Problem(f"bench {shown(name)} {what}", where, _DO))
        else:
            calls = row["extra_info"]["calls"]
            rounds[name] = [seconds / calls for seconds in row["stats"]["data"]]
    if problems:
        raise Fault(problems, BAD_INPUT)
    if not rounds:
        raise Fault(Problem("no bench in the report: none ran, or all were skipped", where, _DO), BAD_INPUT)
    return rounds


def _damage(row: dict[str, Any]) -> str | None:
    """What is wrong with one row; None when it can be trusted."""
    stats, extra = row.get("stats"), row.get("extra_info")
    if not isinstance(stats, dict):
        return "has no stats"
    if missing := [name for name in ("median", "ops", "data") if name not in stats]:
        return f"has no {', '.join(missing)} in its stats"
    for name in ("median", "ops"):
        if not _above_zero(stats[name]):
            return f"has {name} {shown(stats[name])}, not a number above 0"
    data = stats["data"]
    if not isinstance(data, list) or not data or not all(map(_above_zero, data)):
        return "has rounds that are not times above 0"
    calls = extra.get("calls") if isinstance(extra, dict) else None
    if not isinstance(calls, int) or isinstance(calls, bool) or not 1 <= calls < 10**9:
        return f"has {shown(calls)} calls in a round, not a whole number above 0"
    return None


def _above_zero(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < _HUGE


def publish_timings(
    folder: Path, kind: str, schema: int, device: Mapping[str, Any], code: Mapping[str, Any], **fields: Any
) -> Path:
    """Publish a sealed record of timings under a name that says when it was made and of which commit."""
    now = datetime.now(UTC)
    record = {
        "schema": schema,
        "kind": kind,
        "device": dict(device),
        "code": dict(code),
        "datetime": now.isoformat(timespec="seconds"),
        **fields,
    }
    path = folder / f"{now:%Y%m%dT%H%M%S}-{(str(code.get('commit') or 'unknown'))[:12]}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    publish(path, sealed(record))
    return path


def identity(device: str, threads: int) -> dict[str, Any]:
    """Return processor or GPU, cores, threads, instructions, minor versions, governor.

    processor: the most that it has, as two of one name may differ. The clock rate jitters too much.
    """
    return {
        "cpu": cpu_model(),
        "gpu": _gpu(device),
        "cores": os.cpu_count(),
        "threads": threads,
        "instructions": instructions_of(worker_environment(threads, device)),
        "processor": best_instructions(),
        "torch": _minor(metadata.version("torch")),
        "python": _minor(platform.python_version()),
        "system": f"{platform.system()} {platform.machine()}",
        "governor": _GOVERNOR.read_text().strip() if _GOVERNOR.exists() else None,
    }


def folder_name(machine: Mapping[str, Any]) -> str:
    """Return the name of a machine's folder in results/bench: GPU or processor, and threads."""
    count = machine["threads"]
    words = f"{machine['gpu'] or machine['cpu']} {count} thread{'s' if count != 1 else ''}"
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


def differences(theirs: Mapping[str, Any], ours: Mapping[str, Any], where: str = "here") -> list[str]:
    """Return what differs, in words; a field that theirs lack differs. where: ours were measured."""
    return [
        f"{name} {theirs.get(name, 'not written down')!s}, {where} {value!s}"
        for name, value in ours.items()
        if theirs.get(name, ...) != value
    ]


def _minor(number: str) -> str:
    return ".".join(number.split(".")[:2])


def _gpu(device: str) -> str | None:
    if device == "cpu":
        return None
    import torch

    return torch.cuda.get_device_name(device)
