"""How the arms of a study were tuned, and the settings that each got: part of a declaration.

Study norm has two siblings: norm-tuning holds the trials, norm-tuned runs what they chose with fresh seeds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Final

from fairtrial.study import factors

FIRST_SEED: Final = 1_000_000  # tuning study t trains at this seed + t; a study's own seeds stay below
SAMPLERS: Final = ("random", "tpe")
MOST_TRIALS: Final = 1000
WORST: Final = 0.0  # the validation accuracy of a trial that failed: never NaN, which Optuna leaves out
TRIALS: Final = "-tuning"  # what the siblings' names end in
CHOSEN: Final = "-tuned"

Levels = Mapping[str, Any]


@dataclass(frozen=True)
class Choice:
    """What one tuning study gives one arm. at: the arm's levels; set: settings over those of the study."""

    tuning: int
    at: dict[str, Any]
    set: dict[str, Any]


@dataclass(frozen=True)
class Effort:
    """What tuning one arm took, over all its tuning studies."""

    at: dict[str, Any]
    trials: int
    failed: int
    device_s: float


@dataclass(frozen=True)
class Tuning:
    """The same tuning for every arm, and what came of it.

    trials: of each arm in each tuning study. space: dimensions such as "lr=0.01:1:log". choices: of the
    trials that were proposed, or of the one that won. efforts: empty while the trials are run; they are then
    declared by their design alone.
    """

    trials: int
    studies: int
    sampler: str
    space: tuple[str, ...]
    choices: tuple[Choice, ...] = ()
    efforts: tuple[Effort, ...] = ()

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Tuning:
        """The tuning that a declaration describes."""
        return cls(
            trials=record["trials"],
            studies=record["studies"],
            sampler=record["sampler"],
            space=tuple(record["space"]),
            choices=tuple(Choice(**each) for each in record.get("choices", ())),
            efforts=tuple(Effort(**each) for each in record.get("efforts", ())),
        )

    def record(self) -> dict[str, Any]:
        """JSON-ready: the design, and what it chose once the trials are over."""
        design = {
            "trials": self.trials,
            "studies": self.studies,
            "sampler": self.sampler,
            "space": list(self.space),
            "metric": "val_acc",
            "failed_trial": WORST,
        }
        if not self.efforts:
            return design
        told = {"choices": [asdict(each) for each in self.choices]}
        return design | told | {"efforts": [asdict(each) for each in self.efforts]}

    def index(self, seed: int) -> int:
        """The tuning study that a seed belongs to: dealt out in turn, so that each gets as many."""
        return seed - FIRST_SEED if seed >= FIRST_SEED else seed % self.studies

    def settings(self, levels: Levels, seed: int) -> dict[str, Any] | None:
        """What the tuning study of a seed gives an arm; None where it has chosen nothing."""
        return self._chosen.get((self.index(seed), _key(levels)))

    def effort(self, levels: Levels) -> Effort | None:
        """What tuning an arm took; None where it was not tuned."""
        return next((each for each in self.efforts if _key(each.at) == _key(levels)), None)

    @property
    def words(self) -> str:
        """'10 trials per arm in each of 3 tuning studies, random sampler, space lr=0.01:1:log'."""
        each = f"{self.trials} trials per arm in each of {self.studies} tuning studies"
        return f"{each}, {self.sampler} sampler, space {', '.join(self.space)}"

    @cached_property
    def _chosen(self) -> dict[tuple[int, frozenset], dict[str, Any]]:
        return {(each.tuning, _key(each.at)): each.set for each in self.choices}


def _key(levels: Levels) -> frozenset:
    return frozenset(factors.identities(levels).items())
