"""Which component earns what: from runs of every combination of two-level components."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import numpy as np
import pandas as pd

from fairtrial.reporting.report_item import STUDY, RegistryRow
from fairtrial.reporting.results.arms import metric_of
from fairtrial.reporting.results.load import Results, per_seed
from fairtrial.reporting.results.replication_units import SEED, unit_of
from fairtrial.reporting.tables.table import Table
from fairtrial.reporting.verdicts.captions import provenance, seeds
from fairtrial.reporting.wording import SCALES, Scale, clean
from fairtrial.stats import blocked_anova, shapley
from fairtrial.stats.coalitions import Attribution
from fairtrial.stats.factorial import BlockedAnova
from fairtrial.stats.records import MeanInterval
from fairtrial.study import factors
from fairtrial.study.limits import MIN_UNITS
from fairtrial.study.study import Study

MOST: Final = 4  # components: 2^4 arms


@dataclass(frozen=True)
class Components:
    """A full factorial of components. on, off: factor -> its level with and without the component."""

    on: Mapping[str, Any]
    off: Mapping[str, Any]

    def name(self, factor: str) -> str:
        """The component as its arm is called: 'gn', 'ws', 'mixup 0.1'."""
        return clean(factors.label({factor: self.on[factor]}))


def components(study: Study) -> Components | None:
    """The components of a study, or None: it must cross 2 to 4 factors of two levels, in every combination.

    A component is on at the level that the treatment has in the first declared contrast that switches every
    factor at once; without such a contrast nobody has said which level is the component.
    """
    swept = {name: levels for name, levels in study.factors.items() if len(levels) > 1}
    arms = len(study.arms())
    if not 2 <= len(swept) <= MOST or any(len(v) != 2 for v in swept.values()) or arms != 2 ** len(swept):
        return None
    for contrast in study.contrasts:
        on, off = contrast.treatment, contrast.control
        if not contrast.by and all(n in on and n in off and on[n] != off[n] for n in swept):
            return Components({n: on[n] for n in swept}, {n: off[n] for n in swept})
    return None


def attribution_tables(results: Results) -> list[Table]:
    """What each component earns, and the analysis of variance; none where the study is no such factorial."""
    found = components(results.study)
    values = None if found is None else _values(results, found)
    if found is None or values is None:
        return []
    scale = SCALES[metric_of(results.study)]
    names = list(found.on)
    earned = shapley({frozenset(map(found.name, on)): column for on, column in values.items()})
    table = np.array([list(column.values()) for column in values.values()]).T
    levels = {found.name(name): [name in on for on in values] for name in names}
    return [_earned(results, earned, scale), _anova(results, blocked_anova(table, levels))]


def _values(results: Results, found: Components) -> dict[frozenset[str], dict[int, float]] | None:
    """Set of factors that are on -> seed -> value; None unless every seed of every arm has one."""
    metric, names = metric_of(results.study), list(found.on)
    values = {}
    for switched in product((False, True), repeat=len(names)):
        on = frozenset(name for name, is_on in zip(names, switched, strict=True) if is_on)
        cells = results.where({name: (found.on if name in on else found.off)[name] for name in names})
        values[on] = per_seed(cells, metric)
        if unit_of(results, cells).name != SEED or len(values[on]) < len(results.seeds):
            return None
    return values if results.sound and len(results.seeds) >= MIN_UNITS else None


def _earned(results: Results, earned: Attribution, scale: Scale) -> Table:
    caption = (
        "What each component earns, per seed and then averaged, with 95 % t intervals over seeds, not "
        "adjusted. Alone: added to none of the others. Last: added to all others, which is what leaving it "
        "out costs. Shapley: mean gain over all orders of adding; the values sum to the last row. Where last "
        "is far above alone, the component lives on the others. On is the level of the treatment of the "
        "contrast that switches all at once. Descriptive: the verdicts stand with the contrasts. "
        f"{seeds(results)}. {provenance(results)}"
    )
    rows = [
        {
            "component": name,
            "alone": _told(earned.add_one_in[name], scale),
            "last": _told(earned.loco[name], scale),
            "Shapley": _told(earned.shapley[name], scale),
        }
        for name in earned.components
    ]
    rows += [
        {"component": " with ".join(sorted(pair)), "alone": _told(each, scale), "last": "", "Shapley": ""}
        for pair, each in earned.interaction.items()
    ]
    both = _span(earned.estimate, earned.low, earned.high, scale)
    rows.append({"component": "all together", "alone": "", "last": "", "Shapley": both})
    return Table("attribution", caption, pd.DataFrame(rows))


def _told(found: MeanInterval, scale: Scale) -> str:
    return _span(found.estimate, found.low, found.high, scale)


def _span(estimate: float, low: float, high: float, scale: Scale) -> str:
    """'1.2 [0.3, 2.1]'; no brackets where there is no interval."""
    return scale.show(estimate) + (f" {scale.bounds(low, high)}" if math.isfinite(low) else "")


def _anova(results: Results, found: BlockedAnova) -> Table:
    caption = (
        "Analysis of variance with the seed as block. Share: of the variance between the means of the arms, "
        "which depends on the levels that were chosen; the noise of these means is "
        f"{100 * found.share_noise:.0f} % of it. "
        f"Residual: {found.df_res} degrees of freedom. F tests assume equal spread in all arms; the "
        f"intervals beside do not. {seeds(results)}. {provenance(results)}"
    )
    return Table("anova", caption, pd.DataFrame(_effects(found)))


def _effects(found: BlockedAnova) -> Sequence[dict[str, str]]:
    return [
        {
            "effect": " x ".join(effect.factors),
            "F": f"{effect.F:.2f}",
            "df": str(effect.df),
            "p": "<0.0001" if effect.p < 0.0001 else f"{effect.p:.4f}",
            "share": f"{100 * effect.share:.0f} %",
        }
        for effect in found.effects
    ]


ROWS = (RegistryRow(STUDY, lambda v: attribution_tables(v.results), rank=3),)
