"""The timings in a folder of bench results, checked before they are trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeGuard

import numpy as np
import numpy.typing as npt

from fairtrial.errors import BAD_INPUT, Fault, Shortage, fault, shown
from fairtrial.storage.atomic import gather, read_json

CAP: Final = 64 << 20  # bytes of one file
DO: Final = "run `tox -e bench` again, or put the file back from version control"
NUMBERS: Final = ("batch_size", "bytes_moved", "flops", "images", "roofline_s", "side")
ROOF: Final = ("copy_bytes_per_s", "matrix_flops_per_s")
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Timing:
    """Subjects that were timed in turns in one process. rounds_s: the first one is the reference.

    bound_s: the least that a call can take by the roofline; None where nobody counted.
    """

    task: str
    group: str
    rounds_s: Mapping[str, Numbers]
    extra_info: Mapping[str, Any]  # as it came
    machine: Mapping[str, Any]

    @property
    def reference(self) -> str:
        """What all are compared with."""
        return next(iter(self.rounds_s))

    @property
    def arms(self) -> list[str]:
        """All but the reference."""
        return list(self.rounds_s)[1:]

    @property
    def bound_s(self) -> float | None:
        """See the class."""
        return number(self.extra_info, "roofline_s")

    def median_s(self, name: str) -> float:
        """Return median seconds per call."""
        return float(np.median(self.rounds_s[name]))

    def times(self, name: str) -> float:
        """Return the median as a multiple of the reference's."""
        return self.median_s(name) / self.median_s(self.reference)

    def by_round(self, name: str) -> Numbers:
        """Return each round as a multiple of the reference's round beside it."""
        return self.rounds_s[name] / self.rounds_s[self.reference]


def number(extra_info: Mapping[str, Any], name: str) -> float | None:
    """Return a positive number of extra_info; None where there is none."""
    value = extra_info.get(name)
    return float(value) if _is_number(value) else None


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1e100


def timing_folders(bench: Path) -> list[Path]:
    """Return the devices' folders that hold timings; the gate's own files lie deeper."""
    return [folder for folder in sorted(bench.glob("*/")) if any(folder.glob("*.json"))]


def read_timings(folder: Path) -> list[Timing]:
    """Return every timing of a folder; a Fault with every file that cannot be trusted, exit code 3."""
    paths = sorted(folder.glob("*.json"))
    if not paths:
        what = "no bench results" if folder.is_dir() else "no such folder"
        raise fault(what, str(folder), "make some on this machine: tox -e bench", BAD_INPUT)
    timings: list[Timing] = []
    faults: list[Fault] = []
    for path in paths:
        try:
            timings += read_file(path)
        except Fault as found:
            faults.append(found)
    if faults:
        raise gather(faults)
    return timings


def read_file(path: Path) -> list[Timing]:
    """Return the timings of one file; rows without rounds are passed over."""
    try:
        report = read_json(path, cap=CAP)
    except Shortage:
        raise
    except Fault as found:
        raise fault(found.problems[0].what, found.problems[0].where, DO, found.code) from None
    machine, rows = report.get("machine_info"), report.get("benchmarks")
    if not isinstance(machine, dict) or not isinstance(rows, list):
        raise fault(
            "not a report of pytest-benchmark: machine_info or benchmarks is missing",
            str(path),
            DO,
            BAD_INPUT,
        )
    return [
        _timing(path, index, row, machine)
        for index, row in enumerate(rows)
        if "rounds_s" in _extra(path, index, row)
    ]


def _extra(path: Path, index: int, row: Any) -> dict[str, Any]:
    extra = row.get("extra_info") if isinstance(row, dict) else None
    if not isinstance(extra, dict):
        raise fault("a bench without extra_info", f"{path}, benchmarks[{index}]", DO, BAD_INPUT)
    return extra


def _timing(path: Path, index: int, row: Mapping[str, Any], machine: Mapping[str, Any]) -> Timing:
    extra_info, where = row["extra_info"], f"{path}, benchmarks[{index}]"
    rounds = extra_info["rounds_s"]
    if not isinstance(rounds, dict) or len(rounds) < 2:
        raise fault("rounds_s is no table of two subjects or more", where, DO, BAD_INPUT)
    lengths = {len(values) if isinstance(values, list) else 0 for values in rounds.values()}
    if len(lengths) > 1 or 0 in lengths:
        raise fault(f"rounds_s: subjects of one timing have {sorted(lengths)} rounds", where, DO, BAD_INPUT)
    for name, values in rounds.items():
        if not all(map(_is_number, values)):
            raise fault(
                f"rounds_s of {name!r} holds what is no positive number of seconds", where, DO, BAD_INPUT
            )
    for name in NUMBERS:
        if extra_info.get(name) is not None and not _is_number(extra_info[name]):
            raise fault(f"{name}={shown(extra_info[name])} is no positive number", where, DO, BAD_INPUT)
    if not _has_roof(extra_info) or extra_info.get("recorded", next(iter(rounds))) not in list(rounds):
        raise fault("a timing whose roof or recorded subject is none", where, DO, BAD_INPUT)
    task = str(row.get("fullname", "")).partition("::")[0].rpartition("/")[2]
    return Timing(
        task=task.removesuffix(".py").removeprefix("test_").replace("_", "-"),
        group=str(row.get("group") or row.get("name")),
        rounds_s={str(name): np.array(values, dtype=np.float64) for name, values in rounds.items()},
        extra_info=extra_info,
        machine=machine,
    )


def _has_roof(extra_info: Mapping[str, Any]) -> bool:
    """Say whether a timing with a roofline has all that one needs."""
    roof = extra_info.get("roof")
    if extra_info.get("roofline_s") is None:
        return True
    return isinstance(roof, dict) and all(_is_number(roof.get(name)) for name in ROOF)


def machine_of(timings: Sequence[Timing]) -> str:
    """Return 'AMD EPYC, 2 threads, AVX2, torch 2.15.0, fp32': what every caption says of the machine."""
    every = {f"{_processor(timing.machine)}, torch {timing.machine.get('torch', '?')}" for timing in timings}
    return "; ".join(sorted(every)) + ", fp32"


def _processor(machine: Mapping[str, Any]) -> str:
    """Return GPU or processor and threads; of a processor its instructions: once those of torch alone."""
    threads = f"{machine.get('threads', '?')} threads"
    if machine.get("gpu"):
        return f"{machine['gpu']}, {threads}"
    torchs = machine.get("cpu_capability")
    old = f"{torchs} by torch (oneDNN: not recorded)" if torchs else "instructions not recorded"
    instructions = machine.get("instructions", old) or "instructions unknown"
    return f"{machine.get('cpu_model', 'unknown processor')}, {threads}, {instructions}"
