"""One run of the gate: which base, launches up to a decision, what is printed and kept."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

from fairtrial.errors import BAD_INPUT, DONE, INCOMPLETE, REGRESSION, USAGE, Fault, fault
from fairtrial.installation import checkout
from fairtrial.plain_file import read_text
from fairtrial.regression import base_commit, baseline, decision, history
from fairtrial.regression.base_commit import Base
from fairtrial.regression.benchmark_records import folder_name
from fairtrial.regression.decision import Decision, Estimate, Plan, paired, unpaired, until_decided
from fairtrial.regression.launch import BENCHES, Launch, Setup, Tree, run
from fairtrial.storage.provenance import code_of

_MOST: Final = 2**22  # bytes of a file of benches
CODES: Final = {decision.FINE: DONE, decision.SLOWER: REGRESSION, decision.UNDECIDED: INCOMPLETE}
PAIRED, STORED = 0.03, 0.05  # what is tolerated: in turns; against another night


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class GateOptions:
    """The options of one gate. plant: percent; of a comparison of this tree with itself."""

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
    tell: Callable[[str], None] = field(default=_to_stderr)

    def plan(self, usual: float) -> Plan:
        """Return the rule with the tolerance that was asked for, or the usual one."""
        return Plan(tolerance=usual if self.tolerance is None else self.tolerance, looks=self.looks)

    @property
    def bench(self) -> Path:
        """The folder of all devices."""
        return self.results / "bench"


class Outcome(NamedTuple):
    """What is printed as JSON, the same in words, the exit code, and a summary in Markdown of a decision."""

    facts: dict[str, Any]
    lines: list[str]
    code: int
    summary: str = ""


def gate(options: GateOptions) -> Outcome:
    """Compare with the base in turns where it can be had, else with the stored baseline."""
    with prepared(options) as setup:
        return judge(options, setup)


def judge(options: GateOptions, setup: Setup) -> Outcome:
    """Run one gate where its launches can run."""
    if options.stored or options.baseline is not None:
        return _against_stored(options, setup, "asked for")
    if options.aa or options.plant:
        here = Base(str(code_of(setup.root)["commit"]), "this tree itself: an A/A comparison")
        return _in_turns(options, setup, here, setup.root)
    base = base_commit.choose(setup.root, options.base, options.since_s)
    if base is None:
        return _against_stored(options, setup, "this tree has no commit to compare with")
    with base_commit.checked_out(setup.root, base) as root:
        return _in_turns(options, setup, base, root)


def save(options: GateOptions, launches: int) -> Outcome:
    """Measure this tree alone and store it as the newest baseline of this device."""
    with prepared(options) as setup:
        trees = [Tree("candidate", setup.root)]
        done = [_launch(options, setup, trees, number) for number in range(launches)]
        reports = [launch.reports[0] for launch in done]
        path = baseline.save(_folder(options, setup), reports, setup.machine, _code(setup, done))
    return Outcome({"baseline": str(path), "launches": launches}, [f"baseline: {path}"], DONE)


@contextlib.contextmanager
def prepared(options: GateOptions) -> Iterator[Setup]:
    """Yield the setup of this checkout; a Fault where nothing can run."""
    root = checkout()
    if root is None:
        do = "run it in a git checkout of fairtrial, installed with `pip install -e .[bench]`"
        raise fault("the gate needs bench/, which no wheel has", "this installation", do, USAGE)
    if missing := [name for name in ("pytest", "pytest_benchmark") if importlib.util.find_spec(name) is None]:
        do = 'pip install "fairtrial[bench]"'
        raise fault(f"{' and '.join(missing)} not installed", "this environment", do, USAGE)
    with tempfile.TemporaryDirectory(prefix="fairtrial-bytecode-") as cache:
        yield Setup(root, Path(cache), options.device, options.threads, options.rounds)


def _in_turns(options: GateOptions, setup: Setup, base: Base, root: Path) -> Outcome:
    plan = options.plan(PAIRED)
    trees = [Tree("base", root), Tree("candidate", setup.root, options.plant)]
    options.tell(f"base {base.commit[:12]} ({base.why}); tolerance {plan.tolerance:.1%}")
    done: list[Launch] = []
    new: set[str] = set()

    def launch(number: int) -> dict[str, float]:
        done.append(_launch(options, setup, trees, number))
        new.update(_new(done[-1]))
        return done[-1].log_ratios()

    def estimates(rows: Sequence[Mapping[str, float]]) -> dict[str, Estimate]:
        return {name: paired([row[name] for row in rows]) for name in _shared(rows)}

    decided = until_decided(plan, launch, estimates)
    facts = {
        "mode": "in turns",
        "base": base.commit,
        "why": base.why,
        "labels": _other_work(root, setup.root),
        "new": sorted(new),
        "log_ratios": [{name: round(value, 6) for name, value in one.log_ratios().items()} for one in done],
    }
    return _outcome(options, setup, decided, facts, done)


def _other_work(base: Path, candidate: Path) -> list[str]:
    """A label where the benches of the two trees differ by more than what they import."""
    if _without_imports(base / BENCHES) == _without_imports(candidate / BENCHES):
        return []
    return [f"{BENCHES} of the base differs: the two may time other work"]


def _without_imports(path: Path) -> str:
    tree = ast.parse(read_text(path, _MOST))
    for node in ast.walk(tree):
        if isinstance(body := getattr(node, "body", None), list):
            node.body = [each for each in body if not isinstance(each, ast.Import | ast.ImportFrom)]  # type: ignore[attr-defined]
    return ast.dump(tree)


def _new(launch: Launch) -> list[str]:
    """Benches that the base could not run; a Fault for those that only the base could, or if none is left."""
    before, now = launch.rounds
    if missing := [name for name in before if name not in now]:
        raise _bench_fault(f"benches that ran on the base and not on the candidate: {', '.join(missing)}")
    new = [name for name in now if name not in before]
    if len(new) == len(now):
        what = f"the base can run no bench of the gate ({', '.join(new)}): nothing to compare with"
        raise fault(what, BENCHES, "choose a later --base", BAD_INPUT)
    return new


def _shared(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The benches, which every launch has; a Fault names those that only some have."""
    names = list(rows[0])
    if odd := sorted(set().union(*(set(row) ^ set(names) for row in rows))):
        raise _bench_fault(f"benches that ran in some launches only: {', '.join(odd)}")
    return names


