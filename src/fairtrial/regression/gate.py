"""`fairtrial gate`: choose what is compared, launch until the rule decides, say it."""

from __future__ import annotations

import contextlib
import importlib.util
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

from fairtrial.errors import BAD_INPUT, DONE, INCOMPLETE, PREEMPTED, REGRESSION, USAGE, fault
from fairtrial.installation import checkout
from fairtrial.regression import base_commit, baseline, gate_messages, history, timing_machine
from fairtrial.regression.decision import (
    FINE,
    SLOWER,
    UNDECIDED,
    Decision,
    Estimate,
    Plan,
    paired,
    plain,
    unpaired,
    until_decided,
)
from fairtrial.regression.launch import Bed, Launch, Side, run
from fairtrial.storage.provenance import code_of

CODES: Final = {FINE: DONE, SLOWER: REGRESSION, UNDECIDED: INCOMPLETE}
PAIRED, STORED = 0.03, 0.05  # what is tolerated: in turns; against another night


@dataclass(frozen=True)
class Asked:
    """What the command line asks of one gate. plant: percent; of a comparison of this tree with itself."""

    results: Path = Path("results")
    base: str | None = None
    since_s: float | None = None
    aa: bool = False
    plant: float = 0.0
    stored: bool = False
    baseline: Path | None = None
    other_device: bool = False
    tolerance: float | None = None
    device: str = "cpu"
    threads: int = 1
    rounds: int | None = None
    looks: tuple[int, ...] = Plan.looks
    record: bool = False
    tell: Callable[[str], None] = field(default=lambda text: print(text, file=sys.stderr, flush=True))

    def plan(self, usual: float) -> Plan:
        """The rule with the tolerance that was asked for, or the usual one."""
        return Plan(tolerance=usual if self.tolerance is None else self.tolerance, looks=self.looks)

    @property
    def bench(self) -> Path:
        """The folder of all devices."""
        return self.results / "bench"


class Outcome(NamedTuple):
    """What is printed as JSON, the same in words, and the exit code."""

    found: dict[str, Any]
    lines: list[str]
    code: int


class Place(NamedTuple):
    """The tree that is judged, and where its launches run."""

    root: Path
    bed: Bed
    device: dict[str, Any]


def gate(asked: Asked) -> Outcome:
    """One gate: against the base in turns where it can be had, else against the stored baseline."""
    with ready(asked) as place:
        return judged(asked, place)


def judged(asked: Asked, place: Place) -> Outcome:
    """The gate, where its launches can run."""
    if asked.stored or asked.baseline is not None:
        return _against_stored(asked, place, "asked for")
    if asked.aa or asked.plant:
        here = base_commit.Base(str(code_of(place.root)["commit"]), "this tree itself: an A/A comparison")
        return _in_turns(asked, place, here, place.root / "src")
    found = base_commit.choose(place.root, asked.base, asked.since_s)
    if found is None:
        return _against_stored(asked, place, "this tree has no commit to compare with")
    with base_commit.checked_out(place.root, found) as tree:
        return _in_turns(asked, place, found, tree / "src")


def save(asked: Asked, launches: int) -> Outcome:
    """Measure this tree alone and store it as the newest baseline of this device."""
    with ready(asked) as place:
        found = _launches(asked, place, [Side("candidate", place.root / "src")], launches)
        path = baseline.save(
            _own(asked, place), [one.reports[0] for one in found], place.device, _code(place, found)
        )
    return Outcome({"baseline": str(path), "launches": launches}, [f"baseline: {path}"], DONE)


@contextlib.contextmanager
def ready(asked: Asked) -> Iterator[Place]:
    """The place of this checkout; a Fault where launches cannot run. SIGTERM ends it as Ctrl-C does."""
    root = checkout()
    if root is None:
        do = "run it in a git checkout of fairtrial, installed with `pip install -e .[bench]`"
        raise fault("the gate needs bench/, which no wheel has", "this installation", do, USAGE)
    if missing := [name for name in ("pytest", "pytest_benchmark") if importlib.util.find_spec(name) is None]:
        do = 'pip install "fairtrial[bench]"'
        raise fault(f"{' and '.join(missing)} not installed", "this environment", do, USAGE)
    before = signal.signal(signal.SIGTERM, _leave)
    try:
        with tempfile.TemporaryDirectory(prefix="fairtrial-bytecode-") as cache:
            bed = Bed(root, Path(cache), asked.device, asked.threads, asked.rounds)
            yield Place(root, bed, timing_machine.identity(asked.device, asked.threads))
    finally:
        signal.signal(signal.SIGTERM, before)


def _leave(*_: Any) -> NoReturn:
    raise SystemExit(PREEMPTED)


