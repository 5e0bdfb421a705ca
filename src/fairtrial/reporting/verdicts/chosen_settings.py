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
from fairtrial.study.study import Contrast, Regime, Study, regime_of
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


def other_score(results: Results, contrast: Contrast, margin: float) -> Iterator[str]:
    """Yield 'lr of gn, 5-shot chosen by loss: at 0.3 validation accuracy is 7.8 points higher'.

    Where loss chooses what accuracy will compare: by more than the margin, and by two standard errors of the
    paired tuning seeds. Several arms of a contrast are counted.
    """
    study, stage = results.study, results.tuning
    if (
        study.tuning is None
        or stage is None
        or study.tuning.score != "val_loss"
        or contrast.metric != "test_acc"
    ):
        return
    arms = _arms(results, contrast)
    found = [
        (arms[arm], *best)
        for (search, arm), choice in stage.choices.items()
        if arm in arms and (best := _most_accurate(stage.trials[search, arm], choice, margin))
    ]
    name = listed([_spaced(name) for name in study.tuning.names])
    for arm, at, gain in found if len(found) <= _NAMED - 1 else ():
        yield f"{name} of {arm} chosen by loss: at {at} validation accuracy is {100 * gain:.1f} points higher"
    if len(found) >= _NAMED:
        gains = [gain for _, _, gain in found]
        how = f"{100 * min(gains):.1f} to {100 * max(gains):.1f} points higher"
        yield f"{name} of {len(found)} arms chosen by loss: at another one validation accuracy is {how}"


def _most_accurate(trials: Sequence[Trial], choice: Choice, margin: float) -> tuple[str, float] | None:
    """What has the best validation accuracy, and by how much, where that is beyond doubt; else None."""
    chosen = next(trial for trial in trials if trial.params == choice.params)
    best = max(trials, key=lambda trial: fmean(trial.accuracies))
    gains = [theirs - ours for theirs, ours in zip(best.accuracies, chosen.accuracies, strict=True)]
    gain = fmean(gains)
    if len(gains) < 2 or gain <= max(margin, 2 * stdev(gains) / math.sqrt(len(gains))):
        return None
    return listed([f"{value:g}" for value in best.params.values()]), gain


def _named(results: Results, contrast: Contrast, regimes: Set[Regime]) -> str:
    """Name the arms of a contrast that are among these, or their number where they are many."""
    named = [name for arm, name in _arms(results, contrast).items() if arm in regimes]
    return listed(named) if len(named) <= _NAMED else f"{len(named)} arms"


def _arms(results: Results, contrast: Contrast) -> dict[Regime, str]:
    """The arms of a contrast, and their names."""
    names = list(results.study.factors)
    cells = [cell for levels in corners(contrast) for cell in results.where(levels)[names].values.tolist()]
    arms = [dict(zip(names, cell, strict=True)) for cell in cells]
    return {regime_of(levels): clean(factors.label(levels)) for levels in arms}


def _spaced(name: str) -> str:
    return name.replace("_", " ")
