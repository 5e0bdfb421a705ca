"""Stored baselines: launches of one device in one file, checked before they are trusted."""

from __future__ import annotations

import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from fairtrial.errors import BAD_INPUT, REFUSED, Fault, Problem, Shortage, fault, shown
from fairtrial.regression.base_commit import is_ancestor
from fairtrial.regression.benchmark_records import CAP, differences, folder_name, publish_timings, rounds_of
from fairtrial.storage.atomic import read_json
from fairtrial.storage.integrity import unsealed

SCHEMA: Final = 1
FOLDER: Final = "baselines"
MAKE: Final = "make one on this machine: fairtrial gate --save-baseline"
_MEND: Final = (
    "put it back from version control, or move it away and make a new one: fairtrial gate --save-baseline"
)
_KEPT: Final = ("name", "group", "params", "stats", "extra_info", "options")  # of a row of pytest-benchmark


@dataclass(frozen=True)
class Baseline:
    """A stored baseline: per launch, bench -> seconds per call of each round.

    labels: what a reader of the comparison must know.
    """

    path: Path
    launches: tuple[dict[str, list[float]], ...]
    labels: tuple[str, ...]


def save(
    folder: Path, reports: Sequence[Mapping[str, Any]], device: Mapping[str, Any], code: Mapping[str, Any]
) -> Path:
    """Publish the reports of several launches as the newest baseline of this device."""
    launches = [_trimmed(report) for report in reports]
    return publish_timings(
        folder / FOLDER, "fairtrial gate baseline", SCHEMA, device, code, launches=launches
    )


def newest(bench: Path, device: Mapping[str, Any]) -> Path:
    """The newest baseline of this device; a Fault when there is none: exit 4 if other devices have one."""
    own = bench / folder_name(device) / FOLDER
    if found := sorted(own.glob("*.json")):
        return found[-1]
    others = sorted({path.parents[1].name for path in bench.glob(f"*/{FOLDER}/*.json")})
    if others:
        what = f"no baseline of this device; there are baselines of {', '.join(others)}"
        raise fault(what, str(own), MAKE, REFUSED)
    raise fault("no baseline is stored", str(own), MAKE, BAD_INPUT)


def inside(path: Path, bench: Path) -> Path:
    """The path, when it is a plain file below results/bench; a Fault otherwise."""
    do = f"give a file below {bench}"
    try:
        kind = path.lstat().st_mode
    except OSError:
        raise fault("no such baseline", str(path), do, BAD_INPUT) from None
    if bench.resolve() not in path.resolve().parents or not stat.S_ISREG(kind):
        raise fault(
            "a baseline is a plain file below results/bench, not a link out of it", str(path), do, BAD_INPUT
        )
    return path


def load(path: Path, device: Mapping[str, Any], root: Path, *, other_device: bool = False) -> Baseline:
    """Read and check it; a Fault for damage (exit 3) or another device (exit 4, or a label if allowed)."""
    record = _opened(path)
    launches = []
    problems: list[Problem] = []
    for number, report in enumerate(record["launches"]):
        try:
            launches.append(
                rounds_of(report if isinstance(report, dict) else {}, f"{path}, launch {number + 1}")
            )
        except Fault as error:
            problems += error.problems
    if problems:
        raise Fault(problems, BAD_INPUT)
    if len({frozenset(launch) for launch in launches}) > 1:
        raise fault("its launches hold different benches", str(path), _MEND, BAD_INPUT)
    differing = differences(record["device"], device)
    if differing and not other_device:
        do = f"{MAKE}; or say --other-device to compare all the same, with a label"
        raise fault(f"the baseline comes from another device: {'; '.join(differing)}", str(path), do, REFUSED)
    labels = [f"another device: {each}" for each in differing] + _doubts(record, root)
    return Baseline(path, tuple(launches), tuple(labels))


def new_benches(baseline: Baseline, candidate: Sequence[str]) -> list[str]:
    """Return the benches that the baseline lacks; a Fault (exit 3) lists those that only it has."""
    stored = baseline.launches[0]
    new = [name for name in candidate if name not in stored]
    if missing := [name for name in stored if name not in candidate]:
        renamed = f"; new here: {', '.join(new)}" if new else ""
        what = f"benches of the baseline that did not run: {', '.join(missing)}{renamed}"
        do = "renamed or removed on purpose? make a new baseline: fairtrial gate --save-baseline"
        raise fault(what, str(baseline.path), do, BAD_INPUT)
    return new


def _trimmed(report: Mapping[str, Any]) -> dict[str, Any]:
    """The report without the long list of processor flags."""
    rows = [{key: row[key] for key in _KEPT if key in row} for row in report["benchmarks"]]
    return {"datetime": report.get("datetime"), "version": report.get("version"), "benchmarks": rows}


def _opened(path: Path) -> dict[str, Any]:
    try:
        record = read_json(path, cap=CAP)
    except FileNotFoundError:
        raise fault("no such baseline", str(path), MAKE, BAD_INPUT) from None
    except Shortage:
        raise
    except Fault as error:
        raise Fault([replace(each, do=_MEND) for each in error.problems], BAD_INPUT) from None
    record = unsealed(path, record, newest=SCHEMA, do=_MEND)
    if not isinstance(record.get("device"), dict):
        raise fault(f"device is {shown(record.get('device'))}", str(path), _MEND, BAD_INPUT)
    if not isinstance(record.get("launches"), list) or not record["launches"]:
        raise fault("the baseline holds no launch", str(path), _MEND, BAD_INPUT)
    return record


def _doubts(record: Mapping[str, Any], root: Path) -> list[str]:
    """Labels: a dirty tree, a commit that is not before ours, a debug build."""
    code = record.get("code")
    code = code if isinstance(code, dict) else {}
    found = ["the baseline was measured in a tree with changes"] if code.get("dirty") else []
    commit = code.get("commit")
    if not isinstance(commit, str):
        found.append("the baseline does not say its commit")
    elif not is_ancestor(root, commit):
        found.append(f"the baseline's commit {commit[:12]} does not lie before this one")
    if code.get("debug"):
        found.append("the baseline was measured with a debug build of torch")
    return found