def _bench_fault(what: str) -> Fault:
    return fault(what, BENCHES, f"run it by hand: pytest {BENCHES}", BAD_INPUT)


def _against_stored(options: GateOptions, setup: Setup, why: str) -> Outcome:
    plan, asked_for = options.plan(STORED), options.baseline
    path = (
        baseline.inside(asked_for, options.bench)
        if asked_for
        else baseline.newest(options.bench, setup.machine)
    )
    stored = baseline.load(path, setup.machine, setup.root, other_device=options.other_device)
    options.tell(f"baseline {path} ({why}); tolerance {plan.tolerance:.1%}")
    before = _logs(stored.launches)
    done: list[Launch] = []
    new: set[str] = set()

    def launch(number: int) -> dict[str, list[float]]:
        done.append(_launch(options, setup, [Tree("candidate", setup.root)], number))
        new.update(baseline.new_benches(stored, list(done[-1].rounds[0])))
        return done[-1].rounds[0]

    def estimates(rows: Sequence[Mapping[str, list[float]]]) -> dict[str, Estimate]:
        _shared(rows)
        return {name: unpaired(logs, before[name]) for name, logs in _logs(rows).items() if name in before}

    decided = until_decided(plan, launch, estimates)
    facts = {"mode": "stored", "baseline": str(path), "why": why, "labels": list(stored.labels)}
    return _outcome(options, setup, decided, facts | {"new": sorted(new)}, done)


def _logs(launches: Sequence[Mapping[str, Sequence[float]]]) -> dict[str, list[float]]:
    """Bench -> the log of the median seconds of each launch."""
    return {name: [math.log(median(launch[name])) for launch in launches] for name in launches[0]}


def _launch(options: GateOptions, setup: Setup, trees: Sequence[Tree], number: int) -> Launch:
    start = time.monotonic()
    launch = run(trees, setup, number)
    options.tell(f"launch {number + 1}: {time.monotonic() - start:.1f} s")
    return launch


def _outcome(
    options: GateOptions, setup: Setup, decided: Decision, facts: dict[str, Any], done: Sequence[Launch]
) -> Outcome:
    facts = {**facts, "device": setup.machine, "planted": options.plant, **decision.plain(decided)}
    if options.record:
        seconds = [launch.seconds() for launch in done]
        code, kept = _code(setup, done), decision.plain(decided)
        path = history.append(_folder(options, setup), seconds, setup.machine, code, kept)
        facts["recorded"] = str(path)
    summary = decision.markdown(decided, facts)
    return Outcome(facts, decision.lines(decided, facts), CODES[decided.state], summary)


def _folder(options: GateOptions, setup: Setup) -> Path:
    """The folder of this device."""
    return options.bench / folder_name(setup.machine)


def _code(setup: Setup, done: Sequence[Launch]) -> dict[str, Any]:
    return {**code_of(setup.root), "debug": any(launch.debug for launch in done)}
