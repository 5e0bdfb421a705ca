"""From a pilot to the seeds still to run."""

from __future__ import annotations

import math

from scipy.special import chdtri

from fairtrial.stats.records import MoreSeeds
from fairtrial.stats.rules import check_count, check_share
from fairtrial.stats.sample_size import seeds_needed


def more_seeds(
    n0: int,
    sd: float,
    effect: float,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    sd_confidence: float = 0.8,
    cost_s: float | None = None,
    unit: str = "seed",
    scope: str = "this test set",
) -> MoreSeeds:
    """Seeds for `effect` after a pilot of n0 pairs whose differences have this sd, twice.

    Plug-in takes sd as it is; conservative takes its upper limit sd·√(v / χ²(1 - sd_confidence, v)), v = n0 -
    1. more_* is minus n0 and never negative. cost_s: device-seconds of one block of arms, for plugin_s and
    conservative_s. n0 < 3 raises ValueError. Added seeds are analysed at a declared look, not by testing
    again.
    """
    n0 = check_count(n0, "n0", least=3)
    check_share(sd_confidence, "sd_confidence")
    df = n0 - 1
    inflation = math.sqrt(df / float(chdtri(df, sd_confidence)))  # chdtri takes the upper tail
    plugin = seeds_needed(effect, sd, power=power, alpha=alpha)
    conservative = seeds_needed(effect, sd * inflation, power=power, alpha=alpha)
    more = max(0, plugin - n0), max(0, conservative - n0)
    return MoreSeeds(
        method=f"paired t, power {power:g}, sd limit {100 * sd_confidence:g} %",
        n=n0,
        unit=unit,
        scope=scope,
        n_plugin=plugin,
        n_conservative=conservative,
        more_plugin=more[0],
        more_conservative=more[1],
        inflation=inflation,
        sd_upper=sd * inflation,
        plugin_s=None if cost_s is None else more[0] * cost_s,
        conservative_s=None if cost_s is None else more[1] * cost_s,
    )
