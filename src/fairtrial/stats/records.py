"""What the functions of this package return: frozen, flat, ready for JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any


def plain(value: Any) -> Any:
    """Return the value as JSON holds it: records and mappings as dicts, arrays as lists, infinite as None."""
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {_key(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _key(key: Any) -> str:
    return " x ".join(sorted(map(str, key))) if isinstance(key, frozenset | tuple) else str(key)


@dataclass(frozen=True, kw_only=True)
class Record:
    """Anything returned here; `warnings` holds sentences."""

    method: str
    unit: str = "seed"
    scope: str = "this test set"
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Interval(Record):
    """An estimate between its limits; "no interval" is -inf, inf with a warning.

    `n` counts replication units.
    """

    n: int
    estimate: float
    low: float
    high: float
    level: float


@dataclass(frozen=True, kw_only=True)
class MeanInterval(Interval):
    """A mean; `sd se df` are on the scale named in `method`, and infinite where n = 1 leaves them unknown."""

    sd: float
    se: float
    df: float


@dataclass(frozen=True, kw_only=True)
class PairedInterval(MeanInterval):
    """A mean paired difference; `p` against 0, two-sided; `r` is Pearson's, None if an arm is constant."""

    t: float
    p: float
    r: float | None


@dataclass(frozen=True, kw_only=True)
class WelchInterval(Interval):
    """A difference of two means; n = n_a + n_b."""

    n_a: int
    n_b: int
    se: float
    df: float
    t: float
    p: float


@dataclass(frozen=True, kw_only=True)
class RatioInterval(Interval):
    """A ratio of geometric means; `log_sd df p` belong to the logs, `p` is two-sided against ratio 1."""

    log_sd: float
    df: float
    p: float


@dataclass(frozen=True, kw_only=True)
class InteractionInterval(Interval):
    """A difference of differences; `p` is two-sided against 0, `sd` that of the paired contrast."""

    sd: float
    se: float
    df: float
    t: float
    p: float


@dataclass(frozen=True, kw_only=True)
class Proportion(Interval):
    """k of n; `se` is the plain binomial standard error."""

    k: int
    se: float


@dataclass(frozen=True, kw_only=True)
class ExactTest(Interval):
    """A resampling test of a mean difference: a test has no interval, so low and high stay infinite.

    `smallest_p`: no outcome at this n gives less. `resamples`: None when all arrangements were counted.
    """

    p: float
    smallest_p: float
    exact: bool
    resamples: int | None


@dataclass(frozen=True, kw_only=True)
class Equivalence(Interval):
    """Two one-sided tests: does the 1 - 2 alpha interval, low to high, lie inside `margin`?"""

    margin: tuple[float, float]
    alpha: float
    se: float
    df: float
    t_lower: float
    t_upper: float
    p_lower: float
    p_upper: float
    p: float
    equivalent: bool


@dataclass(frozen=True, kw_only=True)
class HolmStep:
    """The place of one contrast in its family: tested at step k of `family`, at this confidence level."""

    p: float
    adjusted_p: float
    reject: bool
    step: int
    family: int
    step_level: float


@dataclass(frozen=True, kw_only=True)
class MoreSeeds(Record):
    """Seeds that a pilot of n asks for, in all and on top of it; seconds when the cost of a seed is known."""

    n: int
    n_plugin: int
    n_conservative: int
    more_plugin: int
    more_conservative: int
    inflation: float
    sd_upper: float
    plugin_s: float | None
    conservative_s: float | None


@dataclass(frozen=True, kw_only=True)
class Verdict(Record):
    """What a contrast says, why, and under which levels, margin and stamps.

    `level low high` decide the difference, `equivalence_*` the equivalence; a level is None where the caller
    passed bare limits. Limits are treatment minus control as measured, whichever direction is better. Of an
    inconclusive contrast, `more` decides the effect that was seen, `more_margin` shows that it is inside the
    margin; None where no number does.
    """

    n: int
    verdict: str
    reason: str
    stamps: tuple[str, ...]
    estimate: float | None
    low: float
    high: float
    level: float | None
    equivalence_low: float
    equivalence_high: float
    equivalence_level: float | None
    margin: tuple[float, float] | None
    higher_is_better: bool
    holm: HolmStep | None
    more: MoreSeeds | None
    more_margin: MoreSeeds | None
