"""What more trials buy: the best of k trials of each arm, as a curve and as rows of a table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean
from typing import Final

import numpy as np
from matplotlib.axes import Axes

from fairtrial.reporting.figures.curves import name_ends, within
from fairtrial.reporting.figures.figure_layout import Figures, side_by_side
from fairtrial.reporting.figures.style import Look, looks
from fairtrial.reporting.report_item import STUDY, RegistryRow
from fairtrial.reporting.results.load import Results
from fairtrial.reporting.verdicts.study_verdicts import StudyVerdicts
from fairtrial.reporting.wording import SCALES, clean
from fairtrial.rng import ROOT
from fairtrial.stats import expected_best
from fairtrial.study import factors
from fairtrial.study.study import regime_of
from fairtrial.study.tuning_plan import Tuning

_SCALE: Final = SCALES["val_acc"]


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


ROWS = (RegistryRow(STUDY, best_of_k, rank=90),)
