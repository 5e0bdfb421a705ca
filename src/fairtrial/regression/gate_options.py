"""What the command line asks of the gate, read and checked."""

from __future__ import annotations

import re
from argparse import Namespace
from typing import Final

from fairtrial.cli import options
from fairtrial.errors import fault
from fairtrial.regression import proof, simulate
from fairtrial.regression.decision import Plan
from fairtrial.regression.gate import PAIRED, Asked, Outcome, gate, save

SAVED: Final = 10  # launches of a baseline
NOISE: Final = 1.4  # percent; standard deviation of launches that was measured on a busy virtual machine
SLOWER: Final = 5.0  # percent; what a proof plants
_MODES: Final = ("stored", "baseline", "save_baseline", "aa", "plant", "simulate", "prove", "base", "since")
_TOGETHER: Final = (  # what goes together; any other two do not
    {"stored", "baseline"}, {"aa", "plant"}, {"simulate", "plant"}, {"prove", "plant"},
)  # fmt: skip


def answer(given: Namespace) -> Outcome:
    """Do what was asked; a Fault names every option that makes no sense."""
    _check_modes(given)
    found = options.together(
        device=lambda: options.device(given.device),
        threads=lambda: options.count(given.threads, "--threads", options.MOST_SIDE_BY_SIDE),
        since=lambda: None if given.since is None else options.seconds(given.since, "--since"),
        rounds=lambda: _count(given.rounds, "--rounds", 4),
        launches=lambda: _count(given.launches, "--launches", 3),
        tolerance=lambda: _percent(given.tolerance, "--tolerance"),
        plant=lambda: _percent(given.plant, "--plant"),
        noise=lambda: _percent(given.noise, "--noise"),
        gates=lambda: _count(given.simulate, "--simulate", 1),
        proof=lambda: [_count(text, "--prove", 0) for text in given.prove or ()],
    )
    if "," in found["device"]:
        raise fault("the gate measures on one GPU", "--device", "name one, such as cuda:0")
    looks = _looks(found["launches"])
    tolerance, plant = (None if found[name] is None else found[name] / 100 for name in ("tolerance", "plant"))
    if found["gates"]:
        plan = Plan(PAIRED if tolerance is None else tolerance, looks=looks)
        noise = (found["noise"] or NOISE) / 100
        rows = simulate.table(plan, SLOWER / 100 if plant is None else plant, found["gates"], noise)
        shown = {"noise": noise, "plan": vars(plan), "rates": simulate.plain(rows)}
        return Outcome(shown, list(simulate.lines(rows, plan, noise)), 0)
    asked = Asked(
        given.results, given.base, found["since"], given.aa, found["plant"] or 0.0, given.stored,
        given.baseline, given.other_device, tolerance, found["device"], found["threads"], found["rounds"],
        looks, given.record,
    )  # fmt: skip
    if given.prove:
        return proof.prove(asked, *found["proof"])
    return save(asked, found["launches"] or SAVED) if given.save_baseline else gate(asked)


def _check_modes(given: Namespace) -> None:
    asked = {name for name in _MODES if getattr(given, name)}
    if len(asked) > 1 and asked not in _TOGETHER:
        names = " and ".join(f"--{name.replace('_', '-')}" for name in _MODES if name in asked)
        raise fault(f"{names} do not go together", "the command line of fairtrial gate", "keep one of them")


def _looks(launches: int | None) -> tuple[int, ...]:
    """The looks of the plan up to so many launches, the last at just that many."""
    usual = Plan().looks
    return usual if launches is None else (*(look for look in usual if look < launches), launches)


def _count(text: str | None, option: str, least: int) -> int | None:
    if text is None:
        return None
    if least == 0 and text == "0":
        return 0
    number = options.count(text, option)
    if number < least:
        raise fault(f"{option} {text} is too few", option, f"give at least {least}")
    return number


def _percent(text: str | None, option: str) -> float | None:
    if text is None:
        return None
    if re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,6})?", text) is None or float(text) <= 0:
        raise fault(f"{option} {text} is not a percentage above 0", option, f"write for example {option} 5")
    return float(text)
