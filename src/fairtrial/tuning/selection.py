"""What the recorded trials choose for each regime: a function of records, without Optuna and without torch.

A regime is an arm with everything that it trains with, but the settings that are tuned. Each gets the same
trials; the best mean score over tuning seeds wins, and what lies within one standard error of it is a tie
that goes to the smaller value (STATISTICS 17.1).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from statistics import fmean, stdev
from typing import Final

from fairtrial.storage.record import Attempt
from fairtrial.study.study import Cell, Regime, Study, regime_of
from fairtrial.study.tuning_plan import Choice, Tuning, widen

MOST_RESAMPLED: Final = (
    4  # tuning seeds of which every resample is looked at; above it one is left out in turn
)


@dataclass(frozen=True)
class Trial:
    """One setting of one regime, at every tuning seed of one search.

    scores: one for each tuning seed, lower is better, inf where the run diverged. accuracies: on the same
    validation images. number: of a sampled trial; None on a grid.
    """

    index: int
    regime: Regime
    number: int | None
    params: Mapping[str, float]
    scores: tuple[float, ...]
    accuracies: tuple[float, ...]
    val_n: int | None
    device_s: float

    @property
    def score(self) -> float:
        """The mean over the tuning seeds."""
        return fmean(self.scores)

    @property
    def failed(self) -> bool:
        """Whether any of its runs diverged."""
        return not all(map(math.isfinite, self.scores))

    def at(self, picked: Sequence[int]) -> Trial:
        """Return the same trial with its tuning seeds resampled."""
        return replace(self, scores=tuple(self.scores[each] for each in picked))


@dataclass(frozen=True)
class Stage:
    """How far tuning is. grid: values tried by now; pending: missing cells; choices: once none is missing."""

    grid: tuple[float, ...]
    cells: tuple[Cell, ...]
    pending: tuple[Cell, ...]
    choices: Mapping[tuple[int, Regime], Choice]
    trials: tuple[Trial, ...]

    @property
    def complete(self) -> bool:
        """Whether every regime has what it was given."""
        return not self.pending

    def added(self, tuning: Tuning) -> tuple[float, ...]:
        """The values beyond the declared grid."""
        return tuple(value for value in self.grid if value not in tuning.grid)


def advance(study: Study, outcomes: Mapping[str, Attempt], spent_s: Mapping[str, float]) -> Stage:
    """Return how far the tuning of a grid is, widened for all regimes while a choice lies at an edge.

    outcomes: cell -> the attempt that counts; spent_s: cell -> device seconds of all its attempts.
    """
    tuning = study.tuning
    assert tuning is not None
    grid = tuning.grid
    while True:
        (name,) = tuning.names
        cells = tuple(study.tuning_cells([{name: value} for value in grid]))
        pending = tuple(cell for cell in cells if cell.id not in outcomes)
        trials = tuple(_trials(study, cells, outcomes, spent_s))
        if pending:
            return Stage(grid, cells, pending, {}, trials)
        choices = choose_all(study, trials)
        wider = widen(grid, [choice.params[name] for choice in choices.values()], tuning.grid)
        if wider == grid:
            return Stage(grid, cells, (), choices, trials)
        grid = wider


def choose_all(study: Study, trials: Iterable[Trial]) -> dict[tuple[int, Regime], Choice]:
    """Return (search, regime) -> what it gets; a regime of which every trial diverged gets the smallest."""
    groups: defaultdict[tuple[int, Regime], list[Trial]] = defaultdict(list)
    for trial in trials:
        groups[trial.index, trial.regime].append(trial)
    return {key: _choice(key[0], group) for key, group in groups.items()}


def _choice(index: int, trials: Sequence[Trial]) -> Choice:
    won = select(trials)
    draws = list(_resamples(len(won.scores)))
    same = sum(select([trial.at(draw) for trial in trials]).params == won.params for draw in draws)
    return Choice(
        index,
        won.params,
        stability=same / len(draws),
        trials=len(trials),
        failed=sum(trial.failed for trial in trials),
        device_s=round(sum(trial.device_s for trial in trials), 3),
    )


def select(trials: Sequence[Trial]) -> Trial:
    """Return the trial with the smallest setting among those within one standard error of the best mean.

    The standard error is that of the best trial over its tuning seeds; with one seed there is none.
    """
    best = min(trials, key=lambda trial: (trial.score, _size(trial)))
    finite = len(best.scores) > 1 and math.isfinite(best.score)
    error = stdev(best.scores) / math.sqrt(len(best.scores)) if finite else 0.0
    return min((trial for trial in trials if trial.score <= best.score + error), key=_size)


def _size(trial: Trial) -> tuple[float, ...]:
    return tuple(value for _, value in sorted(trial.params.items()))


def _resamples(n: int) -> Iterator[tuple[int, ...]]:
    if n <= MOST_RESAMPLED:
        yield from product(range(n), repeat=n)
    else:
        yield from (tuple(each for each in range(n) if each != left) for left in range(n))


def _trials(
    study: Study, cells: Sequence[Cell], outcomes: Mapping[str, Attempt], spent_s: Mapping[str, float]
) -> Iterator[Trial]:
    """The trials whose runs all have an outcome, in the order of their cells."""
    tuning = study.tuning
    assert tuning is not None
    groups: defaultdict[tuple, list[Cell]] = defaultdict(list)
    for cell in cells:
        params = tuple((name, cell.settings[name]) for name in tuning.names)
        search = (cell.seed - tuning.seeds_of(0).start) // tuning.seeds
        groups[search, regime_of(cell.levels), params].append(cell)
    for (search, regime, params), runs in groups.items():
        if all(cell.id in outcomes for cell in runs):
            ended = [outcomes[cell.id] for cell in runs]
            yield Trial(
                search,
                regime,
                runs[0].settings["trial"],
                dict(params),
                scores=tuple(score_of(attempt, tuning.score) for attempt in ended),
                accuracies=tuple(attempt.measured.val_acc or 0.0 for attempt in ended),
                val_n=ended[0].measured.val_n,
                device_s=sum(spent_s.get(cell.id, 0.0) for cell in runs),
            )


def score_of(attempt: Attempt, score: str) -> float:
    """Return what the validation images say of one run at its end, lower is better; inf where it diverged."""
    measured = attempt.measured
    if attempt.status != "done" or not measured.val_curve:
        return math.inf
    _, accuracy, loss = measured.val_curve[-1]
    if score == "val_acc":
        return 1.0 - accuracy
    return math.inf if loss is None else float(loss)
