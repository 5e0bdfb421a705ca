"""Which tuned setting moved the validation accuracy most: fANOVA shares, descriptive only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from fairtrial.reporting.tables.table import Table
from fairtrial.reporting.wording import clean
from fairtrial.study.tuning_design import Tuning
from fairtrial.tuning.trials import Trial


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
