"""How the arms of a contrast got their learning rates: by tuning, or by one rule for all."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence, Set
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Final, NamedTuple

from fairtrial.reporting.results.load import Results
from fairtrial.reporting.wording import clean, listed
from fairtrial.study import factors
from fairtrial.study.contrast import corners
from fairtrial.study.settings import Settings
from fairtrial.study.study import Contrast, Regime, Study
from fairtrial.study.tuning_plan import Choice, Params, at_edge

if TYPE_CHECKING:
    from fairtrial.tuning.selection import Trial

COMPUTED: Final = {"micro_batch", "precision", "layout", "kernels"}  # how an update is computed, not what
_NAMED: Final = 3  # arms of one stamp; above, their number
_EDGE: Final = "chosen at the edge of its range"
_DOUBT: Final = "in doubt: half or more of resampled tuning seeds choose another"
_TIE: Final = ", a tie: within two standard errors"
_FIRM: Final = 0.5  # share of resampled tuning seeds that choose the same, up to which a sentence says so


def how_chosen(study: Study, contrast: Contrast) -> str:
    """Return 'each at its tuned rate', 'at one learning-rate rule', or both where something else is tuned.

    Empty where the learning rate is a factor of its own, or where the two sides train alike.
    """
    tuned = () if study.tuning is None else study.tuning.names
    if tuned == ("lr",):
        return "each at its tuned rate"
    words = [f"each at its tuned {listed([factors.spaced(name) for name in tuned])}"] if tuned else []
    differ = {name for name, level in contrast.treatment.items() if contrast.control[name] != level}
    if not {"lr"} & {*tuned, *study.factors} and differ - COMPUTED:
        words.append("at one learning-rate rule")
    return ", ".join(words)


def extra_labels(results: Results) -> str:
    """Return 'rates were chosen on 500 labelled validation images at each of 4 tuning seeds, which ...'.

    Where an arm has fewer training images than these, so that its shots alone would say too little
    (STATISTICS 10); else empty.
    """
    study, stage = results.study, results.tuning
    arms = [study.settings(levels) for levels in study.arms()]
    if stage is None or study.tuning is None or not any(_fewer(arm) for arm in arms):
        return ""
    images = max((trial.val_n or 0 for trials in stage.trials.values() for trial in trials), default=0)
    chosen = "rates" if study.tuning.names == ("lr",) else "settings"
    seeds = study.tuning.seeds * study.tuning.studies
    where = f"at each of {seeds} tuning seeds" if seeds > 1 else "at 1 tuning seed"
    labels = f"{chosen} were chosen on {images} labelled validation images {where}"
    return f"{labels}, which the shots do not count" if images else ""


def open_choices(results: Results, contrast: Contrast, margin: float) -> Iterator[str]:
    """Yield what leaves open whether the arms of a contrast were run at their best settings."""
    yield from at_the_edge(results, contrast)
    yield from in_doubt(results, contrast)
    yield from less_accurate(results, contrast, margin)


def at_the_edge(results: Results, contrast: Contrast) -> Iterator[str]:
    """Yield 'lr of gn+ws, batch 4 chosen at the edge of its range'; a grid counts as widened."""
    for name, at in _at_edges(results).items():
        if who := _named(results, contrast, at):
            yield f"{name} of {who} {_EDGE}"


def in_doubt(results: Results, contrast: Contrast) -> Iterator[str]:
    """Yield 'lr of bn in doubt: half or more of resampled tuning seeds choose another' (STATISTICS 17.1)."""
    if who := _named(results, contrast, {arm for arm, choice in _choices(results) if _unsure(choice)}):
        yield f"{_names(results)} of {who} {_DOUBT}"


def less_accurate(results: Results, contrast: Contrast, margin: float) -> Iterator[str]:
    """Yield 'lr of gn, 5-shot chosen at 0.03, but validation accuracy is 7.8 points higher at 0.3'.

    By more than the margin: another score has chosen, or a tie, which is then said: one of at most two
    standard errors of the paired tuning seeds. An end of the grid is said too: it was widened for choices
    alone, so nothing shows that the best lies inside. Several arms of a contrast are counted; of several
    searches the worst one is told.
    """
    if contrast.metric != "test_acc":
        return
    arms = _arms(results, contrast)
    found = {arm: lost for arm in arms if (lost := _passed_over(results, arm, margin))}
    for tie in (False, True):
        those = {arm: lost for arm, lost in found.items() if lost.tie == tie}
        if len(those) < _NAMED:
            for arm, lost in those.items():
                yield f"{_names(results)} of {arms[arm]} chosen at {lost.here}, but {lost.words}"
        else:
            gains = [lost.gain for lost in those.values()]
            higher = f"{100 * min(gains):.1f} to {100 * max(gains):.1f} points higher at another"
            many = f"{_names(results)} of {len(those)} arms"
            at_end = sum(bool(lost.end) for lost in those.values())
            ends = f" (the first or last tried for {at_end})" if at_end else ""
            yield f"{many} chosen where validation accuracy is {higher}{ends}{_TIE * tie}"


def open_moves(results: Results, contrast: Contrast, margin: float) -> tuple[float, float]:
    """Return how far a contrast could go down and up at settings that `less_accurate` tells of, as fractions.

    As if arms of either side had gained what validation saw there: the mean over the arms of a side, and over
    searches, those without such a setting counted as 0.
    """
    if contrast.metric != "test_acc":
        return 0.0, 0.0
    weights: defaultdict[Regime, float] = defaultdict(float)
    for sign, corner in zip((1, -1, -1, 1), corners(contrast), strict=False):
        arms = [regime for levels, regime in results.regimes if corner.items() <= levels.items()]
        for arm in arms:
            weights[arm] += sign / len(arms)
    moves = [weight * _mean_gain(results, arm, margin) for arm, weight in weights.items()]
    return sum(min(0.0, move) for move in moves), sum(max(0.0, move) for move in moves)


def arm_stamps(results: Results, regime: Regime) -> Iterator[str]:
    """Yield what leaves open whether one arm was run at its best settings, of a contrast or not."""
    for name, at in _at_edges(results).items():
        if regime in at:
            yield f"{name} {_EDGE}"
    if any(arm == regime and _unsure(choice) for arm, choice in _choices(results)):
        yield f"{_names(results)} {_DOUBT.partition(':')[0]}"
    if lost := _passed_over(results, regime, results.study.margin):
        yield lost.words


def edge_words(results: Results) -> str:
    """Return ' Chosen at the edge of its range: lr of linear probe, 1-shot.' of every arm; or nothing."""
    told = []
    for name, at in _at_edges(results).items():
        if arms := [clean(factors.label(levels)) for levels, regime in results.regimes if regime in at]:
            who = "; ".join(arms) if len(arms) <= _NAMED else f"{len(arms)} arms"
            told.append(f" {_EDGE.capitalize()}: {name} of {who}.")
    return "".join(told)


def _fewer(arm: Settings) -> bool:
    """Whether an arm trains on fewer images of a class than validation has."""
    return isinstance(arm.shots, int) and arm.shots < arm.val_per_class


def _choices(results: Results) -> list[tuple[Regime, Choice]]:
    """What was chosen for each arm, once for each search; nothing where nothing was tuned."""
    stage = results.tuning
    return [] if stage is None else [(arm, choice) for (_, arm), choice in stage.choices.items()]


def _at_edges(results: Results) -> dict[str, set[Regime]]:
    """The arms whose choice lies at an end of what was tried, for each setting by its name."""
    study, stage = results.study, results.tuning
    if study.tuning is None or stage is None:
        return {}
    return {
        factors.spaced(name): {
            arm for arm, choice in _choices(results) if at_edge(choice.params[name], stage.grid or declared)
        }
        for name, declared in study.tuning.space.items()
    }


def _unsure(choice: Choice) -> bool:
    return choice.stability <= _FIRM


def _names(results: Results) -> str:
    """'lr'; the settings that were tuned."""
    tuning = results.study.tuning
    return listed([factors.spaced(name) for name in tuning.names]) if tuning else ""


class _PassedOver(NamedTuple):
    """The chosen value, and another one with so much more validation accuracy.

    tie: seeds cannot tell. end: ', the last rate tried' where the other one is an end of the grid.
    """

    gain: float
    here: str
    there: str
    tie: bool
    end: str

    @property
    def words(self) -> str:
        """'validation accuracy is 7.8 points higher at 0.3'."""
        higher = f"validation accuracy is {100 * self.gain:.1f} points higher at {self.there}{self.end}"
        return f"{higher}{_TIE * self.tie}"


def _passed_over(results: Results, arm: Regime, margin: float) -> _PassedOver | None:
    """The best value that was not chosen for an arm, where it is better by more than the margin.

    Of several searches the one that lost most, a sure loss before a tie.
    """
    lost = [each for each in _losses(results, arm, margin) if each]
    return max(lost, key=lambda each: (not each.tie, each), default=None)


def _mean_gain(results: Results, arm: Regime, margin: float) -> float:
    """The mean over searches of what an arm's validation accuracy is higher elsewhere."""
    return fmean([each.gain if each else 0.0 for each in _losses(results, arm, margin)] or [0.0])


