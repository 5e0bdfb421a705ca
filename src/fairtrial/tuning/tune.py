"""Equal tuning for each arm: the same trials, sampler, space and budget; Optuna proposes.

Trial i of tuning study t is proposed by a sampler that is seeded with the stream "tuning" (t, i), the same in
every arm. The attempt files are the truth: what Optuna knows is rebuilt from them, so that tuning which
was cut off goes on where it stopped, and typed again trains nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

import optuna

from fairtrial.errors import DONE, FAILED_CELLS, fault
from fairtrial.execution import runner
from fairtrial.execution.runner import Options
from fairtrial.rng import ROOT, state
from fairtrial.storage.store import Store
from fairtrial.study import factors
from fairtrial.study.study import Study
from fairtrial.study.tuning_design import FIRST_SEED, TRIALS, Choice, Tuning
from fairtrial.tuning.space import Dimension
from fairtrial.tuning.space import read as read_dimension
from fairtrial.tuning.trials import Trial, by_arm, read

STARTUP: Final = 10  # trials of TPE that are drawn at random before it looks at results, as Optuna does
TREES: Final = 16  # of the forest behind an importance
RESAMPLES: Final = 50  # bootstraps of importances


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
        stop=None,
        presets={},
    )


def _trials_of(study: Study, dimensions: tuple[Dimension, ...], design: Tuning) -> Study:
    for levels in study.arms():
        settings = study.settings(levels)
        if settings.stage != "downstream":
            what = "a study that pre-trains is not tuned: nothing scores its checkpoints"
            raise fault(what, "stage", "tune the study that starts from them")
        if not settings.val_per_class:
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
    seed, _ = state("tuning", tuning, number)
    space: dict[str, Any] = {each.name: _distribution(each) for each in dimensions}
    study = _told(told, space, _sampler(sampler, seed))
    return {name: float(value) for name, value in study.ask(space).params.items()}


def _distribution(each: Dimension) -> optuna.distributions.FloatDistribution:
    return optuna.distributions.FloatDistribution(each.low, each.high, log=each.log)


def _told(
    trials: Sequence[Trial], space: dict[str, Any], sampler: optuna.samplers.BaseSampler
) -> optuna.Study:
    """A study in memory that knows these trials; a failed one by the declared worst value."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=sampler, direction="maximize")
    for trial in trials:
        study.add_trial(optuna.trial.create_trial(params=trial.set, distributions=space, value=trial.value))
    return study


def _sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP)


def importances(trials: Sequence[Trial], space: Sequence[str]) -> dict[str, tuple[float, float, float]]:
    """Setting -> (share, low, high): fANOVA importances of random trials, and a 95 % bootstrap over trials.

    space: the dimensions as declared. Shares are those of the variance over the space and sum to 1; trials
    of TPE crowd around good settings and would bias them (STATISTICS 16). Where all trials have one value the
    shares are 0.
    """
    import numpy as np

    distributions = {d.name: _distribution(d) for d in map(read_dimension, space)}
    chance = np.random.default_rng(ROOT)
    found = [_shares(trials, distributions)]
    for _ in range(RESAMPLES):
        drawn = chance.integers(len(trials), size=len(trials))
        found.append(_shares([trials[index] for index in drawn], distributions))
    table = {name: np.array([shares[name] for shares in found]) for name in distributions}
    return {
        name: (float(values[0]), *map(float, np.quantile(values[1:], [0.025, 0.975])))  # type: ignore[misc]
        for name, values in table.items()
    }


def _shares(trials: Sequence[Trial], space: dict[str, Any]) -> dict[str, float]:
    if len({trial.value for trial in trials}) == 1:
        return dict.fromkeys(space, 0.0)
    study = _told(trials, space, optuna.samplers.RandomSampler(seed=0))
    evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=TREES, seed=0)
    return optuna.importance.get_param_importances(study, evaluator=evaluator)
