"""How the arms of a contrast got their learning rates: by tuning, or by one rule for all."""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Final

from fairtrial.reporting.results.load import Results
from fairtrial.reporting.wording import clean, listed
from fairtrial.study import factors
from fairtrial.study.contrast import corners
from fairtrial.study.study import Contrast, Regime, Study, regime_of
from fairtrial.study.tuning_plan import at_edge

COMPUTED: Final = {"micro_batch", "precision", "layout", "kernels"}  # how an update is computed, not what
_NAMED: Final = 3  # arms of one stamp; above, their number
_FIRM: Final = 0.5  # share of resampled tuning seeds that choose the same, up to which a sentence says so


def how_chosen(study: Study, contrast: Contrast) -> str:
    """Return 'each at its tuned rate', 'at one learning-rate rule', or both where something else is tuned.

    Empty where the learning rate is a factor of its own, or where the two sides train alike.
    """
    tuned = () if study.tuning is None else study.tuning.names
    if tuned == ("lr",):
        return "each at its tuned rate"
    words = [f"each at its tuned {listed([_spaced(name) for name in tuned])}"] if tuned else []
    differ = {name for name, level in contrast.treatment.items() if contrast.control[name] != level}
    if not {"lr"} & {*tuned, *study.factors} and differ - COMPUTED:
        words.append("at one learning-rate rule")
    return ", ".join(words)


def at_the_edge(results: Results, contrast: Contrast) -> Iterator[str]:
    """Yield 'lr of gn+ws, batch 4 chosen at the edge of its range'; a grid counts as widened."""
    study, stage = results.study, results.tuning
    if study.tuning is None or stage is None:
        return
    for name, declared in study.tuning.space.items():
        ends = stage.grid or declared
        at = {arm for (_, arm), choice in stage.choices.items() if at_edge(choice.params[name], ends)}
        if who := _named(results, contrast, at):
            yield f"{_spaced(name)} of {who} chosen at the edge of its range"


def in_doubt(results: Results, contrast: Contrast) -> Iterator[str]:
    """Yield 'lr of bn in doubt: half or more of resampled tuning seeds choose another' (STATISTICS 17.1)."""
    study, stage = results.study, results.tuning
    if study.tuning is None or stage is None:
        return
    unsure = {arm for (_, arm), choice in stage.choices.items() if choice.stability <= _FIRM}
    if who := _named(results, contrast, unsure):
        name = listed([_spaced(name) for name in study.tuning.names])
        yield f"{name} of {who} in doubt: half or more of resampled tuning seeds choose another"


def _named(results: Results, contrast: Contrast, regimes: Set[Regime]) -> str:
    """Name the arms of a contrast that are among these, or their number where they are many."""
    names = list(results.study.factors)
    cells = [cell for levels in corners(contrast) for cell in results.where(levels)[names].values.tolist()]
    arms = {regime_of(arm): arm for arm in (dict(zip(names, cell, strict=True)) for cell in cells)}
    named = [clean(factors.label(levels)) for arm, levels in arms.items() if arm in regimes]
    return listed(named) if len(named) <= _NAMED else f"{len(named)} arms"


def _spaced(name: str) -> str:
    return name.replace("_", " ")