def _losses(results: Results, arm: Regime, margin: float) -> list[_PassedOver | None]:
    """What each search passed over for an arm; empty where nothing was tuned."""
    stage = results.tuning
    if stage is None:
        return []
    return [
        _lost(stage.trials[key], choice, margin, stage.grid)
        for key, choice in stage.choices.items()
        if key[1] == arm
    ]


def _lost(
    trials: Sequence[Trial], choice: Choice, margin: float, grid: Sequence[float]
) -> _PassedOver | None:
    """How far the best validation accuracy is above the chosen trial's; what that trial has, and the best."""
    chosen = next(trial for trial in trials if trial.params == choice.params)
    best = max(trials, key=lambda trial: fmean(trial.accuracies))
    gains = [theirs - ours for theirs, ours in zip(best.accuracies, chosen.accuracies, strict=True)]
    gain = fmean(gains)
    if len(gains) < 2 or gain <= margin + 1e-9:
        return None
    here, there = (listed([f"{value:g}" for value in each.params.values()]) for each in (chosen, best))
    tie = gain <= 2 * stdev(gains) / math.sqrt(len(gains))
    return _PassedOver(gain, here, there, tie, _end(best.params, grid))


def _end(params: Params, grid: Sequence[float]) -> str:
    """Return ', the last rate tried' of an end of a grid; nothing where the space is sampled."""
    ends = {grid[0]: "first", grid[-1]: "last"} if grid else {}
    ((name, value), *_) = params.items()
    return f", the {ends[value]} {'rate' if name == 'lr' else 'value'} tried" if value in ends else ""


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
