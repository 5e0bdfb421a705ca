"""The trials of a tuning study as recorded, and the settings that won: read without Optuna."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fairtrial.errors import INCOMPLETE, REFUSED, fault
from fairtrial.storage.record import Attempt
from fairtrial.storage.store import Store, outcomes
from fairtrial.storage.study_folders import is_study
from fairtrial.study import factors
from fairtrial.study.settings import FACTORS
from fairtrial.study.study import Study
from fairtrial.study.tuning_design import CHOSEN, FIRST_SEED, TRIALS, WORST, Choice, Effort, Tuning


@dataclass(frozen=True)
class Trial:
    """One trial with an outcome. value: its validation accuracy, the declared worst one where it failed."""

    tuning: int
    number: int
    at: dict[str, Any]
    set: dict[str, float]
    status: str
    value: float
    val_n: int | None
    test_reads: int
    device_s: float  # of every attempt, lost ones included

    @property
    def arm(self) -> str:
        """The arm in words."""
        return factors.label(self.at)

    @property
    def failed(self) -> bool:
        """Whether it has no validation accuracy."""
        return self.status != "done"


def read(design: Tuning, attempts: Sequence[Attempt]) -> list[Trial]:
    """The trials with an outcome, by tuning study, number and arm, in the order of their first record."""
    seconds: dict[str, float] = {}
    for record in attempts:
        seconds[record.cell] = seconds.get(record.cell, 0.0) + record.spent.device_s
    names = [text.partition("=")[0] for text in design.space]
    found = [_trial(record, names, seconds) for record in outcomes(attempts).values()]
    mine = [each for each in found if each.tuning < design.studies and each.number < design.trials]
    return sorted(mine, key=lambda each: (each.tuning, each.number))


def _trial(record: Attempt, names: Sequence[str], seconds: dict[str, float]) -> Trial:
    score = record.measured.val_acc
    levels = dict(record.levels)
    number = levels.pop("trial")
    return Trial(
        tuning=record.seed - FIRST_SEED,
        number=number,
        at=levels,
        set={name: getattr(record.settings, name) for name in names},
        status=record.status,
        value=float(score) if record.status == "done" and score is not None else WORST,
        val_n=record.measured.val_n,
        test_reads=record.measured.test_reads,
        device_s=seconds[record.cell],
    )


def by_arm(trials: Iterable[Trial], arms: Iterable[dict[str, Any]]) -> dict[str, list[Trial]]:
    """Arm in words -> its trials, for every arm; one that was never tried has none."""
    found: dict[str, list[Trial]] = {factors.label(factors.identities(levels)): [] for levels in arms}
    for trial in trials:
        if trial.arm in found:
            found[trial.arm].append(trial)
    return found


def best(trials: Iterable[Trial]) -> Trial | None:
    """The trial that wins a tuning study: the highest value, the first among equals; None if all failed."""
    done = [trial for trial in trials if not trial.failed]
    return max(done, key=lambda trial: (trial.value, -trial.number), default=None)


def tuned(study: Study, results: Path) -> Study:
    """The study with the settings that its tuning chose, run under a name of its own.

    A Fault where tuning is not complete, where every trial of an arm failed, and where a seed of the study
    was used to tune: what is reported comes from fresh seeds (STATISTICS 11).
    """
    _refuse_old_seeds(study)
    store = Store.of(replace(study, name=study.name + TRIALS), results)
    do = f"run it first: fairtrial tune {study.name} --trials K"
    if not is_study(store.folder):
        raise fault("this study was never tuned", str(store.folder), do, REFUSED)
    declared = store.declared()["declaration"]
    _refuse_other_tuning(study, declared, store)
    design = Tuning.of(declared["tuning"])
    arms = by_arm(read(design, store.attempts()), study.arms())
    if missing := {arm: len(t) for arm, t in arms.items() if len(t) < design.trials * design.studies}:
        counts = ", ".join(f"{arm} {count}" for arm, count in missing.items())
        what = f"tuning is incomplete: of {design.trials * design.studies} trials per arm there are {counts}"
        raise fault(what, str(store.folder), do, INCOMPLETE)
    chosen = replace(
        design, choices=tuple(_choices(arms, design, store)), efforts=tuple(map(effort, arms.values()))
    )
    return replace(study, name=study.name + CHOSEN, tuning=chosen, presets={})


def effort(trials: Sequence[Trial]) -> Effort:
    """What tuning one arm took."""
    failed = sum(trial.failed for trial in trials)
    return Effort(trials[0].at, len(trials), failed, round(sum(trial.device_s for trial in trials), 3))


def _choices(arms: dict[str, list[Trial]], design: Tuning, store: Store) -> Iterator[Choice]:
    for arm, trials in arms.items():
        for index in range(design.studies):
            won = best(trial for trial in trials if trial.tuning == index)
            if won is None:
                what = f"every trial of {arm} failed in tuning study {index}: there is nothing to choose"
                raise fault(what, str(store.folder), "give a space with smaller steps: --space", REFUSED)
            yield Choice(index, won.at, dict(won.set))


def _refuse_old_seeds(study: Study) -> None:
    used = [seed for seed in study.seeds if seed >= FIRST_SEED]
    if used:
        what = f"seed {used[0]} belongs to tuning, and tuned settings are run with fresh seeds"
        raise fault(what, "--seeds", f"use seeds below {FIRST_SEED}")


def _refuse_other_tuning(study: Study, declared: dict[str, Any], store: Store) -> None:
    """Settings are right for the budget and the images that they were tuned with."""
    free = {"stage", "trial", *(text.partition("=")[0] for text in declared["tuning"]["space"])}
    now, past = ({**one, **one["fixed"]} for one in (study.declaration(), declared))
    now, past = ({n: one[n] for n in ("budget", *FACTORS) if n in one} for one in (now, past))
    now, past = ({n: v for n, v in factors.non_default(one).items() if n not in free} for one in (now, past))
    if other := sorted(name for name in {*now, *past} if now.get(name) != past.get(name)):
        told = ", ".join(f"{name} {past.get(name)} (now {now.get(name)})" for name in other)
        do = f"tune again with these: fairtrial tune {study.name}, another --results folder"
        raise fault(f"the study was tuned with other settings: {told}", str(store.folder), do, REFUSED)
