"""What a study is: factors, seeds, budget, contrasts -> cells with ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any, Final

from fairtrial.errors import Fault
from fairtrial.plugins import use
from fairtrial.plugins.plugin import Plugin
from fairtrial.rng import ROOT
from fairtrial.study import factors as table
from fairtrial.study.budget import Budget
from fairtrial.study.contrast import Contrast, Levels, as_tuple
from fairtrial.study.failure_policy import DECLARED, FailurePolicy
from fairtrial.study.identity import cell_id
from fairtrial.study.presets import DEFAULT, PRESETS, refuse_undeclared
from fairtrial.study.settings import FACTORS, Settings
from fairtrial.study.source_locations import SOURCE_LOCATIONS, SourceLocations
from fairtrial.study.stopping import Stopping
from fairtrial.study.tuning_plan import Params, Tuning
from fairtrial.study.validation import problems

ALPHA: Final = 0.05
FIXED_LR: Final = "-fixed-lr"  # what the name of a study at one learning-rate rule ends in

Regime = frozenset  # (factor, level) of an arm: what is tuned by itself


@dataclass(frozen=True)
class Cell:
    """One row of the plan: settings, budget, seed. `replica` 1 is the A/A arm."""

    id: str
    levels: dict[str, Any]
    settings: Settings
    budget: Budget
    seed: int
    replica: int
    data: str  # the spec that opens the images here; levels and settings hold only their name
    upstream: str  # the same for the start of the network
    indices: str  # and for the lists of chosen images

    @property
    def upstream_seed(self) -> int | None:
        """The checkpoint that this replicate starts from; None from scratch."""
        return self.settings.upstream_seed(self.seed)

    def record(self) -> dict[str, Any]:
        """Return the cell as JSON, on its way to a worker; `of` reads it."""
        names = ("id", "levels", "seed", "replica", "data", "upstream", "indices", "upstream_seed")
        same = {name: getattr(self, name) for name in names}
        return {**same, "settings": self.settings.record(), "budget": str(self.budget)}

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Cell:
        """Return the cell that `record` describes."""
        rest = {n: record[n] for n in ("id", "levels", "seed", "replica", "data", "upstream", "indices")}
        return cls(settings=Settings.of(record["settings"]), budget=Budget.parse(record["budget"]), **rest)

    @property
    def arm(self) -> str:
        """The arm in words: 'gn+ws, batch 4'; of a trial 'gn+ws, batch 4 (tuning, lr 0.3)'."""
        trial = f" (tuning, lr {self.settings.lr:g})" if self.settings.stage == "tuning" else ""
        return table.label(self.levels) + (" (A/A)" if self.replica else "") + trial


@dataclass(frozen=True)
class Study:
    """A table that runs: arms = the product of the factors' levels, crossed with the seeds.

    fixed: settings shared by all arms, over those of the preset. presets: what this study changes under a
    preset (any of factors, fixed, budget, seeds, primary, secondary, margin, aa, stop, tuning). aa: the
    levels of the arm that runs twice, with other draws. only: some levels each; an arm that fits none is left
    out, so that bn and gn+ws can be compared without bn+ws and gn. home: the preset it was written for,
    `preset` when left out. tuning: how each arm gets its learning rate before the first confirmatory cell;
    None: at one rule for all. chosen: (search, regime) -> what it chose, as far as records tell. stop: the
    rule by which it may end before its last seed, such as "looks". oom: "outcome" where memory is what it
    studies: a run out of memory then scores chance. pilots: what runs that are not recorded chose, in words.
    plugins: files of the user's, from the folder of the study file (docs/plugins.md). cell: the user's own
    training code, "my_train.py:run", or a function. locations: where each value was written. Raises Fault
    with all problems.
    """

    name: str
    question: str
    factors: Mapping[str, Sequence]
    budget: Budget
    fixed: Levels = field(default_factory=dict)
    seeds: Sequence[int] = range(10)
    primary: Contrast | tuple[Contrast, ...] = ()
    secondary: Contrast | tuple[Contrast, ...] = ()
    margin: float = 0.01
    aa: Levels | None = None
    only: Sequence[Levels] = ()
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    preset: str = DEFAULT
    home: str = ""
    tuning: Tuning | None = None
    chosen: Mapping[tuple[int, Regime], Params] = field(default_factory=dict, repr=False, compare=False)
    stop: Stopping | str | None = None
    oom: str = "failure"
    pilots: str = ""
    plugins: Sequence[Any] = ()
    cell: Any = ""
    locations: SourceLocations = field(
        default_factory=lambda: {**SOURCE_LOCATIONS.get()}, repr=False, compare=False
    )
    # (levels, what tuning gives) -> what the cells of all seeds share
    _spelled: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._set(primary=self.primary_contrasts, secondary=as_tuple(self.secondary))
        self._set(home=self.home or self.preset, plugins=use.attached(self))
        found = list(problems(self)) or list(use.problems(self))
        if found:
            raise Fault(found)
        self._set(
            factors={n: tuple(table.canon(n, v) for v in levels) for n, levels in self.factors.items()},
            fixed={name: table.canon(name, value) for name, value in self.fixed.items()},
            seeds=tuple(self.seeds),
            only=tuple(table.identities(levels) for levels in self.only),
            primary=tuple(contrast.canonical() for contrast in self.primary_contrasts),
            secondary=tuple(contrast.canonical() for contrast in as_tuple(self.secondary)),
            aa=None if self.aa is None else {name: table.canon(name, self.aa[name]) for name in self.factors},
            stop=Stopping.parse(self.stop) if isinstance(self.stop, str) else self.stop,
        )

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @classmethod
    def of(cls, declaration: Mapping[str, Any]) -> Study:
        """The study that a declaration describes; its cells have the same ids."""
        own = "cell" in declaration
        fixed = {name: value for name, value in declaration["fixed"].items() if own or name in FACTORS}
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
            only=declaration.get("only", ()),
            preset=declaration["preset"],
            tuning=Tuning.of(declaration["tuning"]) if "tuning" in declaration else None,
            stop=Stopping.of(declaration["stop"]) if "stop" in declaration else None,
            oom=declaration.get("oom", FailurePolicy.oom),
            plugins=tuple(map(Plugin.of, declaration.get("plugins", ()))),
            cell=declaration.get("cell", ""),
        )

    @property
    def id(self) -> str:
        """The name of the results folder: a preset other than the one it was written for is part of it."""
        return self.name if self.preset == self.home else f"{self.name}-{self.preset}"

    @property
    def contrasts(self) -> tuple[Contrast, ...]:
        """The declared family: primary, then secondary."""
        return (*self.primary_contrasts, *as_tuple(self.secondary))

    @property
    def primary_contrasts(self) -> tuple[Contrast, ...]:
        """What the study was made to decide; `primary` may be declared as one contrast."""
        return as_tuple(self.primary)

    @property
    def failures(self) -> FailurePolicy:
        """What the end of an attempt means for its cell."""
        return FailurePolicy(self.oom)

    @property
    def rule(self) -> Stopping | None:
        """The rule by which it may end early; None where every seed runs."""
        return Stopping.parse(self.stop) if isinstance(self.stop, str) else self.stop

    def under(self, preset: str) -> Study:
        """The same study with another preset's values; a preset that it does not declare is a Fault."""
        refuse_undeclared(preset, self)
        changes = dict(self.presets.get(preset, {}))
        locations = {**self.locations, "preset": "--preset"}
        # no preset over a preset
        return replace(self, preset=preset, **changes, presets={}, locations=locations)

    def settings(self, levels: Levels) -> Settings:
        """Every setting of one arm: default < preset < fixed < level; and the user's files that it runs."""
        values = {**PRESETS[self.preset], **self.fixed, **levels}
        return Settings.of(values | use.stamp(self, values))

    def arms(self) -> list[dict[str, Any]]:
        """The levels of each arm that `only` keeps, in declared order, without the A/A arm."""
        return table.combinations(self.factors, self.only)

    def cells(self) -> list[Cell]:
        """Seed by seed, every arm within a seed: any stop leaves complete paired blocks."""
        arms = [(levels, 0, regime_of(levels)) for levels in self.arms()]
        if self.aa is not None:
            arms.append((dict(self.aa), 1, regime_of(self.aa)))
        return [
            self._cell(levels, seed, replica, params)
            for seed in self.seeds
            for levels, replica, regime in arms
            if (params := self._tuned(regime, seed)) is not None
        ]

    def _tuned(self, regime: Regime, seed: int) -> Params | None:
        """What a regime takes at a seed over its settings; None while its tuning is not complete."""
        return {} if self.tuning is None else self.chosen.get((self.tuning.index_of(seed), regime))

    def trial_cell(self, levels: Levels, seed: int, params: Params, number: int | None = None) -> Cell:
        """Return one run of one trial of an arm. number: that of a sampled trial; None on a grid."""
        assert self.tuning is not None
        over = {**params, "stage": "tuning", **({} if number is None else {"trial": number})}
        return self._cell(dict(levels), seed, 0, over, self.budget.scaled(self.tuning.share))

    def tuned(self, chosen: Mapping[tuple[int, Regime], Params]) -> Study:
        """Return the same study with what its tuning chose; nothing of it that is checked changes."""
        same = copy(self)
        same._set(chosen=chosen)
        return same

    def at_one_rule(self, lr: float | None = None) -> Study:
        """Return the study at one learning-rate rule, as declared or `lr`, under a name of its own."""
        fixed = self.fixed if lr is None else {**self.fixed, "lr": lr}
        return replace(self, name=self.name + FIXED_LR, fixed=fixed, tuning=None, presets={})

    def provisional(self) -> Study:
        """Return the study as if every regime had chosen the middle of the space: to count cells."""
        if self.tuning is None:
            return self
        searches, middle = range(self.tuning.studies), self.tuning.middle
        return self.tuned({(index, regime_of(arm)): middle for index in searches for arm in self.arms()})

    def _cell(
        self, levels: Levels, seed: int, replica: int, params: Mapping[str, Any], budget: Budget | None = None
    ) -> Cell:
        key = (frozenset(levels.items()), frozenset(params.items()))
        if key not in self._spelled:
            chosen = self.settings({**levels, **params})
            settings = Settings.of(table.identities(chosen.record()))
            self._spelled[key] = (table.identities(levels), settings, chosen)
        named, settings, chosen = self._spelled[key]
        budget = budget or self.budget
        cell = cell_id(settings, budget, seed, replica)
        return Cell(
            cell, named, settings, budget, seed, replica,
            data=chosen.data, upstream=chosen.upstream, indices=chosen.indices,
        )  # fmt: skip

    def declaration(self) -> dict[str, Any]:
        """What is fixed before the first run, JSON-ready; `digest` of it is the pre-registration hash."""
        fixed = {n: v for n, v in self.settings({}).record().items() if n not in (*self.factors, *use.STAMPS)}
        swept = self.factors.items()
        kept: dict[str, Any] = {"only": [dict(levels) for levels in self.only]} if self.only else {}
        if self.tuning is not None:
            kept["tuning"] = self.tuning.record()
        if self.rule is not None:
            kept["stop"] = self.rule.record()
        if self.oom != FailurePolicy.oom:
            kept["oom"] = self.oom
        return {
            **kept,
            **use.declared(self),
            "study": self.name,
            "preset": self.preset,
            "question": self.question,
            "factors": {name: [table.identity(name, level) for level in levels] for name, levels in swept},
            "fixed": table.identities(fixed),
            "budget": str(self.budget),
            "seeds": list(self.seeds),
            "primary": [contrast.record() for contrast in self.primary_contrasts],
            "secondary": [contrast.record() for contrast in as_tuple(self.secondary)],
            "margin": self.margin,
            "alpha": ALPHA,
            "aa": None if self.aa is None else table.identities(self.aa),
            "failure_policy": DECLARED,
            "root": ROOT,
        }


def regime_of(levels: Levels) -> Regime:
    """Return the key of what is tuned by itself: an arm with everything that it trains with."""
    return frozenset(table.identities(levels).items())
