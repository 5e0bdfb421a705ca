"""The table of tuning: what every regime was given, what it cost, what won and how firmly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from fairtrial.reporting.report_item import STUDY, RegistryRow
from fairtrial.reporting.tables.table import Table
from fairtrial.reporting.verdicts.captions import provenance
from fairtrial.reporting.verdicts.study_verdicts import StudyVerdicts
from fairtrial.reporting.wording import clean, fixed, listed
from fairtrial.study import factors
from fairtrial.study.study import Regime, Study
from fairtrial.tuning.selection import Stage, Trial


def tuning_table(verdicts: StudyVerdicts) -> Iterable[Table]:
    """Make one row per regime and search; nothing for a study at one rule."""
    results, stage = verdicts.results, verdicts.results.tuning
    if stage is None or results.study.tuning is None:
        return
    tuning = results.study.tuning
    rows = [
        _row(results.study, stage, index, regime, trials) for (index, regime), trials in stage.trials.items()
    ]
    added = [f"{value:g}" for value in stage.grid if value not in tuning.grid] if stage.grid else []
    wider = (
        f" The grid was widened for every arm by {listed(added)}: a choice lay at its edge." if added else ""
    )
    images = max((trial.val_n or 0 for trials in stage.trials.values() for trial in trials), default=0)
    caption = (
        f"What tuning gave each arm, the same for all: {tuning.words}, on {images} validation images. Ties "
        f"within one standard error go to the smaller value.{wider} Stability: share of resampled tuning "
        f"seeds that choose the same. Chosen values serve fresh seeds. {provenance(results)}"
    )
    yield Table("tuning", caption, pd.DataFrame(rows))


def _row(study: Study, stage: Stage, index: int, regime: Regime, trials: Sequence[Trial]) -> dict[str, str]:
    assert study.tuning is not None
    choice = stage.choices.get((index, regime))
    levels = {name: level for name in study.factors for factor, level in regime if factor == name}
    search = {"search": str(index)} if study.tuning.studies > 1 else {}
    chosen = {} if choice is None else {name: f"{value:.3g}" for name, value in choice.params.items()}
    return {
        "arm": clean(factors.label(levels)),
        **search,
        "trials": str(len(trials)),
        "diverged": str(sum(trial.failed for trial in trials)),
        "device s": fixed(sum(trial.device_s for trial in trials), 1),
        **chosen,
        "stability": "" if choice is None else f"{choice.stability:.2f}",
    }


ROWS = (RegistryRow(STUDY, tuning_table, rank=45),)
