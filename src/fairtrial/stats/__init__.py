"""Intervals, tests, planning and verdicts: functions of arrays that return small frozen records.

What a command, a report or a comparison reaches, and nothing else: it knows no file, figure, torch or study.
A name is loaded when it is first used, so `from fairtrial.stats import power` stays free of numpy and scipy.
"""

# ruff: noqa: F401  (the imports below are for type checkers)
from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fairtrial.stats.coalitions import shapley
    from fairtrial.stats.components import nested_components, variance_components
    from fairtrial.stats.contrasts import (
        hedges_g,
        interaction_interval,
        paired_interval,
        ratio_interval,
        welch_interval,
    )
    from fairtrial.stats.factorial import blocked_anova
    from fairtrial.stats.hypothesis_tests import holm, sign_flip_p, tost
    from fairtrial.stats.learning_curves import simultaneous_band
    from fairtrial.stats.robustness import plateau
    from fairtrial.stats.sample_size import (
        minimal_detectable_effect,
        more_seeds,
        more_to_exclude,
        power,
        seeds_needed,
    )
    from fairtrial.stats.samples import clopper_pearson, mean_interval, sd_interval, trimmed_interval
    from fairtrial.stats.sequential import confidence_sequence
    from fairtrial.stats.trials import expected_best, expected_choice
    from fairtrial.stats.verdicts import verdict

# No file is called like a function in it: importing the file would put a module where the function stood.
_FILES = {
    "mean_interval": "samples",
    "trimmed_interval": "samples",
    "sd_interval": "samples",
    "clopper_pearson": "samples",
    "paired_interval": "contrasts",
    "welch_interval": "contrasts",
    "ratio_interval": "contrasts",
    "interaction_interval": "contrasts",
    "hedges_g": "contrasts",
    "sign_flip_p": "hypothesis_tests",
    "tost": "hypothesis_tests",
    "holm": "hypothesis_tests",
    "power": "sample_size",
    "seeds_needed": "sample_size",
    "minimal_detectable_effect": "sample_size",
    "more_seeds": "sample_size",
    "more_to_exclude": "sample_size",
    "confidence_sequence": "sequential",
    "simultaneous_band": "learning_curves",
    "variance_components": "components",
    "nested_components": "components",
    "blocked_anova": "factorial",
    "shapley": "coalitions",
    "expected_best": "trials",
    "expected_choice": "trials",
    "plateau": "robustness",
    "verdict": "verdicts",
}

__all__ = list(_FILES)


def __getattr__(name: str) -> Any:
    if name not in _FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; known: {', '.join(_FILES)}")
    return getattr(import_module(f"{__name__}.{_FILES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
