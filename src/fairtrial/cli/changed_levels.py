"""What follows where --set changes the levels of a study: its network, A/A arm and contrasts."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import product
from typing import Any

from fairtrial.errors import Fault
from fairtrial.screen import announce
from fairtrial.storage.store import Store
from fairtrial.storage.study_folders import is_study
from fairtrial.study import factors as table
from fairtrial.study import initial_checkpoint
from fairtrial.study.contrast import corners
from fairtrial.study.factors import without_defaults
from fairtrial.study.study import Study


def networks(starts: Sequence[Any]) -> set[str]:
    """The models of official files among the levels of `upstream`; what is wrong with one is told later."""
    found = set()
    for start in starts:
        with suppress(ValueError):
            found.add(initial_checkpoint.parse(str(start)).network)
    return {model for model in found if model is not None}


def following(study: Study, swept: Mapping[str, Sequence], chosen: Container[str]) -> dict[str, Any]:
    """What a study declares over its levels, where --set changed those of some factors.

    A contrast or row of `only` whose level is no longer run falls away, and so does a tuning of what is
    compared now. A contrast is read at the first level of a factor that is new. The A/A arm takes the first
    level of a factor that is new or lost its level; where `only` leaves that out, it is the first arm.
    """
    if not chosen:
        return {}
    known = {name: [_same(name, level) for level in swept[name]] for name in swept if name in chosen}

    def runs(levels: Mapping[str, Any]) -> bool:
        return all(_same(name, level) in known[name] for name, level in levels.items() if name in known)

    kept: dict[str, Any] = {
        family: tuple(each for each in getattr(study, family) if all(map(runs, corners(each))))
        for family in ("primary", "secondary")
    }
    added = {name: swept[name][0] for name in known if name not in study.factors}
    for family in ("primary", "secondary") if added else ():
        kept[family] = tuple(replace(each, at={**added, **each.at}) for each in kept[family])
    if study.tuning is not None and set(study.tuning.names) & swept.keys():
        kept["tuning"] = None
    kept["only"] = tuple(row for row in study.only if runs(row))
    if study.aa is not None:
        own = {name: study.aa[name] for name in study.aa if runs({name: study.aa[name]})}
        aa = {name: own.get(name, levels[0]) for name, levels in swept.items()}
        arms = (dict(zip(swept, levels, strict=True)) for levels in product(*swept.values()))
        rows = [row.items() for row in kept["only"]] or [{}.items()]
        kept["aa"] = next((arm for arm in (aa, *arms) if any(row <= arm.items() for row in rows)), aa)
    return kept


def fallen_away(declared: Study, merged: Study) -> Iterator[str]:
    """Say which contrasts are no longer read, and whether nothing is tuned any more."""
    left = {contrast.name for contrast in merged.contrasts}
    for contrast in declared.contrasts:
        if contrast.name not in left:
            yield f"contrast {contrast.name!r} falls away: --set runs a level of it no longer"
    if declared.contrasts and not left:
        yield "no contrast is left, so no verdict: declare one in a study of yours (fairtrial init NAME)"
    if declared.tuning is not None and merged.tuning is None:
        yield "the tuning falls away: --set compares what it would choose"


def _same(name: str, level: Any) -> Any:
    """The identity of a level; one that cannot be read stays as it is, and is told later."""
    try:
        return table.identity(name, level)
    except (ValueError, Fault):
        return level


def as_recorded(asked: Study, plain: Study, store: Store) -> Study:
    """Return a study as it was last run in a folder, where the options change nothing of the study's file.

    asked, plain: with the options, and without. What differs is said: no other study is spoken of in silence.
    """
    if asked.declaration() != plain.declaration() or not is_study(store.folder):
        return asked
    if store.declared_as(asked) is not None:
        return asked
    file, recorded = asked.declaration(), store.declared()["declaration"]
    tables = [without_defaults(one) for one in (file, recorded)]
    flat = [{**one, **one["fixed"], "fixed": None} for one in tables]
    names = [name for name in {**flat[0], **flat[1]} if flat[0].get(name) != flat[1].get(name)]
    announce(f"as it was last run in {store.folder}; not as in the study's file: {', '.join(names)}")
    return replace(Study.of(recorded), home=asked.home)
