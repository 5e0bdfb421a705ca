"""How many seeds an effect takes, what they cost, and what the seeds or the budget at hand can see."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from fairtrial.errors import BAD_INPUT, fault
from fairtrial.execution.run_options import Options
from fairtrial.planning.forecast import Costs
from fairtrial.screen import duration
from fairtrial.stats import minimal_detectable_effect, more_seeds, seeds_needed
from fairtrial.storage.store import Store
from fairtrial.study.limits import units
from fairtrial.study.study import ALPHA, Study

POINTS: Final = ("test_acc", "val_acc")  # metrics whose differences are told in percentage points


def look_alpha(study: Study) -> float:
    """What one look may spend of alpha: all of it, or its part under a stopping rule (STATISTICS 9)."""
    return ALPHA / (1 if study.rule is None else study.rule.parts)


@dataclass(frozen=True)
class Spread:
    """The sd of a contrast's paired differences, from a pilot of n pairs; None where it was given."""

    contrast: str
    sd: float
    n: int | None = None


def size(
    study: Study, options: Options, spreads: list[Spread], *, effect: float, power: float = 0.8
) -> dict[str, Any]:
    """Seeds per arm for an effect (in the metric's unit), at the strictest Holm level, alpha / m.

    A pilot of n pairs gives two answers: plug-in, with its sd, and conservative, with the 80 % upper limit of
    that sd (STATISTICS 8). The answer for the study is that of its noisiest contrast.
    """
    family = max(1, len(study.contrasts))
    alpha, block = look_alpha(study) / family, block_seconds(study, options)
    rows = [_row(each, effect, power, alpha) for each in spreads]
    plugin = max(row["seeds"] for row in rows)
    careful = [row["seeds_conservative"] for row in rows if row["seeds_conservative"] is not None]
    conservative = max(careful) if careful else None
    return {
        "effect": effect,
        "power": power,
        "alpha": look_alpha(study),
        "family": family,
        "alpha_holm": alpha,
        "contrasts": rows,
        "seeds": plugin,
        "seeds_conservative": conservative,
        "block_s": block,
        "device_s": None if block is None else plugin * block,
        "device_s_conservative": None if block is None or conservative is None else conservative * block,
        "at_hand": _sees(units(study), rows, power, alpha),
        "with_budget": _affordable(options.total_budget_s, block, rows, power, alpha),
    }


def _row(spread: Spread, effect: float, power: float, alpha: float) -> dict[str, Any]:
    row = {"contrast": spread.contrast, "sd": spread.sd, "pilot": spread.n}
    try:
        if spread.n is None:
            needed = seeds_needed(effect, spread.sd, power=power, alpha=alpha)
            return row | {"sd_upper": None, "seeds": needed, "seeds_conservative": None}
        found = more_seeds(spread.n, spread.sd, effect, power=power, alpha=alpha)
    except ValueError as error:
        raise fault(str(error), "--effect and --power", "ask for a larger effect, or less power") from None
    return row | {
        "sd_upper": found.sd_upper,
        "seeds": found.n_plugin,
        "seeds_conservative": found.n_conservative,
    }


def _sees(n: int, rows: list[dict[str, Any]], power: float, alpha: float) -> dict[str, Any]:
    """The effect that n seeds detect in the noisiest contrast; None below two seeds."""
    sd = max(row["sd"] for row in rows)
    upper = max((row["sd_upper"] for row in rows if row["sd_upper"] is not None), default=None)

    def effect(spread: float | None) -> float | None:
        if spread is None or n < 2:
            return None
        return minimal_detectable_effect(n, spread, power=power, alpha=alpha)

    return {"seeds": n, "detects": effect(sd), "detects_conservative": effect(upper)}


def _affordable(
    limit: float | None, block: float | None, rows: list[dict[str, Any]], power: float, alpha: float
) -> dict[str, Any] | None:
    if limit is None:
        return None
    if block is None:
        what = "the seconds of a seed are not known: some arms were never timed here"
        raise fault(what, "--total-budget", "add --calibrate, which times each arm", BAD_INPUT)
    return _sees(math.floor(limit / block), rows, power, alpha)


def block_seconds(study: Study, options: Options) -> float | None:
    """Device-seconds of one seed of every arm, the A/A arm included; None where an arm was never timed."""
    store = Store.of(study, options.results)
    attempts = store.read_attempts()[0]
    costs = Costs.of(store, attempts, options)
    first = [cell for cell in study.provisional().cells() if cell.seed == study.seeds[0]]
    times = [costs.cell_s(cell) for cell in first]
    found = [seconds for seconds in times if seconds is not None]
    return sum(found) if len(found) == len(times) else None


def unit(study: Study) -> float:
    """What one unit of --effect and --sd is in the metric: .01 for accuracies, given in points; else 1."""
    metrics = {contrast.metric for contrast in study.contrasts}
    if not metrics:
        raise fault("no contrast is declared: there is no effect to plan for", "--effect", "declare one")
    if metrics & set(POINTS) and metrics - set(POINTS):
        what = f"the contrasts are of {', '.join(sorted(metrics))}: one effect does not fit them all"
        raise fault(what, "--effect", "plan with a study whose contrasts share a unit")
    return 0.01 if metrics & set(POINTS) else 1.0


def lines(found: dict[str, Any], scale: float) -> Iterable[str]:
    """The sizes as a person reads them."""
    name = "points" if scale == 0.01 else ""

    def told(value: float | None) -> str:
        return "unknown" if value is None else f"{value / scale:.3g} {name}".strip()

    level = f"alpha {found['alpha']:.3g} / {found['family']} = {found['alpha_holm']:.3g}"
    chance = f"{100 * found['power']:g} % power"
    yield f"effect     {told(found['effect'])} with {chance}, at the strictest Holm level {level}"
    for row in found["contrasts"]:
        came = (
            "given"
            if row["pilot"] is None
            else f"from {row['pilot']} pairs, 80 % upper {told(row['sd_upper'])}"
        )
        careful = row["seeds_conservative"]
        more = "" if careful is None else f", {careful} conservative"
        yield f"sd         {row['contrast']}: {told(row['sd'])} ({came}): {row['seeds']} seeds{more}"
    yield f"seeds      {found['seeds']} per arm{_cost(found['device_s'])}"
    if found["seeds_conservative"] is not None:
        yield f"           {found['seeds_conservative']} conservative{_cost(found['device_s_conservative'])}"
    for part, says in (("at_hand", "at hand"), ("with_budget", "in the budget")):
        if found[part] is not None:
            seen, upper = found[part]["detects"], found[part]["detects_conservative"]
            careful = "" if upper is None else f", {told(upper)} conservative"
            yield f"sees       {found[part]['seeds']} seeds {says}: {told(seen)}{careful}"


def _cost(seconds: float | None) -> str:
    return (
        ", at an unknown cost (--calibrate)" if seconds is None else f", {duration(seconds)} of device time"
    )
