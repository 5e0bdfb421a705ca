"""What a study must fulfil before it may run; every fault found at once.

Each Problem says where the value was written: a file and a line, or an option, as far as `Study.locations`
knows; the path into the Study, such as factors['norm'], otherwise.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import NoneType
from typing import TYPE_CHECKING, Any, Final

from fairtrial.errors import Fault, Problem, did_you_mean, shown
from fairtrial.rng import MAX_SEED
from fairtrial.study import arm_validation, contrast, stopping
from fairtrial.study import factors as table
from fairtrial.study.budget import Budget
from fairtrial.study.contrast import Contrast
from fairtrial.study.limits import MIN_UNITS, units
from fairtrial.study.presets import PRESETS
from fairtrial.study.settings import CELL, FACTORS, PLUGINS
from fairtrial.study.source_locations import at
from fairtrial.study.stopping import Stopping

if TYPE_CHECKING:
    from fairtrial.study.study import Study

MOST_CELLS: Final = 100_000
LISTS: Final = (tuple, list, range)  # a generator would be used up by the check
BY_PRESET: Final = (
    "factors", "fixed", "budget", "seeds", "primary", "secondary", "margin", "aa", "only", "stop", "tuning",
    "pilots",
)  # fmt: skip
NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,39}")
NAME_OF_FACTOR: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")  # of the user's own training code
RESERVED: Final = (CELL, PLUGINS, "arm", "seed", "replica", "status")
_TYPES: Final[dict[str, tuple[Any, str]]] = {
    "question": (str, "a text"),
    "factors": (Mapping, "a table such as {'norm': ('bn', 'gn')}"),
    "budget": (Budget, "a Budget such as Budget(examples=2000)"),
    "fixed": (Mapping, "a table such as {'lr': 0.3}"),
    "seeds": (LISTS, "range(10), or a tuple such as (0, 1, 2)"),
    "primary": (tuple, "a Contrast, or a tuple of them"),
    "secondary": (tuple, "a Contrast, or a tuple of them"),
    "aa": ((Mapping, NoneType), "one level of each swept factor, such as {'norm': 'gn'}"),
    "only": ((tuple, list), "a tuple of tables such as {'norm': 'gn', 'weight_std': True}"),
    "pilots": (str, "a text"),
    "presets": (Mapping, "a table such as {'mini': {'seeds': range(5)}}"),
    "stop": ((str, Stopping, NoneType), f"one of: {stopping.SAYS}"),
}


def problems(study: Study) -> Iterator[Problem]:
    """Everything that is wrong with a study; a check waits until what it reads is sound."""
    yield from _name_problems(study)
    types = list(_type_problems(study))
    yield from types
    if types:
        return
    if wrong := study.failures.problem():
        yield Problem(wrong, at(study.locations, "oom"), "leave it out, or declare oom='outcome'")
    settings = [*_setting_problems(study), *_seed_problems(study)]
    settings = settings or list(_only_problems(study))
    yield from settings
    if not settings:  # the rest reads levels that must exist
        yield from arm_validation.problems(study)
        yield from _side_problems(study)
        yield from _aa_problems(study)
        for declared in study.contrasts:
            yield from contrast.problems(declared, study)
        yield from _stop_problems(study)
        yield from _preset_problems(study)


def _name_problems(study: Study) -> Iterator[Problem]:
    if not isinstance(study.name, str) or not NAME.fullmatch(study.name):
        what = f"study name {shown(study.name)} is not allowed"
        do = "use a lower-case letter, then up to 39 lower-case letters, digits or hyphens"
        yield Problem(what, at(study.locations, "name"), do)


def _type_problems(study: Study) -> Iterator[Problem]:
    for name, (expected, says) in _TYPES.items():
        value = getattr(study, name)
        if not isinstance(value, expected):
            yield Problem(
                f"{name}={shown(value)} is {type(value).__name__}", at(study.locations, name), f"give {says}"
            )
        elif name in ("primary", "secondary") and not all(isinstance(one, Contrast) for one in value):
            yield Problem(
                f"{name}={shown(value)} holds no Contrast", at(study.locations, name), f"give {says}"
            )
    if not contrast.is_margin(study.margin):
        what = f"margin={shown(study.margin)} is not a number above 0"
        yield Problem(what, at(study.locations, "margin"), "write for example 0.01")
    if study.preset not in PRESETS:
        yield _unknown_preset(study.preset, at(study.locations, "preset"))


def _unknown_preset(name: Any, where: str) -> Problem:
    what = f"unknown preset {shown(name)}{did_you_mean(name, PRESETS)}"
    return Problem(what, where, f"choose one of: {', '.join(PRESETS)}")


def _setting_problems(study: Study) -> Iterator[Problem]:
    if not study.factors:
        yield Problem(
            "no factor is swept", at(study.locations, "factors"), "sweep at least one, e.g. norm=('bn', 'gn')"
        )
    if too_many := list(_count_problems(study)):
        yield from too_many
        return
    for name, levels in study.factors.items():
        where = at(study.locations, f"factors[{name!r}]")
        if name in study.fixed:
            yield Problem(f"{name} is both swept and fixed", where, f"take {name} out of fixed")
        if not isinstance(levels, LISTS):
            yield Problem(
                f"{name}={shown(levels)} is not a tuple of levels", where, f"write ({shown(levels)},)"
            )
        elif not levels:
            yield Problem(f"factor {name} has no levels", where, "give at least one level, or fix it")
        else:
            yield from _level_problems(name, levels, where, bool(study.cell))
    for name, value in study.fixed.items():
        where = at(study.locations, f"fixed[{name!r}]")
        yield from _level_problems(name, (value,), where, bool(study.cell))


def _count_problems(study: Study) -> Iterator[Problem]:
    arms = math.prod(_length(levels) for levels in study.factors.values() if isinstance(levels, LISTS))
    seeds = _length(study.seeds)  # type: ignore[arg-type]
    if max(arms, seeds, arms * seeds) > MOST_CELLS:
        what = f"{arms * seeds:,} cells ({arms:,} arms x {seeds:,} seeds); at most {MOST_CELLS:,} are allowed"
        yield Problem(what, at(study.locations, "factors", "seeds"), "sweep fewer levels or fewer seeds")


def _length(values: tuple | list | range) -> int:
    if isinstance(values, range):  # len() cannot tell above 2**63
        return max(0, -((values.start - values.stop) // values.step))
    return len(values)


def _level_problems(name: str, levels: tuple | list | range, where: str, own: bool) -> Iterator[Problem]:
    if name not in FACTORS and not (own and NAME_OF_FACTOR.fullmatch(str(name)) and name not in RESERVED):
        what = f"unknown factor {shown(name)}{did_you_mean(name, FACTORS)}"
        yield Problem(what, where, f"known: {', '.join(FACTORS)}")
        return
    seen: dict[Any, Any] = {}
    for level in levels:
        try:
            value = table.identity(name, level)
        except ValueError as error:
            yield Problem(str(error), where, f"give {name} as {table.row_of(name).kind.says}")
        except Fault as error:  # a data specification of no known form
            yield Problem(error.problems[0].what, where, error.problems[0].do)
        else:
            if value in seen:
                what = f"two levels of {name} are the same: {shown(seen[value])} and {shown(level)}"
                yield Problem(what, where, "give each level once")
            seen.setdefault(value, level)


def _seed_problems(study: Study) -> Iterator[Problem]:
    where, seeds = at(study.locations, "seeds"), study.seeds
    if _length(seeds) > MOST_CELLS:  # type: ignore[arg-type]
        return  # counted above
    bad = [s for s in seeds if isinstance(s, bool) or not isinstance(s, int) or not 0 <= s < MAX_SEED]
    if bad:
        what = f"not a whole number in 0..{MAX_SEED - 1}: seed {_few(bad)}"
        yield Problem(what, where, "use small whole numbers; 0 is a seed too")
    twice = [seed for seed, count in Counter(s for s in seeds if isinstance(s, int)).items() if count > 1]
    if twice:
        what = f"seed {_few(twice)} stands more than once; a copy would count as a new replicate"
        yield Problem(what, where, "give each seed once")
    if not seeds:
        yield Problem("no seeds: nothing to run", where, f"give at least {MIN_UNITS} seeds for an interval")
    elif len(seeds) == 1 and study.contrasts:
        what = "one seed (n = 1) gives no interval, but contrasts are declared"
        yield Problem(what, where, f"give at least {MIN_UNITS} seeds: --seeds {MIN_UNITS}")


def _few(values: list) -> str:
    more = f" and {len(values) - 5} more" if len(values) > 5 else ""
    return ", ".join(map(shown, values[:5])) + more


def _aa_problems(study: Study) -> Iterator[Problem]:
    if study.aa is None:
        return
    if set(study.aa) != set(study.factors):
        what = (
            f"the A/A arm names {', '.join(map(str, study.aa))}; the study sweeps {', '.join(study.factors)}"
        )
        yield Problem(what, at(study.locations, "aa"), "give aa one level of each swept factor")
    else:
        unknown = list(contrast.unswept(study.aa, study, "the A/A arm", "aa"))
        yield from unknown
        if study.only and not unknown and _kept(study, study.aa) == 0:
            what = "the A/A arm is one that only= leaves out"
            yield Problem(what, at(study.locations, "aa"), "give aa the levels of an arm that runs")


def _only_problems(study: Study) -> Iterator[Problem]:
    """Levels in `only` that are not swept."""
    where = at(study.locations, "only")
    for kept in study.only:
        if isinstance(kept, Mapping):
            yield from contrast.unswept(kept, study, "only", "only")
        else:
            yield Problem(f"only holds {shown(kept)}", where, "write tables such as {'norm': 'gn'}")


def _side_problems(study: Study) -> Iterator[Problem]:
    """Contrasts to whose sides `only` leaves no arms, or unlike numbers of them."""
    for declared in study.contrasts if study.only else ():
        if list(contrast.problems(declared, study)):
            continue  # told elsewhere
        counts = {_kept(study, corner) for corner in contrast.corners(declared)}
        if 0 in counts or len(counts) > 1:
            what = f"only= leaves {' and '.join(map(str, sorted(counts)))} arms to the sides of"
            what += f" contrast {shown(declared.name)}"
            do = "compare levels that leave equally many arms on each side"
            yield Problem(what, at(study.locations, f"contrast {shown(declared.name)}"), do)


def _kept(study: Study, levels: Mapping[str, Any]) -> int:
    """How many arms of a study have these levels, all of them swept."""
    asked = table.identities(levels).items()
    return sum(asked <= table.identities(arm).items() for arm in study.arms())


def _stop_problems(study: Study) -> Iterator[Problem]:
    """What keeps a stopping rule from being read: too few seeds, nothing to decide, units that are groups."""
    where, seeds = at(study.locations, "stop", "seeds"), len(study.seeds)
    try:
        rule = study.rule
    except ValueError as error:
        yield Problem(str(error), where, f"write one of: {stopping.SAYS}")
        return
    if rule is None:
        return
    if not study.contrasts:
        yield Problem("a stopping rule decides contrasts, and none is declared", where, "declare a contrast")
    least = MIN_UNITS if rule.sequence else rule.looks[-1]
    if seeds < least or (seeds > least and not rule.sequence):
        what = f"{rule.words}; the study has {seeds} seeds"
        yield Problem(what, where, f"give {_span(study, least)}, or other looks: looks:5,{max(6, seeds)}")
    if rule.sequence and units(study) < seeds:
        what = "a confidence sequence takes seeds one by one; n counts checkpoints or tunings here"
        yield Problem(what, where, "choose looks instead: looks:5,10")


def _span(study: Study, count: int) -> str:
    """'--seeds 10..29': as many seeds, from the study's first one on."""
    first = min(study.seeds)
    return f"--seeds {first}..{first + count - 1}"


def _preset_problems(study: Study) -> Iterator[Problem]:
    """What would go wrong under --preset, found before anybody asks for it."""
    for preset, values in study.presets.items():
        path = f"presets[{preset!r}]"
        where = at(study.locations, path)
        if preset not in PRESETS:
            yield _unknown_preset(preset, where)
        elif not isinstance(values, Mapping):
            what = f"{path}={shown(values)} is {type(values).__name__}, not a table"
            yield Problem(what, where, "write for example {'seeds': range(5)}")
        elif unknown := [str(name) for name in values if name not in BY_PRESET]:
            what = f"{path} changes {', '.join(unknown)}{did_you_mean(unknown[0], BY_PRESET)}"
            yield Problem(what, where, f"a preset may change: {', '.join(BY_PRESET)}")
        else:
            yield from _problems_under(study, preset, values, where)


def _problems_under(study: Study, preset: str, values: Mapping[str, Any], where: str) -> Iterator[Problem]:
    try:
        replace(study, **{**values, "preset": preset, "presets": {}, "locations": {}})
    except Fault as error:
        for problem in error.problems:
            yield replace(problem, where=f"{where}, {problem.where}")
