"""What the command line changes of a study, and how numbers in options are read."""

from __future__ import annotations

import importlib.util
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

from fairtrial.cli.changed_levels import following, networks
from fairtrial.errors import Fault, Problem, did_you_mean, fault
from fairtrial.execution.container import cores
from fairtrial.study import factors as table
from fairtrial.study.budget import Budget, quantity
from fairtrial.study.study import Study
from fairtrial.study.tuning_plan import Range, Tuning

MOST_TRIALS: Final = 1000
MOST_SIDE_BY_SIDE: Final = 1024  # threads, or jobs
_SEEDS: Final = "write a count (10), a list (0,3,7) or a span (5..9)"

Value = TypeVar("Value")


def apply(
    study: Study,
    *,
    preset: str | None = None,
    data: str | None = None,
    budget: str | None = None,
    seeds: str | None = None,
    stop: str | None = None,
    settings: Sequence[str] = (),
) -> Study:
    """The study with the options merged over it; a Fault names every option that gave a bad value."""
    problems: list[Problem] = []
    changes: dict[str, Any] = {}
    if preset is not None:
        study = _kept(problems, lambda: study.under(preset), study)
    if budget is not None:
        changes["budget"] = _kept(problems, lambda: _budget(budget), study.budget)
    if seeds is not None:
        changes["seeds"] = _kept(problems, lambda: parse_seeds(seeds), study.seeds)
    if stop is not None:
        changes["stop"] = stop
    chosen = dict(_settings(settings, [*study.factors, *study.fixed], problems))
    if data is not None:
        if "data" in chosen:
            problems.append(
                Problem("the data is given twice", "--data and --set data", "keep one of the two")
            )
        chosen["data"] = (data,)
    options = {name: f"--set {name}" for name in chosen} | ({} if data is None else {"data": "--data"})
    merged = _kept(problems, lambda: _merged(study, chosen, options, changes), study)
    if problems:
        raise Fault(problems)
    return merged


def tuning(study: Study, given: Any) -> Study:
    """The study with its tuning as the options change it; --fixed-lr leaves it out, under another name."""
    names = {"trials": "--trials", "tuning_seeds": "--tuning-seeds", "searches": "--searches"}
    numbers = {name: getattr(given, name, None) for name in names}
    space, sampler = getattr(given, "space", None), getattr(given, "sampler", None)
    changed = space or sampler or any(text is not None for text in numbers.values())
    fixed_lr = getattr(given, "fixed_lr", None)
    if fixed_lr is not None and changed:
        raise fault("one rule for all arms, and a tuning of each", "--fixed-lr", "keep one of the two")
    if fixed_lr is not None:
        return study.at_one_rule(None if fixed_lr == "declared" else positive(fixed_lr, "--fixed-lr"))
    if not changed:
        return study
    counted = {name: count(text, names[name], MOST_TRIALS) for name, text in numbers.items() if text}
    fields = {"trials": "trials", "tuning_seeds": "seeds", "searches": "studies"}
    changes: dict[str, Any] = {fields[name]: number for name, number in counted.items()}
    base = study.tuning
    names_kept = ("seeds", "share", "score", "paired_ties")
    kept = {} if base is None else {name: getattr(base, name) for name in names_kept}
    try:
        values = dict(map(_space, space)) if space else ({} if base is None else base.space)
        plan = Tuning(values, sampler=sampler or "", **{**kept, **changes})
    except ValueError as error:
        raise fault(str(error), "--space", "write lr=0.03,0.1,0.3 or lr=0.01:1:log") from None
    return replace(study, tuning=plan, presets={})


def _space(text: str) -> tuple[str, tuple[float, ...] | Range]:
    """(setting, its values) of one --space; ValueError where it cannot be read."""
    name, equals, values = text.partition("=")
    low, colon, rest = values.partition(":")
    if not equals:
        raise ValueError(f"--space {text!r} has no '='")
    if not colon:
        return name.strip(), tuple(float(value) for value in values.split(","))
    high, _, log = rest.partition(":")
    if log not in ("", "log"):
        raise ValueError(f"--space {text!r} ends in {log!r}, not in log")
    return name.strip(), Range(float(low), float(high), log=bool(log))


