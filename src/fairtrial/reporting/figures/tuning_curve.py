"""What more trials buy: the best of k trials of each arm, sampled ones, and those of a grid over one rule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

import numpy as np
from matplotlib.axes import Axes

from fairtrial.reporting.figures.curves import name_ends, within
from fairtrial.reporting.figures.figure_layout import Figures, side_by_side
from fairtrial.reporting.figures.style import INK, QUIET, Look, looks
from fairtrial.reporting.report_item import NIGHTLY, STUDY, Cells, RegistryRow, ReportItem
from fairtrial.reporting.results.load import Results
from fairtrial.reporting.results.rule_gains import RuleGain, halved, rule_gains, rule_of
from fairtrial.reporting.verdicts.study_verdicts import StudyVerdicts
from fairtrial.reporting.wording import SCALES, clean, plural
from fairtrial.rng import ROOT
from fairtrial.stats import expected_best
from fairtrial.study import factors
from fairtrial.study.study import regime_of
from fairtrial.study.tuning_plan import Tuning

_SCALE: Final = SCALES["val_acc"]
_MOST_NAMED: Final = 8  # arms; more of them are grey lines: their names would stand far from their ends
_LONG: Final = (20, 36)  # letters of a name: beyond them over the whole width, or not named at all
_SCORES: Final = {"val_loss": "validation loss", "val_acc": "validation accuracy"}


@dataclass(frozen=True, eq=False)
class Best:
    """The best of k = 1..K trials of one arm: of each search, and their mean with its band."""

    arm: str
    look: Look
    studies: tuple[np.ndarray, ...]
    mean: np.ndarray
    low: np.ndarray  # infinite where there is no band
    high: np.ndarray


def curves(results: Results) -> list[Best]:
    """Return a curve per arm of a sampled space; random trials in every order, those of TPE in their own."""
    stage, tuning, arms = results.tuning, results.study.tuning, results.study.arms()
    if stage is None or tuning is None or tuning.sampler == "grid" or not stage.complete:
        return []
    found = []
    for levels, look in zip(arms, looks(arms), strict=True):
        runs = [stage.trials[index, regime_of(levels)] for index in range(tuning.studies)]
        values = [[fmean(trial.accuracies) for trial in trials] for trials in runs]
        found.append(_best(factors.label(levels), look, values, tuning.sampler))
    return found


def _best(arm: str, look: Look, studies: list[list[float]], sampler: str) -> Best:
    if sampler == "random":
        mean = expected_best(studies, rng=ROOT)
        each = tuple(expected_best([values]).estimate for values in studies)
        return Best(arm, look, each, mean.estimate, mean.low, mean.high)
    each = tuple(np.maximum.accumulate(values) for values in studies)
    nowhere = np.full(len(each[0]), math.inf)
    return Best(arm, look, each, np.mean(each, axis=0), -nowhere, nowhere)


def best_of_k(verdicts: StudyVerdicts) -> Figures:
    """Draw a line per arm over the number of sampled trials, a thin one per search."""
    found, tuning = curves(verdicts.results), verdicts.results.study.tuning
    if not found or tuning is None:
        return
    figure, (ax,) = side_by_side(1, 2.6)
    for best in found:
        _line(best, ax)
    ax.set_xlim(1, max(len(found[0].mean), 2))
    ax.set_xlabel("trials k of a search")
    ax.set_ylabel(f"best of k: {_SCALE.axis}")
    within(_SCALE, ax)
    name_ends([(clean(best.arm), best.mean[-1] * _SCALE.factor, best.look) for best in found], ax)
    caption = _caption(tuning, banded=any(np.isfinite(best.low).any() for best in found))
    yield "best-of-k", caption, figure


def _line(best: Best, ax: Axes) -> None:
    k, factor = np.arange(1, len(best.mean) + 1), _SCALE.factor
    banded = np.isfinite(best.low)
    ax.fill_between(
        k[banded], best.low[banded] * factor, best.high[banded] * factor,
        color=best.look.color, alpha=0.18, linewidth=0,
    )  # fmt: skip
    for values in best.studies:
        ax.plot(k, values * factor, color=best.look.color, linewidth=0.5, alpha=0.6)
    ax.plot(k, best.mean * factor, color=best.look.color, linestyle=best.look.dash, linewidth=1.4, zorder=3)


def _caption(tuning: Tuning, *, banded: bool) -> str:
    if tuning.sampler == "random":
        what = "Expected best of k random trials on validation images (unbiased, over all their orders)"
    else:
        what = "Running best on validation images of trials that TPE proposed, in their order"
    band = (
        "band: 95 % percentile, trials resampled within each search, for k up to half of them"
        if banded
        else "no band"
    )
    return (
        f"{what}. Thick: mean over {tuning.studies} searches; thin: each of them; {band}. "
        "A trial that diverged counts as chance. The value of the winner is chosen among k and reads "
        "too high; what is reported comes from fresh seeds on test images."
    )


def against_rule(verdicts: StudyVerdicts) -> Figures:
    """Draw what the best of k tried rates gains over one rate for all arms, a thin line per arm."""
    results, tuning = verdicts.results, verdicts.results.study.tuning
    found = rule_gains(results)
    if not found or tuning is None:
        return
    longest = max(len(each.curve.label) for each in found)
    named = len(found) <= _MOST_NAMED and longest <= _LONG[1]
    figure, (ax,) = side_by_side(1, 2.6, wide=named and longest > _LONG[0])
    k = np.arange(1, len(found[0].gain) + 1)
    ax.axhline(0, color=INK, linewidth=0.8, zorder=1.5)
    ends = []
    for each, look in zip(found, looks([each.curve.look for each in found]), strict=True):
        how = {"color": look.color, "linestyle": look.dash} if named else {"color": QUIET, "alpha": 0.4}
        ax.plot(k, each.gain * _SCALE.factor, linewidth=0.7, **how)
        ends.append((each.curve.label, float(each.gain[-1]) * _SCALE.factor, look))
    ax.plot(k, _mean(found) * _SCALE.factor, color=INK, linewidth=1.8, zorder=3)
    ax.set_xlim(1, len(k))
    ax.set_xticks(k)
    ax.set_xlabel("rates k tried for an arm")
    ax.set_ylabel(f"points gained over the rule, lr {rule_of(results):g}")
    name_ends(ends if named else [], ax)
    yield "rule-against-tuned", _rule_caption(results, tuning, found), figure


def _mean(found: Sequence[RuleGain]) -> np.ndarray:
    return np.mean([each.gain for each in found], axis=0)


def _rule_caption(results: Results, tuning: Tuning, found: Sequence[RuleGain]) -> str:
    n, last = len(found[0].curve.accuracy), [float(each.gain[-1]) for each in found]
    share = f"half of the {n} tuning seeds" if halved(n) else f"{n - 1} of {n} tuning seeds"
    mean, least, most = (_SCALE.show(value) for value in (_mean(found)[-1], min(last), max(last)))
    images, rates = found[0].curve.val_n, len(found[0].gain)
    searches = "1 search" if tuning.studies == 1 else f"{tuning.studies} searches"
    return (
        f"Accuracy on {images} validation images that the best of k rates gains over the rule, "
        f"lr {rule_of(results):g} in {plural(len(found), 'arm')}: "
        f"chosen by {_SCORES[tuning.score]} on {share}, scored on the rest, "
        "the mean over all splits and subsets. Thin: arms; thick: their mean, no interval. "
        f"All {rates} rates: {mean} points, from {least} to {most}. "
        "Regret at k: the right end of a line minus its height at k; "
        f"k ends at {rates}, the rates that {searches} tried. "
        "Every order of trying them counts, so orders add no standard error. "
        "Arms share tuning seeds and images: they are no sample. "
        "Equal scores go to the smaller rate, and no other tie does. The study "
        "chooses on all seeds, with less noise. A diverged run counts as chance. "
        f"Each trial had {tuning.budget}. The rule is the study's fixed rate, at 64 images per update, which "
        "pilots may have chosen; it is not BiT's HyperRule."
    )


ROWS = (
    RegistryRow(STUDY, best_of_k, rank=90),
    RegistryRow(STUDY, against_rule, rank=91, items=(
        ReportItem(
            "F1.4", "One rate for all arms against tuned ones", ("Q1",), NIGHTLY,
            "what the best of k rates gains over one rate, on validation images of seeds that did not choose",
            "fairtrial tune transfer; on a network of BiT: fairtrial tune shots --preset bit --device cuda "
            "--set upstream=BiT-M-R50x1 --set recipe=own --set val_per_class=12 --space lr=0.01,0.03,0.1 "
            "--tuning-seeds 4",
            ("rule-against-tuned",), Cells(pretrained=True),
            "networks of BiT; BiT's HyperRule sets more than a rate and is no arm here",
        ),
    )),
)  # fmt: skip
