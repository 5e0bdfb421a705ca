"""Tests, sequences and bands of whole tables: one data set per row, arrays out.

Each is the function of the same name without its s, row by row, through the same formula.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fairtrial.stats import curves as bands
from fairtrial.stats.array_records import BandRows, EquivalenceRows, RowIntervals
from fairtrial.stats.equivalence import inside, one_sided
from fairtrial.stats.exact import MOST_PAIRS, flip_hits
from fairtrial.stats.inputs import table
from fairtrial.stats.multiplicity import holm_steps
from fairtrial.stats.rules import Margin, check_share, limits
from fairtrial.stats.sequential import running_limits
from fairtrial.stats.student import mean_rows


def tosts(d: Any, *, margin: Margin, alpha: float = 0.05) -> EquivalenceRows:
    """Two one-sided t tests of the mean of each row, as `tost`. d: (rows, n) paired differences."""
    check_share(alpha, "alpha", below=0.5)
    lower, upper = limits(margin)
    values = table(d, "d")
    fit = mean_rows(values, 1 - 2 * alpha)
    _, _, p_lower, p_upper = one_sided(fit, lower, upper)
    return EquivalenceRows(
        estimate=fit.estimate,
        low=fit.low,
        high=fit.high,
        level=1 - 2 * alpha,
        method="two one-sided paired t tests",
        n=values.shape[-1],
        margin=(lower, upper),
        p=np.maximum(p_lower, p_upper),
        equivalent=inside(fit, lower, upper),
    )


def holms(p: Any, *, alpha: float = 0.05) -> np.ndarray:
    """Holm's adjusted p values of each row, as `holm`. p: (families, m) p values, one family per row."""
    check_share(alpha, "alpha")
    raw = table(p, "p")
    if raw.min() < 0 or raw.max() > 1:
        raise ValueError(f"p lies in [0, 1]; got {raw.min():g} to {raw.max():g}")
    return holm_steps(raw, alpha)[0]


def sign_flip_ps(d: Any) -> np.ndarray:
    """The exact p value of each row, as `sign_flip_p`. d: (rows, n) paired differences, n up to 20."""
    values = table(d, "d")
    if values.shape[1] > MOST_PAIRS:
        raise ValueError(
            f"d has {values.shape[1]} columns; all signs are counted up to {MOST_PAIRS}: use sign_flip_p"
        )
    return flip_hits(np.sort(values, axis=1).T) / 2 ** (values.shape[1] - 1)


def confidence_sequences(d: Any, *, g: float = 4.0, alpha: float = 0.05) -> RowIntervals:
    """Limits after the first 2, 3, ... of each row, as `confidence_sequence`.

    d: (rows, n) differences, columns in order of arrival -> arrays (rows, n - 1).
    """
    check_share(alpha, "alpha")
    values = table(d, "d")
    mean, half, _, still = running_limits(values, g, alpha)
    none = int(still[:, -1:].sum())
    return RowIntervals(
        estimate=mean,
        low=mean - half,
        high=mean + half,
        level=1 - alpha,
        method=f"t confidence sequence, g = {g:g}",
        n=values.shape[1],
        warnings=(f"no interval in {none} of {len(values)} rows",) if none else (),
    )


def simultaneous_bands(curves: Any, level: float = 0.95) -> BandRows:
    """Bonferroni and pointwise bands of each table of curves, as `simultaneous_band`.

    curves: (rows, S seeds, T checkpoints) -> arrays (rows, T).
    """
    check_share(level, "level")
    values = table(curves, "curves", axes=3).swapaxes(1, 2)
    mean, (_, checkpoints, seeds) = values.mean(axis=-1), values.shape
    near, far = (bands.half_widths(values, each) for each in bands.factors(seeds, checkpoints, level))
    return BandRows(
        method=f"bonferroni band over {checkpoints} checkpoints",
        n=seeds,
        level=level,
        estimate=mean,
        low=mean - far,
        high=mean + far,
        pointwise_low=mean - near,
        pointwise_high=mean + near,
    )
