"""What a study will do, cost and be able to see; read without torch, in a blink."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from fairtrial.errors import fault
from fairtrial.execution.attempt_log import AttemptLog
from fairtrial.execution.run_options import Options
from fairtrial.planning.data_check import refuse_data
from fairtrial.planning.forecast import Costs
from fairtrial.planning.power import look_alpha
from fairtrial.rng import key, prefix, replicate_key, state
from fairtrial.screen import duration
from fairtrial.stats import minimal_detectable_effect
from fairtrial.storage.record import Attempt
from fairtrial.storage.store import Store
from fairtrial.study.budget import parity_gap
from fairtrial.study.data_spec import is_missing
from fairtrial.study.factors import label, recorded_digest
from fairtrial.study.limits import PARITY_LIMIT, units
from fairtrial.study.study import Cell, Study
from fairtrial.study.tuning_plan import may_be_added
from fairtrial.tuning.selection import expected_cells

REDRAWN: Final = ("init", "order", "augment", "mixup")  # what the A/A arm draws anew; the subset it keeps

# The streams of a cell, and the extra words at which each is looked at: ten classes, one parameter, two
# epochs, one step.
EXTRAS: Final[dict[str, list[tuple[int, ...]]]] = {
    "subset": [(label,) for label in range(10)],
    "labels": [()],
    "init": [(key("root.conv.weight"),)],
    "order": [(0,), (1,)],
    "augment": [(0,), (1,)],
    "mixup": [(0, 0)],
    "eval": [()],
}


def plan(study: Study, options: Options) -> dict[str, Any]:
    """The plan as data; `lines` puts it in words. A Fault where data is here that a run would refuse."""
    store = Store.of(study, options.results)
    log = AttemptLog(store, study.failures)
    cells, trials = expected_cells(study, log.counted)
    pending = log.pending([*trials, *cells])
    jobs = min(options.jobs_for(study), max(1, len(pending)))
    room = refuse_data(pending, options.device, jobs)
    costs = Costs.of(store, log.records, options)
    times = [costs.cell_s(cell) for cell in pending]
    untimed = {label(cell.levels) for cell, seconds in zip(pending, times, strict=True) if seconds is None}
    total = sum(seconds for seconds in times if seconds is not None)
    total += costs.launches_s(pending) if options.jobs_for(study) == 1 else 0.0
    seeds, n, family, alpha = len(study.seeds), units(study), max(1, len(study.contrasts)), look_alpha(study)
    return {
        "study": study.id,
        "question": study.question,
        "preset": study.preset,
        "hash": recorded_digest(study.declaration()),
        "arms": len(study.arms()),
        "seeds": seeds,
        "units": n,
        "aa_cells": seeds if study.aa is not None else 0,
        "cells": len(cells),
        "tuning": None if study.tuning is None else study.tuning.words,
        "tuning_cells": len(trials),
        "beyond_an_edge": _beyond_an_edge(study, trials, log.counted, costs, options.jobs_for(study)),
        "pending": len(pending),
        "budget": str(study.budget),
        "budget_words": study.budget.words,
        "parity_gap": _gap(cells),
        "contrasts": [contrast.name for contrast in study.contrasts],
        "margin": study.margin,
        "jobs": jobs,
        "untimed_arms": sorted(untimed),
        "missing_data": sorted(spec for spec in {cell.data for cell in cells} if is_missing(spec)),
        "room": room,
        "unlooked_arms": sorted({label(c.levels) for c in pending if costs.looks_s(c) is None}),
        "own_training": bool(study.cell),
        "forecast_s": None if untimed else total / jobs,
        "device_s": None if untimed else total,
        "stopping": None if study.rule is None else study.rule.words,
        "detectable_sd": minimal_detectable_effect(n, alpha=alpha) if n > 1 else None,
        "detectable_sd_holm": minimal_detectable_effect(n, alpha=alpha / family) if n > 1 else None,
    }


def _gap(cells: list[Cell]) -> float:
    """How far apart the arms will be in examples: a budget is rounded to whole updates of each batch size."""
    budget = cells[0].budget
    if budget.kind != "examples":
        return 0.0  # steps are equal; flops and seconds are known once they are counted
    sizes = {cell.settings.batch_size for cell in cells}
    return parity_gap([budget.steps_for(size) * size for size in sizes])


def _beyond_an_edge(
    study: Study, trials: Sequence[Cell], counted: Mapping[str, Attempt], costs: Costs, jobs: int
) -> dict[str, Any] | None:
    """What one more value of a grid takes, in cells and in seconds, and how many may still come.

    None where none can: without a grid, and once every trial has an outcome. wall_s: None as `forecast_s`.
    """
    tuning = study.tuning
    if tuning is None or tuning.sampler != "grid" or all(cell.id in counted for cell in trials):
        return None
    (name,) = tuning.names
    tried = {getattr(cell.settings, name) for cell in trials}
    times = [costs.cell_s(cell) for cell in trials]
    known = [seconds for seconds in times if seconds is not None]
    cells = len(trials) // len(tried)
    wall_s = sum(known) / len(tried) / min(jobs, cells) if len(known) == len(times) else None
    looked = all(costs.looks_s(cell) is not None for cell in trials)
    values = may_be_added(tuning.grid, tried)
    return {"cells": cells, "wall_s": wall_s, "looked": looked, "values": values}


def refuse_unaffordable(study: Study, options: Options) -> None:
    """A Fault when one cell that is still to do takes longer than the whole study may cost."""
    limit = options.total_budget_s
    if limit is None:
        return
    store = Store.of(study, options.results)
    log = AttemptLog(store, study.failures)
    costs = Costs.of(store, log.records, options)
    cells, trials = expected_cells(study, log.counted)
    pending = log.pending([*trials, *cells])
    times = [(costs.cell_s(cell) or 0.0, cell.arm) for cell in pending]
    seconds, arm = max(times, default=(0.0, ""))
    if seconds > limit:
        what = f"one cell of {arm} takes {duration(seconds)}; the whole study may cost {duration(limit)}"
        raise fault(
            what, "--total-budget", f"allow more than {duration(seconds)}, or give a smaller --budget"
        )


def lines(plan: dict[str, Any]) -> Iterable[str]:
    """The plan as a person reads it."""
    replica = f" + an A/A arm x {plan['aa_cells']} seeds" if plan["aa_cells"] else ""
    yield f"study      {plan['study']} (preset {plan['preset']}), declaration {plan['hash'][:8]}"
    yield f"question   {plan['question']}"
    cells = f"{plan['cells']} = {plan['arms']} arms x {plan['seeds']} seeds{replica}"
    if plan["tuning"]:
        yield f"tuning     {plan['tuning']}: {plan['tuning_cells']} cells first"
        yield from _edges(plan)
    yield f"cells      {cells}; {plan['pending']} to do"
    yield f"budget     {plan['budget_words']} per cell"
    for spec in plan["missing_data"]:
        yield f"warning    {spec} is not on this machine: a run here would be refused"
    for sentence in plan["room"]:
        yield f"data       {sentence}"
    if plan["parity_gap"] > PARITY_LIMIT:
        yield (
            f"warning    whole updates put the arms {100 * plan['parity_gap']:.0f} % apart in examples:"
            " no verdict; choose a multiple of every batch size"
        )
    names = ", ".join(plan["contrasts"]) or "none"
    margin = f"{100 * plan['margin']:g} point{'' if plan['margin'] == 0.01 else 's'}"
    yield f"contrasts  {len(plan['contrasts'])} declared ({names}); margin {margin}"
    if plan["stopping"] is not None:
        yield f"stopping   {plan['stopping']}: cells and forecast are the most that it can take"
    if plan["detectable_sd"] is None:
        yield "detects    nothing: one seed has no spread"
    elif not plan["contrasts"]:
        yield "detects    nothing: no contrast is declared"
    else:
        over = f" over {plan['units']} checkpoints or searches" if plan["units"] < plan["seeds"] else ""
        yield (
            f"detects    a paired difference of {plan['detectable_sd']:.2f} standard deviations{over}"
            f" with 80 % power; {plan['detectable_sd_holm']:.2f} at the strictest Holm step"
        )
    if not plan["pending"]:
        yield "forecast   nothing left to train"
    elif plan["untimed_arms"]:
        yield (
            f"forecast   none: {len(plan['untimed_arms'])} of the arms were never timed;"
            " add --calibrate to time them"
        )
    else:
        yield (
            f"forecast   {duration(plan['forecast_s'])} with {plan['jobs']} side by side"
            f" ({duration(plan['device_s'])} of device time)" + _unlooked(plan)
        )


def _edges(plan: dict[str, Any]) -> Iterable[str]:
    """Say what choices at an edge add to the forecast, which cannot foresee them."""
    more = plan["beyond_an_edge"]
    if more is not None:
        alone = "" if more["looked"] else " of training"
        seconds = "" if more["wall_s"] is None else f", {duration(more['wall_s'])}{alone} more than forecast"
        each = f"{more['cells']} cells each{seconds}"
        yield f"edges      a choice at an edge adds a value beyond it: at most {more['values']}, {each}"


def _unlooked(plan: dict[str, Any]) -> str:
    """Say of how many arms the forecast lacks the evaluations, and what to do."""
    if not plan["unlooked_arms"]:
        return ""
    if plan["own_training"]:
        return "; evaluations come on top, which own training code is first timed at when it runs"
    return f"; without the evaluations of {len(plan['unlooked_arms'])} of the arms: add --calibrate"


def audit(study: Study) -> dict[str, dict[str, str]]:
    """Arm -> stream -> short digest of what it would draw at every seed; '-' where nothing is drawn.

    Equal digests mean equal draws. subset, labels, init, order and augment are shared by all arms; the A/A
    arm keeps subset and labels and differs in the rest. mixup is drawn per update, so arms of one batch size
    alone share it.
    """
    found: dict[str, dict[str, str]] = {}
    owners: dict[tuple[int, int], tuple] = {}
    for cell in study.provisional().cells()[: len(study.arms()) + (study.aa is not None)]:
        found[cell.arm] = {name: _drawn(study, cell, name, owners) for name in EXTRAS}
    return found


def _drawn(study: Study, cell: Cell, name: str, owners: dict[tuple[int, int], tuple]) -> str:
    """Digest of one stream of one arm over all seeds. owners: state -> the stream that has it, so far."""
    if {"mixup": not cell.settings.mixup, "labels": not cell.settings.label_noise}.get(name):
        return "-"
    drawn = hashlib.blake2b(digest_size=4)
    if name == "mixup":
        drawn.update(str(cell.settings.batch_size).encode())
    for seed in study.seeds:
        replicate = replicate_key(seed, cell.replica) if name in REDRAWN else seed
        for extra in EXTRAS[name]:
            full = prefix(cell.settings.stage) + name
            words, who = state(full, replicate, *extra), (full, replicate, extra)
            if owners.setdefault(words, who) != who:
                do = "leave out one of the two seeds"
                raise fault(f"two streams of chance share a state: {owners[words]} and {who}", "seeds", do)
            drawn.update(repr((extra, words)).encode())
    return drawn.hexdigest()


def audit_lines(table: dict[str, dict[str, str]]) -> Iterable[str]:
    """The audit as a table; equal digests are equal draws."""
    width = max(len(arm) for arm in table)
    for arm, row in [("arm", {name: name for name in EXTRAS}), *table.items()]:
        yield " ".join([arm.ljust(width), *(row[name].ljust(8) for name in EXTRAS)]).rstrip()
    yield "equal digests are equal draws; A/A differs in init, order, augment; mixup goes by batch size"
