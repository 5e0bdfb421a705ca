"""What is asked of the levels of an arm: their one spelling, their identity, their words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from itertools import product
from typing import Any, Final

from fairtrial.errors import shown
from fairtrial.study.identity import digest
from fairtrial.study.settings import FACTORS, Factor
from fairtrial.study.value_kinds import plain

ARM: Final = "arm"  # what tells the arms of a table apart that another tool made

# A factor of the user's own training code: whatever value it takes.
OWN: Final = Factor(plain(), None, "{}")


def row_of(name: str) -> Factor:
    """Return the row of a factor; of a name that is not in the table, that of the user's own factors."""
    return FACTORS.get(name, OWN)


def canon(name: str, value: Any) -> Any:
    """Return the one spelling of a setting's value; a ValueError says what is wrong with it."""
    try:
        return row_of(name).kind.canon(value)
    except ValueError as error:
        raise ValueError(f"{name}={shown(value)} {error}") from None


@lru_cache(maxsize=4096)
def setting_flaw(name: str, kind: str, value: Any) -> str | None:
    """Say what is wrong with a recorded value of this type; None when a study could declare it."""
    try:
        canon(name, value)
    except ValueError as error:
        return str(error)
    return None


def identity(name: str, value: Any) -> Any:
    """Return what a setting is in a cell's identity: its one spelling; a file counts by its name alone."""
    return row_of(name).identity(canon(name, value))


def identities(levels: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `identity` of every level."""
    return {name: identity(name, level) for name, level in levels.items()}


def combinations(
    factors: Mapping[str, Sequence[Any]], only: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return each combination of levels that has all levels of one of `only`; each, where that is empty.

    Levels are spelled once, and not in each combination: a study of co-varying factors has thousands.
    """
    kept = [identities(levels).items() for levels in only]
    spelled = [
        [(name, level, identity(name, level) if only else None) for level in levels]
        for name, levels in factors.items()
    ]
    found = []
    for corner in product(*spelled):
        same = {name: one for name, _, one in corner}
        if not only or any(same.items() >= each for each in kept):
            found.append({name: level for name, level, _ in corner})
    return found


def non_default(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that are not at their default: a factor that is added later changes no identity."""
    return {n: v for n, v in settings.items() if n not in FACTORS or v != FACTORS[n].default}


def recorded_digest(declaration: Any) -> str:
    """Return the digest of a declaration as old ones are spelled: a renamed factor changes none."""
    return digest(_renamed(declaration, _renamings()[0]))


def upgraded(recorded: Any) -> Any:
    """Return what was recorded before a factor was renamed, by its name and levels of today."""
    return _renamed(recorded, _renamings()[1])


Names = Mapping[Any, tuple[Any, Mapping[Any, Any]]]  # name -> (its other name, level -> its other spelling)


@cache
def _renamings() -> tuple[Names, Names]:
    """What tells names of today and of old records apart, in both directions."""
    rows = {name: row for name, row in FACTORS.items() if row.recorded}
    back = {
        row.recorded: (name, {old: new for new, old in row.spelled.items()}) for name, row in rows.items()
    }
    return {name: (row.recorded, row.spelled) for name, row in rows.items()}, back


def _renamed(value: Any, names: Names) -> Any:
    """A JSON value in which every key of `names` has another name, and its levels another spelling."""
    if isinstance(value, (list, tuple)):
        return [_renamed(each, names) for each in value]
    if not isinstance(value, Mapping):
        return value
    found = {}
    for key, inner in value.items():
        if key in names:
            key, spelled = names[key]
            several = isinstance(inner, (list, tuple))
            levels = [
                spelled.get(one, one) if isinstance(one, str) else one
                for one in (inner if several else [inner])
            ]
            found[key] = levels if several else levels[0]
        else:
            found[key] = _renamed(inner, names)
    return found


def label(levels: Mapping[str, Any]) -> str:
    """Return an arm in words: {'norm': 'gn', 'weight_std': True, 'batch_size': 4} -> 'gn+ws, batch 4'."""
    words = [name_of_norm(levels)] if {"norm", "weight_std"} & set(levels) else []
    words += [in_words(name, value) for name, value in levels.items() if name not in ("norm", "weight_std")]
    return ", ".join(words)


def in_words(name: str, value: Any) -> str:
    """Return one level in words; of a factor that is not ours its name and the value, of ARM the value."""
    if name in FACTORS:
        return FACTORS[name].in_words(value)
    return str(value) if name == ARM else f"{spaced(name)} {value}"


def spaced(name: str) -> str:
    """Return a name of the code as a reader sees it: 'batch size', 'different but negligible'."""
    return name.replace("_", " ")


def name_of_norm(levels: Mapping[str, Any]) -> str:
    """Return 'bn', 'gn+ws', 'ws' or 'no ws': the part of an arm's name that norm and weight_std give."""
    if "norm" not in levels:
        return {True: "ws", "scaled": "sws"}.get(levels["weight_std"], "no ws")
    return levels["norm"] + {True: "+ws", "scaled": "+sws"}.get(levels.get("weight_std", False), "")


def without_defaults(declaration: dict[str, Any]) -> dict[str, Any]:
    """Return a declaration without settings at their default: a later factor declares nothing anew."""
    return {**declaration, "fixed": non_default(declaration["fixed"])}
