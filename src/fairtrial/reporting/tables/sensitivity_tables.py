"""How much the arms depend on the value that tuning chose, and what a contrast is at one common value."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Final

import pandas as pd

from fairtrial.reporting.report_item import STUDY, RegistryRow
from fairtrial.reporting.results.rate_curves import (
    RateContrast,
    RateCurve,
    Spread,
    rate_contrasts,
    rate_curves,
)
from fairtrial.reporting.tables.table import Table
from fairtrial.reporting.verdicts.captions import provenance
from fairtrial.reporting.verdicts.study_verdicts import StudyVerdicts
from fairtrial.reporting.wording import SCALES, clean, fixed, plural
from fairtrial.study.limits import MIN_UNITS

_SCALE: Final = SCALES["val_acc"]
_ENDS: Final = {(False, False): "", (True, False): "lower", (False, True): "upper", (True, True): "both"}


def sensitivity_table(verdicts: StudyVerdicts) -> Iterable[Table]:
    """Make a row per arm of a study tuned on a grid: how wide the range is that comes close to the best."""
    results = verdicts.results
    curves = rate_curves(results)
    if not curves or results.study.tuning is None:
        return
    name, n = results.study.tuning.names[0], len(curves[0].accuracy)
    rows = [_width_row(curve, name) for curve in curves]
    caption = (
        f"Range of {name} around the best within 1 point of its mean validation accuracy, on straight lines "
        f"over log {name} between the values tried. Decades: log10 of high over low. An edge of the grid "
        f"that it reaches is named: it may go on there. One seed: the mean width of single tuning seeds; "
        f"{_limits(n)}. A diverged run scores chance. {provenance(results)}"
    )
    yield Table("sensitivity", caption, pd.DataFrame(rows))


def _width_row(curve: RateCurve, name: str) -> dict[str, str]:
    found, seed = curve.plateau, curve.width_of_a_seed
    return {
        "arm": curve.label,
        f"chosen {name}": curve.choices,
        "within 1 point": f"{found.low:.2g} to {found.high:.2g}",
        "edge": _ENDS[found.at_low, found.at_high],
        "decades": fixed(found.width, 2),
        "factor": f"{found.factor:.2g}",
        **_columns(seed, "decades, one seed", lambda width: fixed(width, 2)),
        "n": str(seed.n),
    }


def common_rate_table(verdicts: StudyVerdicts) -> Iterable[Table]:
    """Make the rows of each simple contrast: each arm at its chosen value, then both at one common value."""
    results = verdicts.results
    curves = rate_curves(results)
    found = [row for contrast in results.study.contrasts for row in rate_contrasts(curves, contrast)]
    if not found or results.study.tuning is None:
        return
    (name,) = results.study.tuning.names
    n = found[0].difference.n
    caption = (
        f"Exploratory, on {curves[0].val_n} validation images at {plural(n, 'tuning seed')}: each declared "
        f"simple contrast with each arm at its chosen {name}, and with all arms at one common {name}. Points "
        f"of validation accuracy, paired on tuning seeds; {_limits(n)}. The images and seeds that chose "
        f"also score here, so the first row of a contrast reads too good for both arms. "
        f"{provenance(results)}"
    )
    yield Table("common-rate", caption, pd.DataFrame([_contrast_row(row, name) for row in found]))


def _contrast_row(row: RateContrast, name: str) -> dict[str, str]:
    rate = " against ".join(row.chosen) + " (chosen)" if row.rate is None else f"{row.rate:g}"
    return {
        "contrast": clean(row.contrast.name),
        name: rate,
        "treatment": _SCALE.show(row.treatment),
        "control": _SCALE.show(row.control),
        **_columns(row.difference, "difference", _SCALE.show),
        "n": str(row.difference.n),
    }


def _columns(found: Spread, title: str, show: Callable[[float], str]) -> dict[str, str]:
    """Return the mean and its limits under their names; no limits where there is no interval."""
    low, high = ("95 % low", "95 % high") if found.n >= MIN_UNITS else ("least", "most")
    limits = {low: found.low, high: found.high}
    return {title: show(found.mean)} | {
        name: "" if math.isnan(limit) else show(limit) for name, limit in limits.items()
    }


def _limits(n: int) -> str:
    """Say what the limits are of n tuning seeds."""
    if n >= MIN_UNITS:
        return f"95 % t interval over {n} tuning seeds"
    return f"no interval, least and most of {plural(n, 'tuning seed')}"


ROWS = (RegistryRow(STUDY, sensitivity_table, rank=46), RegistryRow(STUDY, common_rate_table, rank=47))
