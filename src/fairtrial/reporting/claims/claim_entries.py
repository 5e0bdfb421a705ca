"""What the ledger holds: claims, their parts, and the evidence of each study and bench on them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fairtrial.reporting.claims.counted_units import Unit, count
from fairtrial.reporting.claims.published_claims import (
    NOT_COMPARABLE,
    SHOWN,
    UNDECIDED,
    Claim,
    Part,
    distance,
)
from fairtrial.reporting.wording import listed, plural
from fairtrial.study.budget import Budget
from fairtrial.study.presets import DEFAULT


@dataclass(frozen=True)
class Source:
    """The study, or the bench of a device, that evidence comes from. called: what it may be called."""

    name: str
    preset: str
    called: str
    budget: Budget | None
    kind: str = "study"

    @property
    def label(self) -> str:
        """'study shots (mini)', 'bench amd-epyc-2-threads'."""
        return f"{self.kind} {self.name}" + (f" ({self.preset})" if self.preset not in ("", DEFAULT) else "")


@dataclass(frozen=True)
class Evidence:
    """What one study says of one part of a claim.

    answer: supported, contradicted, undecided, or "shown" for a part that decides nothing. arms: in words.
    estimate, low, high: in the unit of the record, low and high at the level that decided; None where a
    verdict is refused, with the reason. scale: "same" or "scaled down". n: the units, counted: in words.
    units: by the keys of their runs. same_as: earlier evidence that has every run of this one, which then
    decides nothing. shares: label of a source -> how many runs it has too. distance: to what is published.
    price: what it would take, in words, where it is undecided and that is known. data: of its runs; units on
    other data are counted apart.
    """

    claim: Claim
    part: Part
    source: Source
    answer: str
    scale: str
    arms: str
    reason: str = ""
    estimate: float | None = None
    low: float = -math.inf
    high: float = math.inf
    level: float = 0.95
    n: int = 0
    unit: str = "seed"
    counted: str = ""
    units: tuple[Unit, ...] = ()
    stamps: tuple[str, ...] = ()
    same_as: str = ""
    shares: tuple[tuple[str, int], ...] = ()
    price: str = ""
    data: str = ""

    @property
    def votes(self) -> bool:
        """Whether it helps to decide its part."""
        return self.part.rule != SHOWN and self.answer != NOT_COMPARABLE and not self.same_as

    @property
    def distance(self) -> float | None:
        """How far the estimate lies from what is published."""
        return None if self.estimate is None else distance(self.estimate, self.part.published)


@dataclass(frozen=True)
class PartEntry:
    """One part of a claim with what every study says of it; answer: one of ANSWERS, or "shown"."""

    part: Part
    evidence: tuple[Evidence, ...]
    answer: str

    @property
    def units(self) -> dict[str, dict[str, int]]:
        """Unit -> data -> how many there are in all studies on it, each counted once.

        Units that studies on several data share, as they do checkpoints, stand under all of these data.
        """
        found: dict[str, dict[str, list[Unit]]] = {}
        for one in self.evidence:
            if one.units:
                found.setdefault(one.unit, {}).setdefault(one.data, []).extend(one.units)
        return {unit: _apart(of_data) for unit, of_data in found.items()}

    @property
    def counted(self) -> str:
        """'16 seeds in all', '40 seeds on digits and 10 on parquet:cifar10'; empty without units."""
        units = self.units
        if len({data for of_data in units.values() for data in of_data}) == 1:
            return (
                listed([plural(sum(of_data.values()), unit) for unit, of_data in units.items()]) + " in all"
            )
        phrases = []
        for unit, of_data in units.items():
            counts = [f"{number} on {data}" for data, number in of_data.items()]
            (data, number), *_ = of_data.items()
            phrases.append(listed([f"{plural(number, unit)} on {data}", *counts[1:]]))
        return "; ".join(phrases)


def _apart(of_data: Mapping[str, Sequence[Unit]]) -> dict[str, int]:
    """Count units on each data; together where some of them are the same."""
    apart = {data: count(units) for data, units in of_data.items()}
    together = count(unit for units in of_data.values() for unit in units)
    return apart if together == sum(apart.values()) else {listed([*apart]): together}


@dataclass(frozen=True)
class ClaimEntry:
    """A claim with its parts; answer: one of published_claims.ANSWERS."""

    claim: Claim
    parts: tuple[PartEntry, ...]
    answer: str
    scale: str

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """What every study says, part by part."""
        return tuple(one for part in self.parts for one in part.evidence)

    @property
    def deciding(self) -> tuple[PartEntry, ...]:
        """The parts that a claim rests on."""
        return tuple(part for part in self.parts if part.part.rule != SHOWN)

    @property
    def lacking(self) -> tuple[str, ...]:
        """The parts that decide, and that nothing recorded can speak of."""
        return tuple(part.part.name for part in self.deciding if part.answer == NOT_COMPARABLE)

    @property
    def decided(self) -> str:
        """Return '2 of 5 parts decided'."""
        number = sum(part.answer not in (UNDECIDED, NOT_COMPARABLE) for part in self.deciding)
        return f"{number} of {plural(len(self.deciding), 'part')} decided"
