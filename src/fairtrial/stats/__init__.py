"""Intervals, tests, planning and verdicts: functions of arrays that return small frozen records.

Every name is loaded when it is first used, so `from fairtrial.stats import power` stays free of scipy.
"""

# ruff: noqa: F401  (the imports below are for type checkers)
from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairtrial.stats.binomial import clopper_pearson, median_interval, wilson
    from fairtrial.stats.bootstrap import bootstrap_interval
    from fairtrial.stats.coalitions import shapley
    from fairtrial.stats.components import nested_components, variance_components
    from fairtrial.stats.contrasts import interaction_interval, ratio_interval, welch_interval
    from fairtrial.stats.curves import simultaneous_band
    from fairtrial.stats.discordance import mcnemar_p
    from fairtrial.stats.effect_size import hedges_g
    from fairtrial.stats.equivalence import tost
    from fairtrial.stats.exact import permutation_p, sign_flip_p
    from fairtrial.stats.factorial import blocked_anova
    from fairtrial.stats.improvement import probability_of_improvement
    from fairtrial.stats.interquartile import iqm_interval
    from fairtrial.stats.means import mean_interval, paired_interval
    from fairtrial.stats.multiplicity import benjamini_hochberg, holm, holm_levels
    from fairtrial.stats.pilot import more_seeds
    from fairtrial.stats.row_intervals import (
        clopper_pearson_intervals,
        interaction_intervals,
        mean_intervals,
        median_intervals,
        paired_intervals,
        ratio_intervals,
        welch_intervals,
        wilson_intervals,
    )
    from fairtrial.stats.row_tests import (
        confidence_sequences,
        holms,
        sign_flip_ps,
        simultaneous_bands,
        tosts,
    )
    from fairtrial.stats.sample_size import minimal_detectable_effect, power, seeds_needed
    from fairtrial.stats.sequential import confidence_sequence
    from fairtrial.stats.speed import time_to_target
    from fairtrial.stats.spread import sd_interval
    from fairtrial.stats.stepdown import westfall_young
    from fairtrial.stats.trials import expected_best, expected_best_over
    from fairtrial.stats.verdicts import verdict

# No file is called like a function in it: importing the file would put a module where the function stood.
_FILES = {
    "mean_interval": "means",
    "paired_interval": "means",
    "welch_interval": "contrasts",
    "ratio_interval": "contrasts",
    "interaction_interval": "contrasts",
    "median_interval": "binomial",
    "bootstrap_interval": "bootstrap",
    "iqm_interval": "interquartile",
    "wilson": "binomial",
    "clopper_pearson": "binomial",
    "sd_interval": "spread",
    "simultaneous_band": "curves",
    "sign_flip_p": "exact",
    "permutation_p": "exact",
    "holm": "multiplicity",
    "holm_levels": "multiplicity",
    "benjamini_hochberg": "multiplicity",
    "westfall_young": "stepdown",
    "tost": "equivalence",
    "probability_of_improvement": "improvement",
    "hedges_g": "effect_size",
    "power": "sample_size",
    "seeds_needed": "sample_size",
    "minimal_detectable_effect": "sample_size",
    "more_seeds": "pilot",
    "confidence_sequence": "sequential",
    "verdict": "verdicts",
    "expected_best": "trials",
    "expected_best_over": "trials",
    "time_to_target": "speed",
    "mean_intervals": "row_intervals",
    "paired_intervals": "row_intervals",
    "welch_intervals": "row_intervals",
    "ratio_intervals": "row_intervals",
    "interaction_intervals": "row_intervals",
    "median_intervals": "row_intervals",
    "wilson_intervals": "row_intervals",
    "clopper_pearson_intervals": "row_intervals",
    "tosts": "row_tests",
    "holms": "row_tests",
    "sign_flip_ps": "row_tests",
    "confidence_sequences": "row_tests",
    "simultaneous_bands": "row_tests",
    "variance_components": "components",
    "nested_components": "components",
    "blocked_anova": "factorial",
    "shapley": "coalitions",
    "mcnemar_p": "discordance",
}

__all__ = list(_FILES)


def __getattr__(name: str) -> Any:
    if name not in _FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; known: {', '.join(_FILES)}")
    return getattr(import_module(f"{__name__}.{_FILES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
