"""Recorded cells, run again alone and as recorded, held against their records bit for bit."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from fairtrial.errors import BAD_INPUT, REFUSED, Fault, Problem, fault
from fairtrial.execution.engine import Exit, Message, Worker
from fairtrial.execution.engines import declaration_of, first_message
from fairtrial.execution.local_processes import LocalProcesses
from fairtrial.execution.process_environment import best_instructions, kept_to
from fairtrial.execution.run_options import Options
from fairtrial.execution.worker_pool import POLL_S, WorkerPool
from fairtrial.screen import announce, working
from fairtrial.signals import Stop
from fairtrial.storage.outcomes import outcomes
from fairtrial.storage.provenance import Provenance
from fairtrial.storage.record import Attempt, Json, attempt_record, cell_message, is_timing
from fairtrial.storage.store import Store
from fairtrial.study.budget import Budget
from fairtrial.study.identity import digest
from fairtrial.study.study import Cell, Study

Pair = tuple[Any, Any]  # as recorded, and now


@dataclass(frozen=True)
class Replayed:
    """A recorded cell beside its run now. differing, elsewhere, code: name -> (recorded, now), if unequal."""

    recorded: Attempt
    arm: str
    differing: Mapping[str, Pair]
    elsewhere: Mapping[str, Pair]
    code: Mapping[str, Pair]

    @property
    def agrees(self) -> bool:
        """Whether every metric and digest is the same, bit for bit."""
        return not self.differing

    @property
    def name(self) -> str:
        """'008fef6385cb (gn, batch 2, seed 18)'."""
        return f"{self.recorded.cell} ({self.arm}, seed {self.recorded.seed})"

    def line(self) -> str:
        """Say that it agrees; what else differs is no reason to doubt it."""
        where = f", although made elsewhere: {_pairs(self.elsewhere)}" if self.elsewhere else ""
        return f"{self.name} agrees bit for bit{where}"

    def problem(self, folder: Path) -> Problem:
        """Return what differs, first the captured fields of its origin that may be why."""
        path = folder / "cells" / f"{self.recorded.cell}-{self.recorded.number}.json"
        numbers = "; ".join(_difference(name, *pair) for name, pair in self.differing.items())
        code = f"; code: {_pairs(self.code)}" if self.code else ""
        if self.elsewhere:
            what = f"{self.name} was made elsewhere: {_pairs(self.elsewhere)}{code}; {numbers}"
            return Problem(what, str(path), "replay it where it was made: there it must agree bit for bit")
        what = f"{self.name} does not reproduce, and no captured field of machine or libraries differs"
        do = "look at what changed in the code since; a record that no code gives again is not evidence"
        return Problem(f"{what}{code}; {numbers}", str(path), do)

    def record(self) -> Json:
        """As JSON."""
        parts = {"differing": self.differing, "made_elsewhere": self.elsewhere, "code": self.code}
        pairs = {
            part: {name: {"recorded": then, "now": now} for name, (then, now) in found.items()}
            for part, found in parts.items()
        }
        one = self.recorded
        names = {"cell": one.cell, "attempt": one.number, "arm": self.arm, "seed": one.seed}
        return {**names, "agrees": self.agrees, **pairs}


def refusal(found: Iterable[Replayed], folder: Path) -> Fault | None:
    """Return the cells that differ as one Fault: exit 3 where the origin of one does not differ, else 4."""
    different = [one for one in found if not one.agrees]
    if not different:
        return None
    code = REFUSED if all(one.elsewhere for one in different) else BAD_INPUT
    return Fault([one.problem(folder) for one in different], code)


def shuffled(store: Store, seed: int) -> list[Attempt]:
    """Return the attempts with a result in a random order: a larger sample of one seed holds the smaller."""
    ended = outcomes(store.attempts()).values()
    if not ended:
        do = f"run it first: fairtrial run {store.name}"
        raise fault("no cell with a result is recorded here", str(store.folder), do, BAD_INPUT)
    return sorted(ended, key=lambda one: digest([seed, one.cell, one.number]))


def replay(
    study: Study, store: Store, attempts: Iterable[Attempt], stop: Stop, *, download: bool = False
) -> Iterator[Replayed]:
    """Yield each attempt beside a run of its cell now: in a temporary folder, one at a time; until a signal.

    Threads, kernels, instructions and environment are those of the record, as far as this machine has them.
    """
    specs = _specs(study)
    ordered = sorted(attempts, key=lambda one: digest(_conditions(one.provenance)))
    with tempfile.TemporaryDirectory(prefix="fairtrial-replay-") as scratch:
        own = Store(Path(scratch) / store.name)
        (own.folder / "weights").mkdir(parents=True)
        for _, alike in groupby(ordered, key=lambda one: digest(_conditions(one.provenance))):
            group = list(alike)
            with _pool(study, group[0].provenance, own, store, download) as pool:
                with working("opening data and weights"):
                    worker = pool.first_ready(stop)
                for attempt in group:
                    cell = _cell(attempt, specs)
                    announce(f"again: {cell.arm}, seed {cell.seed}")
                    if worker is None or (now := _ran(pool, worker, cell, attempt, stop)) is None:
                        return
                    yield compared(attempt, now, cell.arm)


def _conditions(place: Provenance) -> Json:
    """How a cell is started again."""
    environment = kept_to(place.instructions) | place.set_environment
    device = "cpu" if place.device in (None, "cpu") else "cuda:0"
    threads, kernels = place.threads or 1, place.kernels
    return {"device": device, "threads": threads, "kernels": kernels, "environment": environment}


def _pool(study: Study, place: Provenance, own: Store, store: Store, download: bool) -> WorkerPool:
    same = _conditions(place)
    how = Options(store.folder.parent, same["device"], threads=same["threads"], download=download)
    first = first_message(study, own, how, declaration_of(store))
    # our own are tried: whether they can be had here is for the worker to say
    known = ["torch", "as recorded"]
    kernels: Json = {same["device"]: known} if same["kernels"] == "torch" else {}
    engine = LocalProcesses(1, same["threads"], same["device"], same["environment"])
    return WorkerPool(engine, first, kernels=kernels)


def _ran(pool: WorkerPool, worker: Worker, cell: Cell, attempt: Attempt, stop: Stop) -> Attempt | None:
    """Let the worker run a cell with the steps that it had -> as it is now; None after a signal."""
    message: Message = {
        "do": "cell",
        "cell": cell_message(cell),
        "attempt": attempt.number,
        "step_s": attempt.spent.calibrated_step_s,
        "way": attempt.drawn.way,
        # other images or another start are compared, not refused
        "data_sha256": None,
        "weights_sha256": None,
    }
    pool.give(worker, cell, attempt.number, message)
    with working(f"{cell.arm}, seed {cell.seed}") as tell:
        while not stop:
            for _, answer in pool.answers(POLL_S):
                if isinstance(answer, Exit):
                    do = "read the lines above; `fairtrial doctor` may know more"
                    raise fault(f"the cell did not end: {answer.words}", cell.arm, do, REFUSED)
                number, result = attempt.number, answer["result"]
                return attempt_record(attempt.study, message["cell"], number, result, worker.origin)
            if worker.doing:
                tell(worker.doing)
    return None


def _specs(study: Study) -> dict[tuple[str, Any], str]:
    """(setting, its identity) -> what opens it here: of a folder a record holds the name alone."""
    cells = study.provisional().cells()
    names = ("data", "upstream", "indices")
    return {(name, getattr(cell.settings, name)): getattr(cell, name) for cell in cells for name in names}


def _cell(attempt: Attempt, specs: Mapping[tuple[str, Any], str]) -> Cell:
    known = {name: getattr(attempt.settings, name) for name in ("data", "upstream", "indices")}
    opened = {name: specs.get((name, value), value) for name, value in known.items()}
    budget = Budget.parse(attempt.budget)
    return Cell(
        attempt.cell, attempt.levels, attempt.settings, budget, attempt.seed, attempt.replica, **opened
    )


def compared(recorded: Attempt, now: Attempt, arm: str) -> Replayed:
    """Hold an attempt against another one of its cell; what the record does not hold is not compared."""
    return Replayed(
        recorded,
        arm,
        _unequal(_results(recorded), _results(now)),
        _unequal(_place(recorded), _place(now)) | _held_back(recorded.provenance),
        _unequal(recorded.provenance.code, now.provenance.code),
    )


def _unequal(then: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Pair]:
    return {
        name: (value, now.get(name))
        for name, value in then.items()
        if value is not None and value != now.get(name)
    }


def _held_back(place: Provenance) -> dict[str, Pair]:
    """What a processor with other instructions was kept from: it may give the same bits, and need not.

    Records of late name the most that their processor has, and it is compared like all of their place.
    """
    then, own = place.instructions, best_instructions()
    held = "processor" not in (place.flags or {}) and kept_to(then) and own != then
    return {"instructions": (then, f"{own} held to {then}")} if held else {}


def _results(attempt: Attempt) -> Json:
    """Everything of a record that must repeat."""
    values = attempt.measured.as_json() | attempt.spent.as_json() | {"status": attempt.status}
    values = {name: value for name, value in values.items() if not is_timing(name)}
    return values | {name: getattr(attempt.drawn, name) for name in ("subset", "init", "order")}


def _place(attempt: Attempt) -> Json:
    """Everything of its origin that may change a bit."""
    start = attempt.drawn.upstream
    return attempt.provenance.place | {"start": start.sha256 if start else None}


def _pairs(pairs: Mapping[str, Pair]) -> str:
    return ", ".join(f"{name} {_short(then)}, here {_short(now)}" for name, (then, now) in pairs.items())


def _difference(name: str, then: Any, now: Any) -> str:
    if all(type(value) in (int, float) for value in (then, now)):
        return f"{name} {then} recorded, {now} now ({now - then:+.3g})"
    return f"{name} {_short(then)} recorded, {_short(now)} now"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:12]}..."
