"""Looking after every seed: a confidence sequence that holds at any stopping time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fairtrial.stats.inputs import Values, sample
from fairtrial.stats.records import Record
from fairtrial.stats.rules import check_share


@dataclass(frozen=True, kw_only=True, eq=False)
class ConfidenceSequence(Record):
    """Limits after each difference: entry i belongs to the first n[i] of them."""

    level: float
    n: np.ndarray
    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    e_value: np.ndarray


def confidence_sequence(
    d: Values,
    *,
    g: float = 4.0,
    alpha: float = 0.05,
    null: float = 0.0,
    unit: str = "seed",
    scope: str = "this test set",
) -> ConfidenceSequence:
    """Return limits of the mean after each difference, valid together at all n.

    d: differences in order of arrival; here, unlike elsewhere, the order matters. g: the scale of the
    Gaussian mixture over the standardized effect. Arrays over n = 2..len(d); t = (m - null)·√n/s, v = n-1:
        e_value    = (1+ng)^(-1/2) · [(1 + t²/v) / (1 + t²/((1+ng)·v))]^(n/2)
        half-width = s/√n · √(v·(Q-1) / (1 - Q/(1+ng))), Q = (√(1+ng)/α)^(2/n), infinite when Q >= 1+ng.
    While the variance is zero there is no interval and the e-value is 1. Below 2 differences: empty arrays.
    Source: Wang & Ramdas, arXiv 2310.03722.
    """
    check_share(alpha, "alpha")
    if not 0 < g < np.inf or not np.isfinite(null):
        raise ValueError(f"g is above 0 and null is finite; got {g!r} and {null!r}")
    values = sample(d, "d")
    n = np.arange(2, len(values) + 1)
    mean, sd, still = _running(values)
    sd = np.where(still, 1.0, sd)
    half = np.where(still, np.inf, sd / np.sqrt(n) * _width(n, g, alpha))
    return ConfidenceSequence(
        method=f"t confidence sequence, g = {g:g}",
        unit=unit,
        scope=scope,
        warnings=_warnings(n, still),
        level=1 - alpha,
        n=n,
        estimate=mean,
        low=mean - half,
        high=mean + half,
        e_value=np.where(still, 1.0, _e_value(n, (mean - null) / sd, g)),
    )


def _running(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, sd and "zero variance" of the first 2, 3, ... values."""
    n = np.arange(1, len(values) + 1)
    # Equal first values then have an sd of exactly 0.
    x = values - values[0]
    mean = np.cumsum(x) / n
    squares = np.maximum(np.cumsum(x**2) - n * mean**2, 0)[1:]
    sd = np.sqrt(squares / (n[1:] - 1))
    largest = np.maximum.accumulate(np.abs(values))[1:]
    return mean[1:] + values[0], sd, sd <= 1e-12 * largest


def _width(n: np.ndarray, g: float, alpha: float) -> np.ndarray:
    """The half-width in standard errors."""
    grown = 1 + n * g
    q = np.exp((np.log(grown) - 2 * np.log(alpha)) / n)
    room = np.where(q < grown, 1 - q / grown, 1)
    return np.where(q < grown, np.sqrt((n - 1) * (q - 1) / room), np.inf)


def _e_value(n: np.ndarray, effect: np.ndarray, g: float) -> np.ndarray:
    grown, t2_v = 1 + n * g, n * effect**2 / (n - 1)
    log_e = -0.5 * np.log(grown) + n / 2 * (np.log1p(t2_v) - np.log1p(t2_v / grown))
    return np.exp(np.minimum(log_e, 700))  # e^700 is evidence enough


def _warnings(n: np.ndarray, still: np.ndarray) -> tuple[str, ...]:
    if not len(n):
        return ("no interval: fewer than 2 differences",)
    if still.any():
        return (f"no interval up to n = {int(n[still].max())}: zero observed variance",)
    return ()
