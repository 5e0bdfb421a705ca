"""What a study must fulfil before it may run; every fault found at once.

Each check yields Problems whose `where` is a path into the Study, such as factors['norm']; the loader turns it
into a file and a line, or into the option that gave the value.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sized
from typing import TYPE_CHECKING, Any, Final

from fairtrial import factors as table
from fairtrial.budget import Budget
from fairtrial.data.specs import name_of
from fairtrial.errors import Fault, Problem, did_you_mean
from fairtrial.seeds import MAX_SEED

if TYPE_CHECKING:
    from fairtrial.study import Study

METRICS: Final = ("test_acc", "test_loss", "val_acc")
LOWER_IS_BETTER: Final = ("test_loss",)
MOST_CELLS: Final = 100_000
_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,39}")


def problems(study: Study) -> Iterator[Problem]:
    """Everything that is wrong with a study, in the order of its fields."""
    if not isinstance(study.name, str) or not _NAME.fullmatch(study.name):
        allowed = "a lower-case letter, then up to 39 lower-case letters, digits or hyphens"
        yield Problem(f"study name {study.name!r} is not allowed", "name", f"use {allowed}")
    if not isinstance(study.budget, Budget):
        yield Problem(f"budget={study.budget!r} is not a Budget", "budget", "write Budget(examples=2000)")
    settings = [*_setting_problems(study), *_seed_problems(study)]
    yield from settings
    if not isinstance(study.margin, (int, float)) or not 0 < study.margin < math.inf:
        yield Problem(f"margin={study.margin!r} is not a number above 0", "margin", "write for example 0.01")
    if not settings:  # the rest reads levels that must exist
        yield from _arm_problems(study)
        yield from _contrast_problems(study)


def _setting_problems(study: Study) -> Iterator[Problem]:
    if not study.factors:
        yield Problem("no factor is swept", "factors", "sweep at least one factor, e.g. norm=('bn', 'gn')")
    for name, levels in study.factors.items():
        where = f"factors[{name!r}]"
        if name in study.fixed:
            yield Problem(f"{name} is both swept and fixed", where, f"take {name} out of fixed")
        if isinstance(levels, str) or not isinstance(levels, Iterable):
            yield Problem(f"{name}={levels!r} is not a tuple of levels", where, f"write ({levels!r},)")
        elif not tuple(levels):
            yield Problem(f"factor {name} has no levels", where, "give at least one level, or fix it")
        else:
            yield from _level_problems(name, tuple(levels), where)
    for name, value in study.fixed.items():
        yield from _level_problems(name, (value,), f"fixed[{name!r}]")
    sizes = [len(levels) for levels in (*study.factors.values(), study.seeds) if isinstance(levels, Sized)]
    if math.prod(sizes) > MOST_CELLS:
        what = f"{math.prod(sizes):,} cells; at most {MOST_CELLS:,} are allowed"
        yield Problem(what, "factors", "sweep fewer levels or fewer seeds")


def _level_problems(name: str, levels: tuple, where: str) -> Iterator[Problem]:
    if name not in table.FACTORS:
        known = ", ".join(table.FACTORS)
        yield Problem(f"unknown factor {name!r}{did_you_mean(name, table.FACTORS)}", where, f"known: {known}")
        return
    seen = []
    for level in levels:
        try:
            value = table.canon(name, level)
            if name == "data":
                name_of(value)
        except ValueError as error:
            yield Problem(str(error), where, f"give {name} as {table.FACTORS[name].kind.says}")
            continue
        except Fault as error:
            yield Problem(error.problems[0].what, where, error.problems[0].do)
            continue
        if value in seen:
            yield Problem(f"{name}: level {level!r} stands twice (as {value!r})", where, "drop the duplicate")
        seen.append(value)


def _seed_problems(study: Study) -> Iterator[Problem]:
    where = "seeds"
    if not isinstance(study.seeds, Iterable) or isinstance(study.seeds, str):
        yield Problem(f"seeds={study.seeds!r} is not a sequence", where, "write range(10) or (0, 1, 2)")
        return
    if isinstance(study.seeds, Sized) and len(study.seeds) > MOST_CELLS:
        return  # counted above
    seeds = tuple(study.seeds)
    for seed in seeds:
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < MAX_SEED:
            yield Problem(f"seed {seed!r} is not a whole number in 0..{MAX_SEED - 1}", where, "0 is a seed too")
    twice = sorted(seed for seed, count in Counter(seeds).items() if count > 1)
    if twice:
        what = f"seeds {', '.join(map(str, twice))} stand twice; a copy would count as a new replicate"
        yield Problem(what, where, "give each seed once")
    if not seeds:
        yield Problem("no seeds: nothing to run", where, "give at least 3 seeds for an interval")
    elif len(seeds) == 1 and (study.primary or study.secondary):
        what = "one seed (n = 1) gives no interval, but contrasts are declared"
        yield Problem(what, where, "give at least 3 seeds: --seeds 3")


def _arm_problems(study: Study) -> Iterator[Problem]:
    if study.aa is not None:
        if set(study.aa) != set(study.factors):
            what = f"the A/A arm names {sorted(study.aa)}, the study sweeps {sorted(study.factors)}"
            yield Problem(what, "aa", "give aa one level of each swept factor")
        else:
            yield from _unswept(study, study.aa, "aa", "the A/A arm")
    seen: set[str] = set()
    for levels in study.arms():
        settings = study.settings(levels)
        for problem in _batch_problems(settings):
            if problem.what not in seen:
                seen.add(problem.what)
                yield problem


def _batch_problems(settings: dict[str, Any]) -> Iterator[Problem]:
    batch, micro, stat = (settings[name] for name in ("batch_size", "micro_batch", "stat_batch"))
    for part, whole, name in ((micro, batch, "micro_batch"), (stat, micro or batch, "stat_batch")):
        if part is not None and whole % part:
            divisors = ", ".join(str(d) for d in range(1, whole + 1) if whole % d == 0)
            what = f"{name}={part} does not divide the {whole} images it splits"
            yield Problem(what, "factors['batch_size']", f"choose a divisor of {whole}: {divisors}")
    if settings["norm"] != "bn":
        return
    if (stat or micro or batch) == 1:
        what = "norm='bn' over 1 image: a batch statistic of one image is undefined where one value is left"
        yield Problem(what, "factors['batch_size']", "use a batch of at least 2, or another norm for batch 1")
    if micro not in (None, batch) and not settings["bn_split"]:
        what = f"micro_batch={micro} would change BN's batch statistics from {batch} to {micro} images"
        yield Problem(what, "factors['micro_batch']", "drop micro_batch, or state bn_split=True to allow it")


def _contrast_problems(study: Study) -> Iterator[Problem]:
    names = [contrast.name for contrast in study.contrasts]
    for contrast in study.contrasts:
        where, title = f"contrast {contrast.name!r}", f"contrast {contrast.name!r}"
        if names.count(contrast.name) > 1:
            yield Problem(f"{title} is declared twice", where, "give each contrast its own name")
        if contrast.metric not in METRICS:
            what = f"{title}: unknown metric {contrast.metric!r}{did_you_mean(contrast.metric, METRICS)}"
            yield Problem(what, where, f"known: {', '.join(METRICS)}")
        if set(contrast.treatment) != set(contrast.control) or not contrast.treatment:
            what = f"{title}: treatment and control must name the same factors"
            yield Problem(what, where, "give both a level of each factor that differs")
        elif dict(contrast.treatment) == dict(contrast.control):
            yield Problem(f"{title}: treatment and control are one arm", where, "let one level differ")
        if len(contrast.by) > 1 or any(len(tuple(pair)) != 2 for pair in contrast.by.values()):
            yield Problem(f"{title}: by={dict(contrast.by)!r}", where, "name one factor with two levels")
        for levels in (contrast.treatment, contrast.control, contrast.at):
            yield from _unswept(study, levels, where, title)
        for name, pair in contrast.by.items():
            for level in pair:
                yield from _unswept(study, {name: level}, where, title)


def _unswept(study: Study, levels: Levels, where: str, title: str) -> Iterator[Problem]:
    for name, level in levels.items():
        swept = study.factors.get(name)
        if swept is None:
            known = ", ".join(study.factors)
            yield Problem(f"{title} names {name}, which is not swept", where, f"swept factors: {known}")
        elif table.canon(name, level) not in [table.canon(name, other) for other in swept]:
            listed = ", ".join(map(str, swept))
            yield Problem(f"{title} names {name}={level!r}, not a level of it", where, f"levels: {listed}")
