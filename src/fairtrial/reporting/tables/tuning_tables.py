"""The tables of tuning: what each arm was given and what won, and which setting moved the accuracy most."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import pandas as pd

from fairtrial.reporting.report_item import TUNING, RegistryRow
from fairtrial.reporting.tables.table import Table
from fairtrial.reporting.wording import SCALES, clean, fixed, gap
from fairtrial.study.budget import parity_gap
from fairtrial.study.tuning_design import Tuning
from fairtrial.tuning.trials import Trial, best

_SCALE: Final = SCALES["val_acc"]


def effort_table(arms: Mapping[str, Sequence[Trial]], design: Tuning) -> Table:
    """One row per arm: its trials, what they cost, the settings that won; the last row: largest gaps."""
    rows = [effort_row(arm, trials, design) for arm, trials in arms.items()]
    counts = [float(len(trials)) for trials in arms.values()]
    seconds = [sum(trial.device_s for trial in trials) for trials in arms.values()]
    last = {"arm": "largest gap"}
    if min(counts) > 0 and len(counts) > 1:
        last |= {"trials": gap(parity_gap(counts)), "device s": gap(parity_gap(seconds))}
    unequal = len(set(counts)) > 1
    read_images = sum(trial.test_reads for trials in arms.values() for trial in trials)
    caption = (
        f"What tuning gave each arm: {design.words}. Best: validation accuracy of the winner of each tuning "
        f"study, chosen among its trials; failed trials count as 0. Test images were opened {read_images} "
        "times." + (" Trials are unequal: no verdict for a claim about tuned arms." if unequal else "")
    )
    frame = pd.DataFrame([*rows, last]).fillna("")
    return Table("tuning", caption, frame, marked=("trials",) if unequal else ())


def efforteffort_row(arm: str, trials: Sequence[Trial], design: Tuning) -> dict[str, str]:
    won = [best(t for t in trials if t.tuning == index) for index in range(design.studies)]
    names = [text.partition("=")[0] for text in design.space]
    return {
        "arm": clean(arm),
        "trials": str(len(trials)),
        "failed": str(sum(trial.failed for trial in trials)),
        "device s": fixed(sum(trial.device_s for trial in trials), 1),
        "best, %": ", ".join("-" if w is None else _SCALE.show(w.value) for w in won),
        **{name: ", ".join("-" if w is None else f"{w.set[name]:.3g}" for w in won) for name in names},
    }


def effort_row(arm: str, trials: Sequence[Trial], design: Tuning) -> dict[str, str]:
    """Return what tuning gave one arm."""
    won = [best(t for t in trials if t.tuning == index) for index in range(design.studies)]
    names = [text.partition("=")[0] for text in design.space]
    return {
        "arm": clean(arm),
        "trials": str(len(trials)),
        "failed": str(sum(trial.failed for trial in trials)),
        "device s": fixed(sum(trial.device_s for trial in trials), 1),
        "best, %": ", ".join("-" if w is None else _SCALE.show(w.value) for w in won),
        **{name: ", ".join("-" if w is None else f"{w.set[name]:.3g}" for w in won) for name in names},
    }


def importance_table(arms: Mapping[str, Sequence[Trial]], design: Tuning) -> Iterator[Table]:
    """A table where several settings were tuned by random trials; TPE's trials would bias the shares."""
    enough = all(len(trials) == design.trials * design.studies for trials in arms.values())
    if len(design.space) < 2 or design.sampler != "random" or not enough:
        return
    from fairtrial.tuning.tune import RESAMPLES, importances

    rows = []
    for arm, trials in arms.items():
        shares = importances(trials, design.space)
        told = {name: f"{share:.2f} ({low:.2f} to {high:.2f})" for name, (share, low, high) in shares.items()}
        rows.append({"arm": clean(arm), "trials": str(len(trials)), **told})
    caption = (
        "Descriptive: share of the variance of validation accuracy over the searched space that each setting "
        f"explains (fANOVA, random trials of all tuning studies), with the 95 % range of {RESAMPLES} "
        "bootstraps over trials. Shares sum to 1 and depend on the space; no claim rests on them."
    )
    yield Table("importances", caption, pd.DataFrame(rows))


ROWS = (
    RegistryRow(TUNING, lambda trials: [effort_table(trials.arms, trials.design)], rank=1),
    RegistryRow(TUNING, lambda trials: importance_table(trials.arms, trials.design), rank=2),
)
