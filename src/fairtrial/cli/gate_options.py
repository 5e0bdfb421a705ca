"""What the command line asks of the gate, read and checked."""

from __future__ import annotations

import re
from argparse import Namespace
from typing import Final

from fairtrial.cli import options
from fairtrial.errors import fault
from fairtrial.regression.decision import Plan
from fairtrial.regression.gate import GateOptions, Outcome, gate, save
from fairtrial.study.limits import MIN_UNITS

SAVED: Final = 10  # launches of a baseline
_MODES: Final = ("stored", "baseline", "save_baseline", "aa", "plant", "base", "since")
_TOGETHER: Final = ({"stored", "baseline"}, {"aa", "plant"})  # any other two do not go together


def answer(given: Namespace) -> Outcome:
    """Do what was asked; a Fault names every option that makes no sense."""
    _check_modes(given)
    values = options.together(
        device=lambda: options.device(given.device),
        threads=lambda: options.count(given.threads, "--threads", options.MOST_SIDE_BY_SIDE),
        since=lambda: None if given.since is None else options.seconds(given.since, "--since"),
        rounds=lambda: _count(given.rounds, "--rounds", 4),
        launches=lambda: _count(given.launches, "--launches", MIN_UNITS),
        tolerance=lambda: _percent(given.tolerance, "--tolerance"),
        plant=lambda: _percent(given.plant, "--plant"),
    )
    if "," in values["device"]:
        raise fault("the gate measures on one GPU", "--device", "name one, such as cuda:0")
    looks = _looks(values["launches"])
    tolerance = None if values["tolerance"] is None else values["tolerance"] / 100
    wanted = GateOptions(
        given.results, given.base, values["since"], given.aa, values["plant"] or 0.0, given.stored,
        given.baseline, given.other_device, tolerance, values["device"], values["threads"], values["rounds"],
        looks, given.record,
    )  # fmt: skip
    return save(wanted, values["launches"] or SAVED) if given.save_baseline else gate(wanted)


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
