"""How the arms of a contrast got their learning rates: by tuning, or by one rule for all."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence, Set
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Final

from fairtrial.reporting.results.load import Results
from fairtrial.reporting.wording import clean, listed
from fairtrial.study import factors
from fairtrial.study.contrast import corners
from fairtrial.study.study import Contrast, Regime, Study
from fairtrial.study.tuning_plan import Choice, at_edge

if TYPE_CHECKING:
    from fairtrial.tuning.selection import Trial

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
    words = [f"each at its tuned {listed([_without_underscores(name) for name in tuned])}"] if tuned else []
    differ = {name for name, level in contrast.treatment.items() if contrast.control[name] != level}
    if not {"lr"} & {*tuned, *study.factors} and differ - COMPUTED:
        words.append("at one learning-rate rule")
    return ", ".join(words)


def open_choices(results: Results, contrast: Contrast, margin: float) -> Iterator[str]:
    """Yield what leaves open whether the arms of a contrast were run at their best settings."""
    yield from at_the_edge(results, contrast)
    yield from in_doubt(results, contrast)
    yield from less_accurate(results, contrast, margin)


def at_the_edge(results: Results, contrast: Contrast) -> Iterator[str]:
    """Yield 'lr of gn+ws, batch 4 chosen at the edge of its range'; a grid counts as widened."""
    study, stage = results.study, results.tuning
    if study.tuning is None or stage is None:
        return
    for name, declared in study.tuning.space.items():
        ends = stage.grid or declared
        at = {arm for (_, arm), choice in stage.choices.items() if at_edge(choice.params[name], ends)}
        if who := _named(results, contrast, at):
            yield f"{_without_underscores(name)} of {who} chosen at the edge of its range"


def in_doubt(results: Results, contrast: Contrast) -> Iterator[str]:
    """Yield 'lr of bn in doubt: half or more of resampled tuning seeds choose another' (STATISTICS 17.1)."""
    study, stage = results.study, results.tuning
    if study.tuning is None or stage is None:
        return
    unsure = {arm for (_, arm), choice in stage.choices.items() if choice.stability <= _FIRM}
    if who := _named(results, contrast, unsure):
        name = listed([_without_underscores(name) for name in study.tuning.names])
        yield f"{name} of {who} in doubt: half or more of resampled tuning seeds choose another"


def less_accurate(results: Results, contrast: Contrast, margin: float) -> Iterator[str]:
    """Yield 'lr of gn, 5-shot chosen at 0.03, but validation accuracy is 7.8 points higher at 0.3'.

    By more than the margin, and by two standard errors of the paired tuning seeds: another score or a tie
    has chosen. Several arms of a contrast are counted; of several searches the worst one is told.
    """
    study, stage = results.study, results.tuning
    if study.tuning is None or stage is None or contrast.metric != "test_acc":
        return
    arms = _arms(results, contrast)
    found: dict[Regime, tuple[float, str, str]] = {}
    for (search, arm), choice in stage.choices.items():
        best = _most_accurate(stage.trials[search, arm], choice, margin) if arm in arms else None
        if best and best > found.get(arm, (0.0, "", "")):
            found[arm] = best
    name = listed([_without_underscores(name) for name in study.tuning.names])
    if len(found) < _NAMED:
        for arm, (gain, here, there) in found.items():
            higher = f"validation accuracy is {100 * gain:.1f} points higher at {there}"
            yield f"{name} of {arms[arm]} chosen at {here}, but {higher}"
    else:
        gains = [gain for gain, _, _ in found.values()]
        higher = f"{100 * min(gains):.1f} to {100 * max(gains):.1f} points higher at another"
        yield f"{name} of {len(found)} arms chosen where validation accuracy is {higher}"


def _most_accurate(trials: Sequence[Trial], choice: Choice, margin: float) -> tuple[float, str, str] | None:
    """How far the best validation accuracy is above the chosen trial's; what that trial has, and the best."""
    chosen = next(trial for trial in trials if trial.params == choice.params)
    best = max(trials, key=lambda trial: fmean(trial.accuracies))
    gains = [theirs - ours for theirs, ours in zip(best.accuracies, chosen.accuracies, strict=True)]
    gain = fmean(gains)
    if len(gains) < 2 or gain <= max(margin + 1e-9, 2 * stdev(gains) / math.sqrt(len(gains))):
        return None
    here, there = (listed([f"{value:g}" for value in each.params.values()]) for each in (chosen, best))
    return gain, here, there


def _named(results: Results, contrast: Contrast, regimes: Set[Regime]) -> str:
    """Name the arms of a contrast that are among these, or their number where they are many."""
    named = [name for arm, name in _arms(results, contrast).items() if arm in regimes]
    return listed(named) if len(named) <= _NAMED else f"{len(named)} arms"


def _arms(results: Results, contrast: Contrast) -> dict[Regime, str]:
    """The arms of a contrast, and their names."""
    return {
        regime: clean(factors.label(levels))
        for corner in corners(contrast)
        for levels, regime in results.regimes
        if corner.items() <= levels.items()
    }


def _without_underscores(name: str) -> str:
    return name.replace("_", " ")