def together(**reads: Callable[[], Any]) -> dict[str, Any]:
    """What each of them gives; a Fault holds the problems of all of them."""
    problems: list[Problem] = []
    found = {name: _kept(problems, read, None) for name, read in reads.items()}
    if problems:
        raise Fault(problems)
    return found


def _kept(problems: list[Problem], read: Callable[[], Value], otherwise: Value) -> Value:
    """What `read` gives; the other value when it found problems, which are kept."""
    try:
        return read()
    except Fault as error:
        problems += error.problems
        return otherwise


def _merged(
    study: Study, chosen: dict[str, tuple], options: dict[str, str], changes: dict[str, Any]
) -> Study:
    """The study with other levels. options: factor -> the option that gave its levels."""
    locations = {**study.locations, **{name: f"--{name}" for name in changes}}
    swept, fixed = dict(study.factors), dict(study.fixed)
    for name, levels in chosen.items():
        locations |= {f"factors[{name!r}]": options[name], f"fixed[{name!r}]": options[name]}
        if name in swept or len(levels) > 1:
            fixed.pop(name, None)
            swept[name] = levels
        else:
            fixed[name] = levels[0]
    starts = chosen.get("upstream", ())
    if "model" not in chosen and "model" not in swept and len(found := networks(starts)) == 1:
        fixed["model"] = found.pop()
    # no preset over a preset
    changes |= {"factors": swept, "fixed": fixed, "presets": {}, "locations": locations}
    return replace(study, **changes, **following(study, swept, chosen))


def _settings(
    texts: Sequence[str], own: Iterable[str], problems: list[Problem]
) -> Iterator[tuple[str, tuple]]:
    """(factor, levels) of each --set that can be read. own: factors of the study's own training code."""
    known = dict.fromkeys([*table.FACTORS, *own])
    seen = set()
    for text in texts:
        name, equals, values = text.partition("=")
        name, parts = name.strip(), [part.strip() for part in values.split(",")]
        where, form = f"--set {text}", "write --set factor=level,level"
        if not equals:
            problems.append(Problem(f"--set {text!r} has no '='", where, form))
        elif name not in known:
            what = f"unknown factor {name!r}{did_you_mean(name, known)}"
            problems.append(Problem(what, where, f"known: {', '.join(known)}"))
        elif name in seen:
            problems.append(Problem(f"factor {name} is set twice", where, "give all its levels in one --set"))
        elif not all(parts):
            problems.append(Problem(f"--set {text!r} has an empty level", where, form))
        else:
            seen.add(name)
            yield name, tuple(table.row_of(name).kind.parse(part) for part in parts)


def parse_seeds(text: str) -> tuple[int, ...] | range:
    """'10' -> seeds 0..9; '0,3,7' -> those; '5..9' -> 5, 6, 7, 8, 9."""
    if re.fullmatch(r"-?[0-9]{1,20}", text):
        if int(text) < 1:
            raise fault(f"--seeds {text}: no seeds, nothing to run", "--seeds", _SEEDS)
        return range(int(text))
    if span := re.fullmatch(r"([0-9]{1,20})\.\.([0-9]{1,20})", text):
        return range(int(span[1]), int(span[2]) + 1)
    if re.fullmatch(r"-?[0-9]{1,20}( *, *-?[0-9]{1,20})+", text):
        return tuple(int(part) for part in text.split(","))
    raise fault(f"--seeds {text!r} is neither a count nor a list of whole numbers", "--seeds", _SEEDS)


def _budget(text: str) -> Budget:
    try:
        return Budget.parse(text)
    except ValueError as error:
        raise fault(
            str(error), f"--budget {text}", "write for example --budget 4000ex or --budget 60s"
        ) from None


