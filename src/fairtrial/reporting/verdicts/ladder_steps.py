"""Steps from one arm to another, each in one factor; each may also be left out at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from fairtrial.reporting.wording import clean, level
from fairtrial.study import factors
from fairtrial.study.contrast import Levels, corners
from fairtrial.study.study import Contrast, Study

FEWEST: Final = 3  # steps; fewer are a pair of contrasts


@dataclass(frozen=True)
class Step:
    """One rung: the factor that changes. added, left_out: places among the study's contrasts.

    added: this rung minus the one before. left_out: the last rung minus itself without this step; None where
    no contrast was declared for it.
    """

    factor: str
    level: Any
    added: int
    left_out: int | None


@dataclass(frozen=True)
class Ladder:
    """The arms from the first to the last, one more than there are steps."""

    rungs: tuple[Levels, ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class _Edge:
    """A declared contrast between two arms that differ in one factor."""

    index: int
    factor: str
    low: tuple
    high: tuple


def ladder(study: Study) -> Ladder | None:
    """Return the longest chain of declared contrasts, each between two arms that differ in one factor.

    None below three steps, and where several chains are as long: nobody has said which is meant.
    """
    names = list(study.factors)
    edges = [
        edge for index, contrast in enumerate(study.contrasts) if (edge := _edge(study, index, contrast))
    ]
    chains = [chain for edge in edges for chain in _chains((edge,), edges)]
    most = max(map(len, chains), default=0)
    longest = [chain for chain in chains if len(chain) == most]
    if most < FEWEST or len(longest) != 1:
        return None
    (chain,) = longest
    rungs = [dict(zip(names, arm, strict=True)) for arm in (chain[0].low, *(edge.high for edge in chain))]
    top = chain[-1].high
    ends = {edge.factor: edge.index for edge in edges if edge.high == top}
    steps = [
        Step(edge.factor, rung[edge.factor], edge.index, ends.get(edge.factor))
        for edge, rung in zip(chain, rungs[1:], strict=True)
    ]
    return Ladder(tuple(rungs), tuple(steps))


def rung_names(whole: Ladder) -> list[str]:
    """Return the first arm in words, then what each step changes: '+ gn'."""
    first = clean(factors.label(whole.rungs[0]))
    return [first, *(f"+ {level(step.factor, step.level)}" for step in whole.steps)]


def _chains(begun: tuple[_Edge, ...], edges: Sequence[_Edge]) -> list[tuple[_Edge, ...]]:
    """Return every way to go on from a chain; an arm is entered once, and a factor changed once."""
    fit = [e for e in edges if e.low == begun[-1].high and e.factor not in {past.factor for past in begun}]
    return [begun, *(chain for edge in fit for chain in _chains((*begun, edge), edges))]


def _edge(study: Study, index: int, contrast: Contrast) -> _Edge | None:
    if contrast.by:
        return None
    high, low = (_arm(study, levels) for levels in corners(contrast))
    if low is None or high is None:
        return None
    changed = [name for name, a, b in zip(study.factors, low, high, strict=True) if a != b]
    return _Edge(index, changed[0], low, high) if len(changed) == 1 else None


def _arm(study: Study, levels: Levels) -> tuple | None:
    """Return the one arm of these levels; None where there are several, which are averaged over."""
    known = factors.identities(levels)
    arms = [arm for arm in study.arms() if known.items() <= factors.identities(arm).items()]
    return tuple(arms[0].values()) if len(arms) == 1 else None
