"""What Optuna proposes where a space is sampled: a function of the trials before, the same for every arm.

Trial i of search t is proposed by a sampler that is seeded with the stream "tuning" (t, i). The attempt files
are the truth: what Optuna knows is rebuilt from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import optuna

from fairtrial.rng import state
from fairtrial.study.tuning_plan import Params, Range, Tuning
from fairtrial.tuning.selection import Trial

STARTUP: Final = 10  # trials of TPE that are drawn at random before it looks at results, as Optuna does
FAILED: Final = 1e6  # the score of a trial that diverged: never infinite or NaN, which Optuna leaves out


def propose(tuning: Tuning, index: int, number: int, before: Sequence[Trial]) -> dict[str, float]:
    """Return the settings of trial `number` of search `index`. before: the trials that TPE learns from."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    seed, _ = state("tuning", index, number)
    space: dict[str, Any] = {name: _distribution(values) for name, values in tuning.space.items()}
    study = optuna.create_study(sampler=_sampler(tuning.sampler, seed), direction="minimize")
    for trial in before if tuning.sampler == "tpe" and number >= STARTUP else ():
        score = min(trial.score, FAILED)
        study.add_trial(
            optuna.trial.create_trial(params=dict(trial.params), distributions=space, value=score)
        )
    return {name: float(value) for name, value in study.ask(space).params.items()}


def proposals(tuning: Tuning, index: int, trials: Sequence[Trial]) -> list[Params]:
    """Return every trial of one regime that can be proposed by now. trials: its finished ones, by number."""
    found: list[Params] = []
    for number in range(tuning.trials or 0):
        before = [trial for trial in trials if trial.number < number]
        if tuning.sampler == "tpe" and number >= STARTUP and len(before) < number:
            break
        found.append(propose(tuning, index, number, before))
    return found


def _distribution(values: Any) -> optuna.distributions.FloatDistribution:
    assert isinstance(values, Range)
    return optuna.distributions.FloatDistribution(values.low, values.high, log=values.log)


def _sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    if name == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP)
