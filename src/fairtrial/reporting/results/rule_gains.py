"""What tuning gains over one rate for all arms: chosen on some tuning seeds, scored on the others."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np

from fairtrial.reporting.results.load import Results
from fairtrial.reporting.results.rate_curves import RateCurve, rate_curves
from fairtrial.stats import expected_choice

_LEAST: Final = 2  # tuning seeds: one to choose on, another one to score on
_MOST_HALVED: Final = 8  # tuning seeds with 70 halves; of more, each is left out in turn


@dataclass(frozen=True, eq=False)
class RuleGain:
    """One arm: gain[k - 1] is the validation accuracy that the best of k tried rates has over the rule."""

    curve: RateCurve
    gain: np.ndarray


def rule_of(results: Results) -> float | None:
    """Return the one rate that the study declares for all arms; None where they have several."""
    study = results.study
    if study.tuning is None or study.tuning.names != ("lr",):
        return None
    rates = {study.settings(levels).lr for levels in study.arms()}
    return rates.pop() if len(rates) == 1 else None


def rule_gains(results: Results) -> list[RuleGain]:
    """Return a gain per arm, in declared order; none without two tuning seeds, or with a rule off the grid.

    Each split of the tuning seeds chooses by the study's own score, without its rule for ties, and scores on
    the seeds that did not choose; the mean over splits, and over every subset of k of the tried rates.
    """
    rule = rule_of(results)
    return [
        RuleGain(curve, gain_over(rule, curve))
        for curve in rate_curves(results)
        if rule is not None and rule in curve.grid and len(curve.accuracy) >= _LEAST
    ]


def gain_over(rule: float, curve: RateCurve) -> np.ndarray:
    """Return (K,): what one arm gains over a rate of its grid, the mean over splits of its seeds."""
    scores = np.where(curve.diverged, math.inf, curve.loss)  # as the study chooses: never what diverged
    gains = []
    for choosing, scoring in splits(len(scores)):
        accuracy = curve.accuracy[scoring].mean(axis=0)
        over = accuracy - accuracy[curve.grid.index(rule)]
        gains.append(expected_choice(scores[choosing].mean(axis=0), over))
    return np.mean(gains, axis=0)


def halved(seeds: int) -> bool:
    """Say whether half of so many tuning seeds choose, and not all but one."""
    return seeds % 2 == 0 and seeds <= _MOST_HALVED


def splits(seeds: int) -> Iterator[tuple[list[int], list[int]]]:
    """Yield (those that choose, those that score): every half of an even number, else all but one."""
    for choosing in combinations(range(seeds), seeds // 2 if halved(seeds) else seeds - 1):
        yield list(choosing), [seed for seed in range(seeds) if seed not in choosing]
