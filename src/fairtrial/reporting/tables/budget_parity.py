"""What each arm was given and what it spent: the budget parity table (STATISTICS 11)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from fairtrial.reporting.report_item import STUDY, RegistryRow
from fairtrial.reporting.results.load import Results
from fairtrial.reporting.tables.table import Table
from fairtrial.reporting.verdicts.captions import provenance
from fairtrial.reporting.verdicts.fairness_checks import TUNING, study_checks
from fairtrial.reporting.verdicts.parity_checks import BUDGET, LIMIT_WORDS
from fairtrial.reporting.wording import clean, fixed, gap, plural
from fairtrial.stats import clopper_pearson, mean_interval
from fairtrial.study.budget import SPENT, parity_gap
from fairtrial.study.limits import MIN_UNITS
from fairtrial.tuning.selection import Effort

_COLUMNS: Final = {
    "parameters": "parameters",
    "examples": "examples",
    "steps": "steps",
    "flops": "GFLOP",
    "train_s": "training s",
    "eval_s": "evaluation s",
    "peak_memory_bytes": "peak MiB",
    "joules": "joules",
}
TRIALS: Final = "tuning trials"
_UNIT: Final = {"flops": 1e9, "peak_memory_bytes": 2**20}
_DIGITS: Final = {"flops": 1, "train_s": 2, "eval_s": 2, "peak_memory_bytes": 0, "joules": 0}


def parity(results: Results) -> Table:
    """Return a row per arm, means over its finished runs; the last row: the largest relative gaps."""
    arms = list(dict.fromkeys(results.frame["arm"]))
    means = {arm: _means(results, arm) for arm in arms}
    told = [_row(results, arm, means[arm]) for arm in arms]
    gaps = {name: _gap([mean[name] for mean in means.values()]) for name in _COLUMNS}
    last = {"arm": "largest gap", **{_COLUMNS[name]: gap(value) for name, value in gaps.items()}}
    last |= _effort_gaps(results)
    frame = pd.DataFrame([*told, last]).fillna("").drop(columns=_empty(means))
    kind, checks = results.study.budget.kind, {check.promise: check for check in study_checks(results)}
    problems, measured = checks[BUDGET].problems, checks[BUDGET].known
    unequal = TUNING in checks and bool(checks[TUNING].problems)
    limit = f"the {LIMIT_WORDS} that a verdict allows"
    held = (
        f"arms are within {limit}, pair by pair, and of what was declared" if measured else "no finished run"
    )
    if kind == "seconds" and measured:
        held = f"no contrast is shown to lie beyond {limit}"
    says = f"{'; '.join(problems)}: such contrasts are refused" if problems else held
    caption = (
        f"What each arm spent, means over finished runs. The declared budget is in {kind}: {says}. "
        "GFLOP count convolutions and matrix products, not norms; "
        "training s: 95 % t interval over seeds; failed: runs without a result, 95 % Clopper-Pearson. "
        f"{_tuning_words(results, unequal)} {provenance(results)}"
    )
    over = (_COLUMNS[SPENT[kind]],) if problems else ()
    marked = (*over, *((TRIALS,) if unequal else ()))
    return Table("budget-parity", caption, frame, marked=marked)


def _tuning_words(results: Results, unequal: bool) -> str:
    """Say how the arms were tuned, in the sentences of a caption."""
    tuning = results.study.tuning
    if tuning is None:
        return f"Tuning: {plural(results.trial_runs, 'trial run')} recorded, which chose nothing here."
    return f"Tuning: {tuning.words}; settings chosen on validation images, run here with fresh seeds." + (
        " Trials are unequal: no verdict for a claim about tuned arms." if unequal else ""
    )


def _efforts(results: Results) -> list[Effort]:
    return [] if results.tuning is None else [results.tuning.effort(arm) for arm in results.study.arms()]


def _effort(results: Results, levels: Mapping[str, Any]) -> dict[str, str]:
    """What tuning an arm took, where it was tuned; the A/A arm takes the settings of its twin."""
    if results.tuning is None:
        return {}
    effort = results.tuning.effort(levels)
    return {
        TRIALS: str(effort.trials),
        "failed trials": str(effort.failed),
        "tuning s": fixed(effort.device_s, 1),
    }


def _effort_gaps(results: Results) -> dict[str, str]:
    efforts = _efforts(results)
    if len(efforts) < 2 or not all(effort.trials for effort in efforts):
        return {}
    trials, seconds = ([float(getattr(e, name)) for e in efforts] for name in ("trials", "device_s"))
    return {TRIALS: gap(parity_gap(trials)), "tuning s": gap(parity_gap(seconds))}


def _means(results: Results, arm: str) -> dict[str, float | None]:
    runs = results.ended[(results.ended["arm"] == arm) & (results.ended["status"] == "done")]
    values = {
        name: runs[name].dropna().astype(float) if name in runs else runs["seed"][:0] for name in _COLUMNS
    }
    return {name: float(column.mean()) if len(column) else None for name, column in values.items()}


def _row(results: Results, arm: str, means: dict[str, float | None]) -> dict[str, Any]:
    runs = results.ended[results.ended["arm"] == arm]
    done = runs[runs["status"] == "done"]
    row: dict[str, Any] = {"arm": clean(arm)}
    for name, title in _COLUMNS.items():
        mean = means[name]
        row[title] = "" if mean is None else fixed(mean / _UNIT.get(name, 1), _DIGITS.get(name, 0))
        if name == "train_s":
            seconds = done[name].astype(float).tolist() if len(done) else []
            found = mean_interval(seconds) if len(seconds) >= MIN_UNITS and results.sound else None
            limits = found is not None and math.isfinite(found.low)
            row["training s, 95 %"] = (
                f"{max(0.0, found.low):.2f} to {found.high:.2f}" if found and limits else ""
            )
    lost = int(runs["failed"].sum())
    row["seeds"] = str(len(runs))
    row["failed"] = f"{lost}/{len(runs)}" if len(runs) else ""
    if len(runs):
        rate = clopper_pearson(lost, len(runs))
        row["failed, 95 %"] = f"{100 * rate.low:.0f} to {100 * rate.high:.0f} %"
    levels = results.frame[results.frame["arm"] == arm].iloc[0]
    return row | _effort(results, {name: levels[name] for name in results.study.factors})


def _gap(means: list[float | None]) -> float | None:
    known = [mean for mean in means if mean is not None]
    return parity_gap(known) if len(known) > 1 else None


def _empty(means: dict[str, dict[str, float | None]]) -> list[str]:
    """Columns that no record fills, such as joules without a counter."""
    return [title for name, title in _COLUMNS.items() if all(mean[name] is None for mean in means.values())]


ROWS = (RegistryRow(STUDY, lambda v: [parity(v.results)], rank=8),)
