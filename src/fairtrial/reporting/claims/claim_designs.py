"""Where a study holds the arms that a claim is about: the contrasts and arms that its design comes to."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any, Final

from fairtrial.reporting.claims.published_claims import Part, fits
from fairtrial.reporting.results.load import Results
from fairtrial.study.contrast import corners
from fairtrial.study.initial_checkpoint import FILE
from fairtrial.study.settings import ALL
from fairtrial.study.study import Contrast, Study

Levels = dict[str, Any]
ANY: Final = "any"
_SIDES: Final = ("treatment", "control", "at")


def contrasts(part: Part, results: Results) -> list[tuple[Contrast, bool]]:
    """Return the contrasts of a study that measure this part, each with whether it is declared.

    The declared ones where there are any; else the one at the largest of the levels left open, which is then
    exploratory. Empty where the study lacks an arm, or sweeps a factor that the part neither names nor
    averages over.
    """
    study = results.study
    if study.cell:  # the settings of a claim mean nothing to other training code
        return []
    if part.design.get("by") and ANY in part.design["by"].values():
        return [(contrast, True) for contrast in study.contrasts if _same_names(part, contrast)]
    standing = [contrast for contrast in _candidates(part, study) if _stands(part, results, contrast)]
    named = [(_declared(study, contrast), contrast) for contrast in standing]
    if any(own for own, _ in named):
        return [(own, True) for own, _ in named if own is not None]
    return [(standing[-1], False)] if standing else []


def arm(part: Part, results: Results) -> Levels | None:
    """Return the levels of the arm that a part is about; None where the study has no such arm."""
    study, wanted = results.study, part.design["arm"]
    if study.cell:
        return None
    fixed = study.settings({}).record()
    levels = {name: level for name, level in wanted.items() if name in study.factors}
    published = study.settings(levels).start.source == FILE
    for name, level in wanted.items():
        if name not in study.factors and fixed[name] != level and not published:
            return None
    several = part.measure == "rate"  # a rate counts runs, whatever else they differ in
    if not several and set(study.factors) - set(levels):
        return None
    there = len(results.where(levels)) and fits(part.arms, _settings(study, levels))
    return levels if there else None


def every_setting(study: Study, contrast: Contrast) -> list[Levels]:
    """Return the settings of each side of a contrast."""
    return [_settings(study, levels) for levels in corners(contrast)]


def _candidates(part: Part, study: Study) -> Iterator[Contrast]:
    """Yield every way to fill in the levels that a part leaves open, smallest first."""
    open_names = [(side, name) for side in _SIDES for name, wish in part.design[side].items() if _open(wish)]
    choices = [_choices(study, name, part.design[side][name]) for side, name in open_names]
    for picked in product(*choices):
        sides = {side: dict(part.design[side]) for side in _SIDES}
        for (side, name), level in zip(open_names, picked, strict=True):
            sides[side][name] = level
        fixed = {name for name in sides["at"] if name not in study.factors}
        if any(getattr(study.settings({}), name) != sides["at"][name] for name in fixed):
            continue
        sides["at"] = {name: level for name, level in sides["at"].items() if name not in fixed}
        by = {name: tuple(pair) for name, pair in part.design.get("by", {}).items()}
        yield Contrast(part.name, sides["treatment"], sides["control"], sides["at"], by).canonical()


def _open(wish: Any) -> bool:
    return isinstance(wish, Mapping)


def _choices(study: Study, name: str, wish: Mapping[str, Any]) -> list[Any]:
    """Return the levels of a factor, or its fixed value, that a wish leaves: one, or all for "declared"."""
    levels = study.factors.get(name) or (getattr(study.settings({}), name),)
    kept = [level for level in levels if wish.get("least", 0) <= _size(level) <= wish.get("most", math.inf)]
    kept.sort(key=_size)
    return kept if wish["pick"] == "declared" else kept[-1:] if wish["pick"] == "largest" else kept[:1]


def _size(level: Any) -> float:
    return math.inf if level == ALL else float(level) if isinstance(level, (int, float)) else math.nan


def _stands(part: Part, results: Results, contrast: Contrast) -> bool:
    """Say whether the study has every arm of a contrast, in the settings that the part asks for."""
    study, sides = results.study, corners(contrast)
    named = {*contrast.treatment, *contrast.at, *contrast.by}
    swept = named <= set(study.factors) and set(study.factors) - named <= set(part.averaged)
    return (
        swept
        and all(len(results.where(levels)) for levels in sides)
        and all(fits(part.arms, settings) for settings in every_setting(study, contrast))
    )


def _settings(study: Study, levels: Levels) -> Levels:
    settings = study.settings(levels)
    return {**settings.record(), "start": settings.start.source, "budget": study.budget.kind}


def _declared(study: Study, contrast: Contrast) -> Contrast | None:
    """Return the declared contrast with the same sides."""
    for each in study.contrasts:
        if each.metric == contrast.metric and corners(each) == corners(contrast):
            return each
    return None


def _same_names(part: Part, contrast: Contrast) -> bool:
    return set(contrast.treatment) == set(part.design["treatment"]) and set(contrast.by) == set(
        part.design["by"]
    )
