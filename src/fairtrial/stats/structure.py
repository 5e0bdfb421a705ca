"""Records of how results are made up: sources of variance, effects of factors, gains of components."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fairtrial.stats.records import Interval, MeanInterval, Record


@dataclass(frozen=True, kw_only=True)
class VarianceComponents(Interval):
    """A grand mean with t over row means, and the components of a table of rows x columns.

    `share_row share_col share_res` are of the sum of the components. `*_new_images` speak of new columns and
    new rows at once; their limits are infinite where there is no interval.
    """

    se: float
    df: float
    ms_row: float
    ms_col: float
    ms_res: float
    var_row: float
    var_col: float
    var_res: float
    share_row: float
    share_col: float
    share_res: float
    se_new_images: float
    df_new_images: float
    low_new_images: float
    high_new_images: float


@dataclass(frozen=True, kw_only=True)
class NestedComponents(Interval):
    """A grand mean with t over group means, and the variance between and within groups."""

    se: float
    df: float
    ms_between: float
    ms_within: float
    var_between: float
    var_within: float
    share_between: float


@dataclass(frozen=True, kw_only=True)
class Effect:
    """One line of an analysis of variance; `factors` has two names and more for an interaction."""

    factors: tuple[str, ...]
    F: float
    df: int
    ms: float
    p: float
    share: float


@dataclass(frozen=True, kw_only=True)
class BlockedAnova(Interval):
    """A grand mean with t over blocks, and the effects in the order of their factors.

    `share_noise` is what the noise of the cell means, ms_res / n, is of their variance; it stands apart.
    """

    effects: tuple[Effect, ...]
    ms_res: float
    df_res: int
    share_noise: float


@dataclass(frozen=True, kw_only=True)
class Attribution(Record):
    """What each component earns; `estimate low high` belong to full - base, the sum of all Shapley values.

    `shapley loco add_one_in`: component -> interval; `interaction`: pair -> interval. A component or pair
    without the coalitions it takes is absent.
    """

    n: int
    level: float
    estimate: float
    low: float
    high: float
    components: tuple[str, ...]
    shapley: Mapping[str, MeanInterval]
    loco: Mapping[str, MeanInterval]
    add_one_in: Mapping[str, MeanInterval]
    interaction: Mapping[frozenset[str], MeanInterval]
