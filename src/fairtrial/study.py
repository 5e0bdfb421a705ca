"""What a study is: factors, seeds, budget, contrasts -> cells with ids."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, Final

from fairtrial import factors as table
from fairtrial.budget import Budget
from fairtrial.checks import problems
from fairtrial.data.specs import name_of
from fairtrial.errors import Fault, did_you_mean, fault
from fairtrial.presets import DEFAULT, PRESETS
from fairtrial.seeds import ROOT

ALPHA: Final = 0.05

Levels = Mapping[str, Any]


@dataclass(frozen=True)
class Contrast:
    """One declared comparison: the mean over seeds of (treatment - control), paired on the seed.

    treatment, control: the levels that differ. at: levels that both share. by: one factor with two levels; the
    contrast is then an interaction, the difference at the first level minus the difference at the second.
    Swept factors that are not named are averaged over within a seed. margin: the smallest difference that matters,
    in the unit of the metric; the study's margin when None.
    """

    name: str
    treatment: Levels
    control: Levels
    at: Levels = field(default_factory=dict)
    by: Levels = field(default_factory=dict)
    metric: str = "test_acc"
    margin: float | None = None

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Contrast:
        """The contrast that `record` describes."""
        return cls(**{**record, "by": {name: tuple(levels) for name, levels in record["by"].items()}})

    def record(self) -> dict[str, Any]:
        """JSON-ready form; its text is what a pre-registration hash covers."""
        return {
            "name": self.name,
            "treatment": dict(self.treatment),
            "control": dict(self.control),
            "at": dict(self.at),
            "by": {name: list(levels) for name, levels in self.by.items()},
            "metric": self.metric,
            "margin": self.margin,
        }


@dataclass(frozen=True)
class Cell:
    """One row of the plan: settings, budget, seed. `replica` 1 is the A/A arm."""

    id: str
    levels: dict[str, Any]
    settings: dict[str, Any]
    budget: Budget
    seed: int
    replica: int
    data: str  # the spec that opens the images here; the identity holds only their name

    @property
    def arm(self) -> str:
        """The arm in words, 'gn+ws, batch 4'."""
        return table.label(self.levels) + (" (A/A)" if self.replica else "")


@dataclass(frozen=True)
class Study:
    """A table that runs: arms = the product of the factors' levels, crossed with the seeds.

    fixed: settings shared by all arms, over those of the preset. presets: what this study changes under a preset
    (any of factors, fixed, budget, seeds, primary, secondary, margin, aa). aa: the levels of the arm that runs
    twice, with other nuisance draws. Raises Fault with every problem found.
    """

    name: str
    question: str
    factors: Mapping[str, tuple]
    budget: Budget
    fixed: Levels = field(default_factory=dict)
    seeds: Iterable[int] = range(10)
    primary: Contrast | tuple[Contrast, ...] = ()
    secondary: tuple[Contrast, ...] = ()
    margin: float = 0.01
    aa: Levels | None = None
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    preset: str = DEFAULT

    def __post_init__(self) -> None:
        if isinstance(self.primary, Contrast):
            object.__setattr__(self, "primary", (self.primary,))
        found = list(problems(self))
        if found:
            raise Fault(found)
        object.__setattr__(self, "seeds", tuple(self.seeds))
        swept = {name: tuple(table.canon(name, level) for level in levels) for name, levels in self.factors.items()}
        object.__setattr__(self, "factors", swept)
        object.__setattr__(self, "fixed", {name: table.canon(name, v) for name, v in self.fixed.items()})

    @classmethod
    def of(cls, declaration: Mapping[str, Any]) -> Study:
        """The study that a declaration describes; its cells have the same ids."""
        fixed = {name: value for name, value in declaration["fixed"].items() if name in table.FACTORS}
        return cls(
            name=declaration["study"],
            question=declaration["question"],
            factors={name: tuple(levels) for name, levels in declaration["factors"].items()},
            budget=Budget.parse(declaration["budget"]),
            fixed=fixed,
            seeds=tuple(declaration["seeds"]),
            primary=tuple(Contrast.of(record) for record in declaration["primary"]),
            secondary=tuple(Contrast.of(record) for record in declaration["secondary"]),
            margin=declaration["margin"],
            aa=declaration["aa"],
            preset=declaration["preset"],
        )

    @property
    def id(self) -> str:
        """The name of the results folder: a preset other than the default one is part of it."""
        return self.name if self.preset == DEFAULT else f"{self.name}-{self.preset}"

    @property
    def contrasts(self) -> tuple[Contrast, ...]:
        """The declared family: primary, then secondary."""
        return tuple(self.primary) + self.secondary  # type: ignore[arg-type]

    def under(self, preset: str) -> Study:
        """The same study with another preset's values; unknown names are a Fault."""
        if preset not in PRESETS:
            what = f"unknown preset {preset!r}{did_you_mean(preset, PRESETS)}"
            raise fault(what, "--preset", f"choose one of: {', '.join(PRESETS)}")
        return replace(self, preset=preset, **dict(self.presets.get(preset, {})))

    def settings(self, levels: Levels) -> dict[str, Any]:
        """Every setting of one arm, in the order of the table: default < preset < fixed < level."""
        chosen = {**PRESETS[self.preset], **self.fixed, **levels}
        return {name: chosen.get(name, row.default) for name, row in table.FACTORS.items()}

    def arms(self) -> list[dict[str, Any]]:
        """The levels of each arm, in declared order, without the A/A arm."""
        return [dict(zip(self.factors, levels, strict=True)) for levels in product(*self.factors.values())]

    def cells(self) -> list[Cell]:
        """Seed by seed, every arm within a seed: any stop leaves complete paired blocks."""
        arms = [(levels, 0) for levels in self.arms()]
        if self.aa is not None:
            arms.append(({name: self.aa[name] for name in self.factors}, 1))
        return [self._cell(levels, seed, replica) for seed in self.seeds for levels, replica in arms]

    def _cell(self, levels: dict[str, Any], seed: int, replica: int) -> Cell:
        settings = self.settings(levels)
        spec, settings["data"] = settings["data"], name_of(settings["data"])
        cell = cell_id(settings, self.budget, seed, replica)
        return Cell(cell, levels, settings, self.budget, seed, replica, spec)

    def declaration(self) -> dict[str, Any]:
        """What is fixed before the first run, JSON-ready; `digest` of it is the pre-registration hash."""
        settings = self.settings({name: levels[0] for name, levels in self.factors.items()})
        return {
            "study": self.name,
            "preset": self.preset,
            "question": self.question,
            "factors": {name: list(levels) for name, levels in self.factors.items()},
            "fixed": {
                name: name_of(value) if name == "data" else value
                for name, value in settings.items()
                if name not in self.factors
            },
            "budget": str(self.budget),
            "seeds": list(self.seeds),
            "primary": [contrast.record() for contrast in self.primary],  # type: ignore[union-attr]
            "secondary": [contrast.record() for contrast in self.secondary],
            "margin": self.margin,
            "alpha": ALPHA,
            "aa": None if self.aa is None else dict(self.aa),
            "failure_policy": "a failed seed scores chance accuracy",
            "root": ROOT,
        }


def cell_id(settings: Levels, budget: Budget, seed: int, replica: int = 0) -> str:
    """12 hex digits over everything that changes the result; settings at their default are left out."""
    told = {name: value for name, value in settings.items() if value != table.FACTORS[name].default}
    return digest({"settings": told, "budget": str(budget), "seed": seed, "replica": replica})[:12]


def digest(value: Any) -> str:
    """sha256 of the canonical JSON text of a value."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spare space; refuses NaN and infinities."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