def _in_turns(asked: Asked, place: Place, base: base_commit.Base, src: Path) -> Outcome:
    plan = asked.plan(PAIRED)
    pair = [Side("base", src), Side("candidate", place.root / "src", asked.plant)]
    asked.tell(f"base {base.commit[:12]} ({base.why}); tolerance {plan.tolerance:.1%}")
    done: list[Launch] = []
    new: set[str] = set()

    def launch(number: int) -> dict[str, float]:
        (one,) = _launches(asked, place, pair, 1, first=number)
        done.append(one)
        new.update(_new(one))
        return one.log_ratios()

    decision = until_decided(plan, launch, _paired)
    facts = {"mode": "in turns", "base": base.commit, "why": base.why, "labels": [], "new": sorted(new)}
    rows = [{name: round(value, 6) for name, value in one.log_ratios().items()} for one in done]
    return _said(asked, place, decision, facts | {"log_ratios": rows}, done)


def _new(one: Launch) -> list[str]:
    """Benches that the base could not run; a Fault for those that only the base could, or if none is left."""
    before, now = one.rounds
    if missing := [name for name in before if name not in now]:
        what = f"benches that ran on the base and not on the candidate: {', '.join(missing)}"
        raise fault(what, "bench/test_gate.py", "run it by hand: pytest bench/test_gate.py", BAD_INPUT)
    new = [name for name in now if name not in before]
    if len(new) == len(now):
        what = f"the base can run no bench of the gate ({', '.join(new)}): nothing to compare with"
        raise fault(what, "bench/test_gate.py", "choose a later --base", BAD_INPUT)
    return new


def _paired(rows: Sequence[Mapping[str, float]]) -> dict[str, Estimate]:
    return {name: paired([row[name] for row in rows]) for name in _same(rows)}


def _same(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The benches, which every launch has; a Fault names those that only some have."""
    names = list(rows[0])
    if odd := sorted(set().union(*(set(row) ^ set(names) for row in rows))):
        what = f"benches that ran in some launches only: {', '.join(odd)}"
        raise fault(what, "bench/test_gate.py", "run it by hand: pytest bench/test_gate.py", BAD_INPUT)
    return names


def _against_stored(asked: Asked, place: Place, why: str) -> Outcome:
    plan = asked.plan(STORED)
    path = (
        baseline.inside(asked.baseline, asked.bench)
        if asked.baseline
        else baseline.newest(asked.bench, place.device)
    )
    kept = baseline.load(path, place.device, place.root, other_device=asked.other_device)
    asked.tell(f"baseline {path} ({why}); tolerance {plan.tolerance:.1%}")
    before = gate_messages.logs(kept.launches)
    done: list[Launch] = []
    new: set[str] = set()

    def launch(number: int) -> Launch:
        done.extend(_launches(asked, place, [Side("candidate", place.root / "src")], 1, first=number))
        new.update(baseline.compared(kept, list(done[-1].rounds[0]))[1])
        return done[-1]

    def estimates(found: Sequence[Launch]) -> dict[str, Estimate]:
        _same([one.rounds[0] for one in found])
        now = gate_messages.logs([one.rounds[0] for one in found])
        return {name: unpaired(now[name], before[name]) for name in now if name in before}

    decision = until_decided(plan, launch, estimates)
    facts = {
        "mode": "stored",
        "baseline": str(path),
        "why": why,
        "labels": list(kept.labels),
        "new": sorted(new),
    }
    return _said(asked, place, decision, facts, done)


def _launches(asked: Asked, place: Place, side: Sequence[Side], count: int, first: int = 0) -> list[Launch]:
    found = []
    for number in range(first, first + count):
        start = time.monotonic()
        found.append(run(side, place.bed, number))
        asked.tell(f"launch {number + 1}: {time.monotonic() - start:.1f} s")
    return found


def _said(
    asked: Asked, place: Place, decision: Decision, facts: dict[str, Any], done: Sequence[Launch]
) -> Outcome:
    found = {**facts, "device": place.device, "planted": asked.plant, **plain(decision)}
    if asked.record:
        seconds = [one.seconds() for one in done]
        path = history.append(_own(asked, place), seconds, place.device, _code(place, done), plain(decision))
        found["recorded"] = str(path)
    return Outcome(found, gate_messages.lines(decision, found), CODES[decision.state])


def _own(asked: Asked, place: Place) -> Path:
    """The folder of this device."""
    return asked.bench / timing_machine.folder_name(place.device)


def _code(place: Place, done: Sequence[Launch]) -> dict[str, Any]:
    return {**code_of(place.root), "debug": any(one.debug for one in done)}
