"""Equal tuning for each arm: the same trials, sampler, space and budget; Optuna proposes.

Trial i of tuning study t is proposed by a sampler that is seeded with the stream "tuning" (t, i), the same in
every arm. The attempt files are the truth: what Optuna knows is rebuilt from them, so that tuning which
was cut off goes on where it stopped, and typed again trains nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

import optuna

from fairtrial import factors, runner
from fairtrial.errors import DONE, FAILED_CELLS, fault
from fairtrial.runner import Options
from fairtrial.seeds import state
from fairtrial.space import Dimension
from fairtrial.store import Store
from fairtrial.study import Study
from fairtrial.trials import Trial, by_arm, read
from fairtrial.tuned import FIRST_SEED, TRIALS, Choice, Tuning

STARTUP: Final = 10  # trials of TPE that are drawn at random before it looks at results, as Optuna does


def tune(study: Study, dimensions: tuple[Dimension, ...], design: Tuning, options: Options) -> int:
    """Run the missing trials of every arm; the exit code. The same command goes on after any stop."""
    trials = _trials_of(study, dimensions, design)
    store = Store.of(trials, options.results)
    code, asked = DONE, -1
    while True:
        choices = tuple(_proposals(trials, dimensions, design, store))
        if len(choices) == asked:
            return code
        asked = len(choices)
        code = runner.run(replace(trials, tuning=replace(design, choices=choices)), options)
        if code not in (DONE, FAILED_CELLS):
            return code


def sibling(study: Study) -> Study:
    """The study whose cells are the trials: each arm of the study, at every trial; no claim is made there."""
    return replace(
        study,
        name=study.name + TRIALS,
        question=f"Which settings suit each arm of {study.name}?",
        fixed={**study.fixed, "stage": "tuning"},
        primary=(),
        secondary=(),
        aa=None,
        presets={},
    )


def _trials_of(study: Study, dimensions: tuple[Dimension, ...], design: Tuning) -> Study:
    for levels in study.arms():
        settings = study.settings(levels)
        if settings["stage"] != "downstream":
            what = "a study that pre-trains is not tuned: nothing scores its checkpoints"
            raise fault(what, "stage", "tune the study that starts from them")
        if not settings["val_per_class"]:
            what = "there are no validation images to tune on, and the test images are not for it"
            raise fault(what, "val_per_class", "set them aside from training: --set val_per_class=12")
    own = {each.name for each in dimensions}
    bare = replace(study, fixed={name: value for name, value in study.fixed.items() if name not in own})
    seeds = range(FIRST_SEED, FIRST_SEED + design.studies)
    swept = {**study.factors, "trial": range(design.trials)}
    return replace(sibling(bare), factors=swept, seeds=seeds, tuning=design)


def _proposals(
    trials: Study, dimensions: tuple[Dimension, ...], design: Tuning, store: Store
) -> Iterator[Choice]:
    """Every trial that can be proposed by now: of each arm all, or all but those that wait for results."""
    arms = {factors.label(levels): levels for levels in _arms(trials)}
    recorded = read(design, store.attempts()) if store.folder.exists() else []
    told = by_arm(recorded, arms.values())
    for index in range(design.studies):
        for arm, levels in arms.items():
            mine = [trial for trial in told[arm] if trial.tuning == index]
            for number in range(design.trials):
                free = design.sampler == "random" or number < STARTUP
                before = [trial for trial in mine if trial.number < number]
                if not free and len(before) < number:
                    break
                params = propose(dimensions, design.sampler, index, number, () if free else before)
                yield Choice(index, {**levels, "trial": number}, params)


def _arms(trials: Study) -> list[dict[str, Any]]:
    """The levels of each arm, identities without the trial."""
    arms = (factors.identities(levels) for levels in trials.arms())
    return [
        {name: value for name, value in levels.items() if name != "trial"}
        for levels in arms
        if levels["trial"] == 0
    ]


def propose(
    dimensions: Sequence[Dimension], sampler: str, tuning: int, number: int, told: Sequence[Trial]
) -> dict[str, float]:
    """The settings of one trial. told: the trials before it, which TPE learns from."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    seed, _ = state("tuning", tuning, number)
    space: dict[str, Any] = {
        each.name: optuna.distributions.FloatDistribution(each.low, each.high, log=each.log)
        for each in dimensions
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = optuna.create_study(sampler=_sampler(sampler, seed), direction="maximize")
        for trial in told:
            study.add_trial(
                optuna.trial.create_trial(params=trial.set, distributions=space, value=trial.value)
            )
        return {name: float(value) for name, value in study.ask(space).params.items()}


def _sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP)
