"""What a study will do, cost and be able to see; read without torch, in a blink."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from fairtrial import forecast
from fairtrial.books import Books
from fairtrial.progress import duration
from fairtrial.runner import Options
from fairtrial.seeds import STREAMS, key, nuisance, state
from fairtrial.stats import minimal_detectable_effect
from fairtrial.store import Store
from fairtrial.study import ALPHA, Study, digest

NUISANCE = ("init", "order", "augment", "mixup")  # what the A/A arm draws anew; the subset it keeps


def plan(study: Study, options: Options) -> dict[str, Any]:
    """The plan as data; `lines` puts it in words."""
    store = Store.of(study, options.results)
    cells, books = study.cells(), Books(store)
    pending = books.pending(cells)
    known = forecast.step_seconds(store, options.threads)
    times = [forecast.cell_seconds(cell, known) for cell in pending]
    untimed = {cell.arm for cell, seconds in zip(pending, times, strict=True) if seconds is None}
    jobs = options.jobs_for(study)
    total = sum(seconds for seconds in times if seconds is not None) * (1 + forecast.overhead(store))
    n, family = len(tuple(study.seeds)), max(1, len(study.contrasts))
    return {
        "study": study.id,
        "question": study.question,
        "preset": study.preset,
        "hash": digest(study.declaration()),
        "arms": len(study.arms()),
        "seeds": n,
        "aa_cells": n if study.aa is not None else 0,
        "cells": len(cells),
        "pending": len(pending),
        "budget": str(study.budget),
        "budget_words": forecast.per_cell(study.budget),
        "contrasts": [contrast.name for contrast in study.contrasts],
        "margin": study.margin,
        "jobs": jobs,
        "untimed_arms": sorted(untimed),
        "forecast_s": None if untimed else total / jobs,
        "device_s": None if untimed else total,
        "detectable_sd": minimal_detectable_effect(n) if n > 1 else None,
        "detectable_sd_holm": minimal_detectable_effect(n, alpha=ALPHA / family) if n > 1 else None,
    }


def lines(plan: dict[str, Any]) -> Iterable[str]:
    """The plan as a person reads it."""
    replica = f" + an A/A arm x {plan['aa_cells']} seeds" if plan["aa_cells"] else ""
    yield f"study      {plan['study']} (preset {plan['preset']}), declaration {plan['hash'][:8]}"
    yield f"question   {plan['question']}"
    yield f"cells      {plan['cells']} = {plan['arms']} arms x {plan['seeds']} seeds{replica}; {plan['pending']} to do"
    yield f"budget     {plan['budget_words']} per cell"
    names = ", ".join(plan["contrasts"]) or "none"
    yield f"contrasts  {len(plan['contrasts'])} declared ({names}); margin {100 * plan['margin']:g} points"
    if plan["detectable_sd"] is None:
        yield "detects    nothing: one seed has no spread"
    else:
        yield (
            f"detects    a paired difference of {plan['detectable_sd']:.2f} standard deviations with 80 % power;"
            f" {plan['detectable_sd_holm']:.2f} at the strictest Holm step"
        )
    if not plan["pending"]:
        yield "forecast   nothing left to train"
    elif plan["untimed_arms"]:
        yield (
            f"forecast   none: {len(plan['untimed_arms'])} of the arms were never timed;"
            " `fairtrial plan STUDY --calibrate` times them"
        )
    else:
        yield (
            f"forecast   {duration(plan['forecast_s'])} with {plan['jobs']} side by side"
            f" ({duration(plan['device_s'])} of device time)"
        )


def audit(study: Study) -> dict[str, dict[str, str]]:
    """Arm -> stream -> short digest of what the stream would draw at every seed.

    Equal digests mean equal draws. subset, init, order and augment are shared by all arms; the A/A arm keeps the
    subset and differs in the rest. mixup is drawn per update, so it is shared by arms of one batch size alone.
    """
    found: dict[str, dict[str, str]] = {}
    for cell in study.cells():
        if cell.arm in found:
            continue
        found[cell.arm] = {}
        for name in STREAMS:
            drawn = hashlib.blake2b(digest_size=4)
            for seed in study.seeds:
                replicate = nuisance(seed, cell.replica) if name in NUISANCE else seed
                for extra in _extras(name, cell.settings):
                    drawn.update(repr((extra, state(name, replicate, *extra))).encode())
            found[cell.arm][name] = drawn.hexdigest()
    return found


def _extras(name: str, settings: dict[str, Any]) -> list[tuple[int, ...]]:
    """Extra words at which a stream is looked at: the first classes, a parameter, the first epochs, the first steps."""
    if name == "subset":
        return [(label,) for label in range(10)]
    if name == "init":
        return [(key("root.conv.weight"),)]
    if name in ("order", "augment"):
        return [(0,), (1,)]
    if name == "mixup":
        return [(0, settings["batch_size"])] if settings["mixup"] else []
    return [()]


def audit_lines(table: dict[str, dict[str, str]]) -> Iterable[str]:
    """The audit as a table; equal digests are equal draws."""
    width = max(len(arm) for arm in table)
    yield " ".join(["arm".ljust(width), *(name.ljust(8) for name in STREAMS)])
    for arm, row in table.items():
        yield " ".join([arm.ljust(width), *(row[name].ljust(8) for name in STREAMS)])
    yield "equal digests are equal draws; an A/A arm differs in init, order, augment; mixup goes by batch size"