def seconds(text: str, option: str) -> float:
    """'30m' -> 1800.0 for options that take a time; a Fault names the option."""
    do = f"write for example {option} 30m"
    try:
        kind, amount = quantity(text)
    except ValueError as error:
        raise fault(str(error), f"{option} {text}", do) from None
    if kind != "seconds" or not 0 < amount < math.inf:
        raise fault(f"{text!r} is not a time above 0", f"{option} {text}", do)
    return amount


def positive(text: str, option: str) -> float:
    """'2' -> 2.0 for options that take a number above 0; a Fault names the option."""
    if not (value := _number(text)) > 0:
        raise fault(f"{text!r} is not a number above 0", f"{option} {text}", f"write for example {option} 2")
    return value


def power(text: str) -> float:
    """'0.8' -> 0.8: the wanted chance to see an effect; a Fault outside .05..1."""
    value = _number(text)
    if not 0.05 < value < 1:
        what = f"{text!r} is not a power above 0.05 and below 1"
        raise fault(what, f"--power {text}", "write for example --power 0.8")
    return value


def _number(text: str) -> float:
    """A plain decimal; NaN for anything else."""
    return float(text) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?|\.[0-9]{1,9}", text) else math.nan


def count(text: str, option: str, most: int | None = None) -> int:
    """'2' -> 2 for options that take a whole number above 0; a Fault names the option."""
    if re.fullmatch(r"[0-9]{1,9}", text) and 1 <= int(text) <= (most or 10**9):
        return int(text)
    told = "above 0" if most is None else f"from 1 to {most}; this machine has {cores()} cores"
    raise fault(f"{option} {text} is not a whole number {told}", option, f"write for example {option} 2")


def part(text: str, option: str, whole: int) -> int:
    """'5' -> 5; '2%' -> so many of the whole, rounded up; a Fault names the option."""
    share = re.fullmatch(r"([0-9]{1,3}(?:\.[0-9]{1,4})?) ?%", text)
    if share is None:
        return count(text, option)
    if not 0 < float(share[1]) <= 100:
        raise fault(f"{option} {text} is not above 0 % and at most 100 %", option, f"write {option} 2%")
    return math.ceil(whole * float(share[1]) / 100)


def ray_address(address: str) -> str:
    """Return the address of a Ray cluster; a Fault says what to install where Ray is missing."""
    if importlib.util.find_spec("ray") is None:
        raise fault("Ray is not installed", "--ray", 'pip install "fairtrial[ray]"')
    return address


def device(name: str, *, here: bool = True) -> str:
    """'cpu', or GPUs as torch calls them, 'cuda:0,cuda:1'; a Fault says which there are.

    'cuda' is every GPU of this machine, with a worker each. here: False where others compute: then it is all
    of theirs.
    """
    if name == "cpu":
        return name
    if not here:
        if name != "cuda":
            raise fault(f"Ray places cells itself, not on {name!r}", "--device", "use cpu or cuda with --ray")
        return name
    if re.fullmatch(r"cuda|cuda:[0-9]{1,3}(,cuda:[0-9]{1,3})*", name) is None:
        near = did_you_mean(name, ("cpu", "cuda"))
        raise fault(f"unknown device {name!r}{near}", "--device", "use cpu, cuda, cuda:N or cuda:N,cuda:M")
    import torch

    there = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    asked = there if name == "cuda" else [f"cuda:{int(part[5:])}" for part in name.split(",")]
    missing = [part for part in asked if part not in there] or ([] if asked else [name])
    if missing:
        what = f"device {', '.join(missing)} is not there; this machine has {', '.join(there) or 'no GPU'}"
        raise fault(what, "--device", f"use --device {there[0] if there else 'cpu'}")
    if len(set(asked)) < len(asked):
        raise fault(f"--device {name} names a GPU twice", "--device", "name each once")
    return ",".join(asked)


def results_folder(folder: Path, option: str = "--results") -> Path:
    """Return a folder that is given; a Fault where a file lies in its place."""
    if folder.exists() and not folder.is_dir():
        raise fault(
            f"{str(folder)!r} is a file, not a folder", option, "give a folder, or a name that is free"
        )
    return folder
