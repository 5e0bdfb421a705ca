"""What the command line changes of a study: preset, data, budget, seeds, levels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fairtrial import factors as table
from fairtrial.budget import Budget, quantity
from fairtrial.errors import Fault, did_you_mean, fault
from fairtrial.study import Study
from fairtrial.study_file import relocate


def apply(
    study: Study,
    *,
    preset: str | None = None,
    data: str | None = None,
    budget: str | None = None,
    seeds: str | None = None,
    settings: Sequence[str] = (),
) -> Study:
    """The study with the options merged over it; a Fault names the option that gave a bad value."""
    if preset is not None:
        study = study.under(preset)
    places: dict[str, str] = {}
    changes: dict[str, Any] = {}
    levels, fixed = dict(study.factors), dict(study.fixed)
    for name, values in _settings(settings).items():
        places |= {f"factors[{name!r}]": f"--set {name}", f"fixed[{name!r}]": f"--set {name}"}
        if name in levels or len(values) > 1:
            fixed.pop(name, None)
            levels[name] = values
        else:
            fixed[name] = values[0]
    if data is not None:
        fixed["data"] = data
        places["fixed['data']"] = "--data"
    if budget is not None:
        changes["budget"] = _budget(budget)
    if seeds is not None:
        changes["seeds"] = parse_seeds(seeds)
        places["seeds"] = "--seeds"
    try:
        return replace(study, factors=levels, fixed=fixed, **changes)
    except Fault as error:
        raise relocate(error, places) from None


def _settings(texts: Sequence[str]) -> dict[str, tuple]:
    found: dict[str, tuple] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        name = name.strip()
        where = f"--set {text}"
        if not equals:
            raise fault(f"--set {text!r} has no '='", where, "write --set factor=level,level")
        if name not in table.FACTORS:
            known = ", ".join(table.FACTORS)
            raise fault(f"unknown factor {name!r}{did_you_mean(name, table.FACTORS)}", where, f"known: {known}")
        if name in found:
            raise fault(f"factor {name} is set twice", where, "give all its levels in one --set")
        parts = [part.strip() for part in values.split(",")]
        if not all(parts):
            raise fault(f"--set {text!r} has an empty level", where, f"write --set {name}=level,level")
        found[name] = tuple(table.FACTORS[name].kind.parse(part) for part in parts)
    return found


def parse_seeds(text: str) -> tuple[int, ...] | range:
    """'10' -> seeds 0..9; '0,3,7' -> those; '5..9' -> 5, 6, 7, 8, 9."""
    do = "write a count (10), a list (0,3,7) or a span (5..9)"
    if re.fullmatch(r"-?\d+", text):
        if int(text) < 1:
            raise fault(f"--seeds {text}: no seeds, nothing to run", "--seeds", do)
        return range(int(text))
    if span := re.fullmatch(r"(\d+)\.\.(\d+)", text):
        return range(int(span[1]), int(span[2]) + 1)
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise fault(f"--seeds {text!r} is neither a count nor a list of whole numbers", "--seeds", do) from None


def _budget(text: str) -> Budget:
    try:
        return Budget.parse(text)
    except ValueError as error:
        raise fault(str(error), f"--budget {text}", "write for example --budget 4000ex or --budget 60s") from None


def seconds(text: str, option: str) -> float:
    """'30m' -> 1800.0 for options that take a time; a Fault names the option."""
    try:
        kind, amount = quantity(text)
    except ValueError as error:
        raise fault(str(error), f"{option} {text}", f"write for example {option} 30m") from None
    if kind != "seconds" or not amount > 0:
        raise fault(f"{text!r} is not a time above 0", f"{option} {text}", f"write for example {option} 30m")
    return amount
