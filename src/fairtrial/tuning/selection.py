"""What the recorded trials choose for each regime: a function of records, without Optuna and without torch.

A regime is an arm with everything that it trains with, but the settings that are tuned. Each gets the same
trials; the best mean score over tuning seeds wins, and what lies within one standard error of it is a tie
that goes to the smaller value (STATISTICS 17.1).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Final

from fairtrial.storage.record import Attempt
from fairtrial.study.contrast import Levels
from fairtrial.study.failure_policy import chance
from fairtrial.study.study import Cell, Regime, Study, regime_of
from fairtrial.study.tuning_plan import Choice, Params, Tuning, widen

# Tuning seeds of which every resample is looked at; above, each is left out in turn.
MOST_RESAMPLED: Final = 4
# Shares of a few hundred images often lie exactly one standard error apart, but for the last digits of a sum.
_DIGITS: Final = 1e-12


@dataclass(frozen=True)
class Trial:
    """One setting of one regime, at every tuning seed of one search.

    scores: one for each tuning seed, lower is better, inf where the run diverged. accuracies: on the same
    validation images, chance where it diverged. number: in the order of the proposals, or of a grid. runs:
    what they are of.
    """

    number: int
    params: Params
    scores: tuple[float, ...]
    accuracies: tuple[float, ...]
    val_n: int | None
    device_s: float
    classes: int | None = None
    runs: tuple[Attempt, ...] = ()

    @property
    def score(self) -> float:
        """The mean over the tuning seeds."""
        return math.fsum(self.scores) / len(self.scores)

    @property
    def failed(self) -> bool:
        """Whether any of its runs diverged."""
        return not all(map(math.isfinite, self.scores))

    def at(self, picked: Sequence[int]) -> Trial:
        """Return the same trial with its tuning seeds resampled."""
        return replace(self, scores=tuple(self.scores[each] for each in picked))


Outcomes = Mapping[str, Attempt]  # cell -> the attempt that counts
Runs = Mapping[tuple[int, Regime], list[Trial]]  # (search, regime) -> its trials


@dataclass(frozen=True)
class Effort:
    """What tuning one regime took, over all its searches."""

    trials: int
    failed: int
    device_s: float


@dataclass(frozen=True)
class Stage:
    """How far tuning is.

    grid: values tried by now, the declared ones and those added beyond an edge; empty where the space is
    sampled. cells: of every trial by now; pending: those without an outcome. choices: empty while any is.
    """

    grid: tuple[float, ...]
    cells: tuple[Cell, ...]
    pending: tuple[Cell, ...]
    choices: Mapping[tuple[int, Regime], Choice]
    trials: Runs

    @property
    def complete(self) -> bool:
        """Whether every regime has its choice."""
        return not self.pending

    def effort(self, levels: Levels) -> Effort:
        """Return what tuning an arm took."""
        arm = regime_of(levels)
        trials = [trial for (_, regime), each in self.trials.items() if regime == arm for trial in each]
        failed = sum(trial.failed for trial in trials)
        return Effort(len(trials), failed, round(sum(trial.device_s for trial in trials), 3))

    @property
    def progress(self) -> str:
        """'31 of 80 trial runs'."""
        return f"{len(self.cells) - len(self.pending)} of {len(self.cells)} trial runs"

    @property
    def chosen(self) -> dict[tuple[int, Regime], Params]:
        """(search, regime) -> its settings."""
        return {key: choice.params for key, choice in self.choices.items()}


def resolve(study: Study, outcomes: Outcomes) -> tuple[Study, Stage | None]:
    """Return the study with what its trials chose, and how far its tuning is; None where it has none."""
    if study.tuning is None:
        return study, None
    stage = advance(study, outcomes)
    return study.tuned(stage.chosen), stage


def expected_cells(study: Study, outcomes: Outcomes) -> tuple[list[Cell], tuple[Cell, ...]]:
    """Return the confirmatory cells, as they will be counted while tuning is not complete, and the trials."""
    resolved, stage = resolve(study, outcomes)
    return countable(resolved, stage).cells(), () if stage is None else stage.cells


def countable(resolved: Study, stage: Stage | None) -> Study:
    """Return the study whose cells are counted: until tuning is complete, as they will be."""
    return resolved if stage is None or stage.complete else resolved.provisional()


def advance(study: Study, outcomes: Outcomes) -> Stage:
    """Return how far tuning is; a grid is widened for all regimes while a choice lies at an edge of it."""
    tuning = study.tuning
    assert tuning is not None
    if tuning.sampler != "grid":
        return _sampled(study, outcomes)
    (name,) = tuning.names
    grid = tuning.grid
    while True:
        params = [{name: value} for value in grid]
        stage = _stage(study, outcomes, dict.fromkeys(_keys(study), params), grid)
        wider = widen(grid, [each[name] for each in stage.chosen.values()], tuning.grid)
        if wider == grid:
            return stage
        grid = wider


def _sampled(study: Study, outcomes: Outcomes) -> Stage:
    """Ask Optuna until it waits for results: what is recorded by now lets it propose more."""
    from fairtrial.tuning.optuna_sampler import proposals

    tuning = study.tuning
    assert tuning is not None and tuning.trials is not None
    before: Runs = {}
    while True:
        params = {key: proposals(tuning, key[0], before.get(key, [])) for key in _keys(study)}
        stage = _stage(study, outcomes, params)
        if stage.pending or all(len(each) == tuning.trials for each in params.values()):
            return stage
        before = stage.trials


def _keys(study: Study) -> list[tuple[int, Regime]]:
    assert study.tuning is not None
    arms = [regime_of(levels) for levels in study.arms()]
    return [(index, arm) for index in range(study.tuning.studies) for arm in arms]


def _stage(
    study: Study,
    outcomes: Outcomes,
    params: Mapping[tuple[int, Regime], Sequence[Params]],
    grid: tuple[float, ...] = (),
) -> Stage:
    """The cells of these trials, seed by seed and trial by trial, every arm within a trial."""
    tuning = study.tuning
    assert tuning is not None
    runs: defaultdict[tuple[int, Regime], defaultdict[int, list[Cell]]] = defaultdict(
        lambda: defaultdict(list)
    )
    cells: list[Cell] = []
    most = max(map(len, params.values()), default=0)
    arms = [(levels, regime_of(levels)) for levels in study.arms()]
    for index in range(tuning.studies):
        for seed, number, (levels, regime) in product(tuning.seeds_of(index), range(most), arms):
            key = (index, regime)
            if number < len(params[key]):
                cell = study.trial_cell(levels, seed, params[key][number], None if grid else number)
                runs[key][number].append(cell)
                cells.append(cell)
    pending = tuple(cell for cell in cells if cell.id not in outcomes)
    trials = {
        key: [
            _trial(tuning, number, params[key][number], [outcomes[cell.id] for cell in each])
            for number, each in numbered.items()
            if all(cell.id in outcomes for cell in each)
        ]
        for key, numbered in runs.items()
    }
    choices = {} if pending else {key: _choice(each, tuning.paired_ties) for key, each in trials.items()}
    return Stage(grid, tuple(cells), pending, choices, trials)


def _trial(tuning: Tuning, number: int, params: Params, runs: Sequence[Attempt]) -> Trial:
    return Trial(
        number,
        params,
        scores=tuple(score_of(attempt, tuning.score) for attempt in runs),
        accuracies=tuple(_accuracy(attempt) for attempt in runs),
        val_n=runs[0].measured.val_n,
        device_s=sum(attempt.spent.device_s for attempt in runs),
        classes=next((run.measured.classes for run in runs if run.measured.classes), None),
        runs=tuple(runs),
    )


def _accuracy(attempt: Attempt) -> float:
    """Return the last validation accuracy; chance of a run that diverged, whatever it reached before."""
    measured = attempt.measured
    if attempt.status == "done" and measured.val_acc is not None:
        return measured.val_acc
    return chance(measured.classes)["val_acc"]


def _choice(trials: Sequence[Trial], paired: bool) -> Choice:
    won = select(trials, paired)
    # in any order they choose the same: sums are exact
    draws = Counter(tuple(sorted(draw)) for draw in _resamples(len(won.scores)))
    same = sum(
        times * (select([trial.at(draw) for trial in trials], paired).params == won.params)
        for draw, times in draws.items()
    )
    return Choice(
        won.params,
        stability=same / draws.total(),
        trials=len(trials),
        failed=sum(trial.failed for trial in trials),
        device_s=round(sum(trial.device_s for trial in trials), 3),
    )


def select(trials: Sequence[Trial], paired: bool = False) -> Trial:
    """Return the trial with the smallest setting among those within one standard error of the best mean.

    The standard error is that of the best trial over its tuning seeds; paired: that of the differences from
    it, seed by seed, which leaves out what all trials of a seed share. With one seed there is none.
    """
    best = min(trials, key=lambda trial: (trial.score, _size(trial)))

    def error(trial: Trial) -> float:
        differences = [a - b for a, b in zip(trial.scores, best.scores, strict=True)]
        return _error(differences if paired else best.scores)

    return min((trial for trial in trials if trial.score <= best.score + error(trial) + _DIGITS), key=_size)


def _error(values: Sequence[float]) -> float:
    """Return the standard error of a mean; 0 of one value, or where one is no finite number.

    Not that of `statistics`: exact fractions, for every trial of each of hundreds of resamples.
    """
    n = len(values)
    if n < 2 or not all(map(math.isfinite, values)):
        return 0.0
    mean = math.fsum(values) / n
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1) / n)


def _size(trial: Trial) -> tuple[float, ...]:
    return tuple(value for _, value in sorted(trial.params.items()))


def _resamples(n: int) -> Iterator[tuple[int, ...]]:
    if n <= MOST_RESAMPLED:
        yield from product(range(n), repeat=n)
    else:
        yield from (tuple(each for each in range(n) if each != left) for left in range(n))


def score_of(attempt: Attempt, score: str) -> float:
    """Return what the validation images say of one run at its end, lower is better; inf where it diverged."""
    measured = attempt.measured
    if attempt.status != "done" or not measured.val_curve:
        return math.inf
    _, accuracy, loss = measured.val_curve[-1]
    if score == "val_acc":
        return 1.0 - accuracy
    return math.inf if loss is None else float(loss)
