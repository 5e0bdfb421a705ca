"""Would a faster kernel change the verdict at equal seconds? Answered from what is recorded, or not at all.

A kernel that takes the share f of a step and becomes k times faster makes the step 1 - f·(1 - 1/k) as long.
f comes from step times (kernel.py) and has an interval; each row is judged at both of its limits too.

At equal seconds the faster arm makes more updates: its recorded number over that ratio. Two readings:

more   The same seconds, more updates. What the arm scores then lies between finished runs of the same
       settings, seed and draws with other budgets (budgets.py), on a line over the logarithm of the updates.
       `sure` when the runs below and above, put in its place, get the same verdict. The interval is that of
       the mean on this line: runs made there would scatter a little more.
same   The same updates, fewer seconds; needs nothing but this study. The faster arm ends early with the
       score it has, and the other one is read from its own curve at that moment (early.py), in the middle of
       its schedule and thus too low. So this is the most that the faster arm can gain; the recorded
       difference is the least, as more updates of a whole schedule are taken to do no harm. A verdict is told
       where both ends, at every limit of the share, get the recorded one: this reading can only show that a
       verdict stays. It never shows it of `inconclusive`: between two such ends anything may be found.

`more` decides where it reaches, `same` where it does not. Whatever is left open is told as open: nothing is
extrapolated. Verdicts are those of verdicts.py, with its margin, its pairs and its Holm family, in which all
contrasts have the faster kernel at once. k = 1 is the recorded study.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from fairtrial.reporting.results.budgets import ABOVE, BELOW, BETWEEN, Budgets, recorded
from fairtrial.reporting.results.load import Results
from fairtrial.reporting.verdicts import kernel
from fairtrial.reporting.verdicts.findings import Finding
from fairtrial.reporting.verdicts.kernel import Share
from fairtrial.reporting.verdicts.worlds import Worlds
from fairtrial.storage.store import Store

FREE: Final = math.inf
TIMES: Final = (1.0, 1.5, 2.0, 4.0, FREE)
_HALVINGS: Final = 12  # of the distance between two of TIMES, in search of the break-even


@dataclass(frozen=True)
class Row:
    """One contrast with a kernel so many times faster.

    verdict: None where it cannot be told, and `reason` says why. reading: 'recorded', 'more' or 'same'.
    sure: whether the runs around it say the same. finding: the difference that is shown, under 'same' the
    one that favours the faster arm most. steps: the updates of each faster arm, as recorded and as they
    would be.
    """

    faster: float
    ratios: tuple[float, ...]
    steps: tuple[tuple[float, float], ...]
    reading: str
    verdict: str | None
    reason: str = ""
    sure: bool = False
    finding: Finding | None = None


@dataclass(frozen=True)
class BreakEven:
    """The smallest speed-up that changes the verdict, at the share and at its upper and lower limit.

    Infinite: none does. NaN: the records do not reach far enough to tell. to: the verdict that follows.
    """

    times: float
    low: float
    high: float
    to: str = ""


@dataclass(frozen=True)
class Case:
    """A declared contrast under faster kernels; without rows where `problem` says why there are none."""

    recorded: Finding
    shares: tuple[Share, ...]
    rows: tuple[Row, ...] = ()
    break_even: BreakEven | None = None
    problem: str = ""

    def changed(self, row: Row) -> bool | None:
        """Whether the verdict becomes another one; None where that cannot be told."""
        return None if row.verdict is None else row.verdict != self.recorded.verdict


@dataclass(frozen=True)
class WhatIf:
    """All contrasts of a study with a faster kernel.

    kernel: its name. seconds: the budget of a cell. budgets: what was read between.
    """

    kernel: str
    seconds: float
    cases: tuple[Case, ...]
    budgets: Budgets


def examine(
    results: Results,
    store: Store,
    *,
    times: Sequence[float] = TIMES,
    share: float | None = None,
    partial: bool = False,
) -> WhatIf | None:
    """Every declared contrast at each speed-up; None where nothing can be said of any.

    That is: cells are missing, the budget is not in seconds, or no arm has the kernel.

    share: the kernel's part of the treatment's step, where it was measured elsewhere or is another kernel.
    """
    if results.study.budget.kind != "seconds" or not (results.sound or partial):
        return None
    worlds = Worlds(results, recorded(results, store), share, partial)
    cases = tuple(_case(worlds, index, times) for index in range(len(results.study.contrasts)))
    if not any(case.shares for case in cases):
        return None
    name = kernel.STD_CONV if share is None else "the kernel"
    return WhatIf(name, results.study.budget.amount, cases, worlds.budgets)


def _case(worlds: Worlds, index: int, times: Sequence[float]) -> Case:
    """Everything about one contrast."""
    recorded, shares = worlds.ruled[index], [share for share in worlds.shares[index] if share]
    if not worlds.spared[index]:
        return Case(recorded, (), problem="no arm of it has the kernel")
    if len(shares) < len(worlds.shares[index]):
        return Case(recorded, (), problem="an arm of it was not recorded without the kernel")
    rows = tuple(_row(worlds, index, faster) for faster in times)
    even = None if recorded.verdict == "refused" else _break_even(worlds, index)
    return Case(recorded, tuple(shares), rows, even)


def _row(worlds: Worlds, index: int, faster: float) -> Row:
    recorded = worlds.ruled[index]
    ratios = tuple(share.step(faster) for share in worlds.shares[index] if share)
    steps = tuple(
        (before, before / ratio if ratio else math.inf)
        for before, ratio in zip(map(worlds.steps, worlds.spared[index]), ratios, strict=True)
    )
    if faster == 1 or recorded.verdict == "refused":
        word, reading = recorded.verdict, "recorded"
        return Row(faster, ratios, steps, reading, word, recorded.reason, True, recorded)
    found = {limit: worlds.more(faster, limit, BETWEEN)[index] for limit in kernel.LIMITS}
    told = [finding for finding in found.values() if finding is not None]
    if len(told) < len(found):
        return _bounded(worlds, index, Row(faster, ratios, steps, "same", None))
    row = Row(faster, ratios, steps, "more", None, finding=found["estimate"])
    if len({finding.verdict for finding in told}) > 1:
        few, many = (finding.verdict.replace("_", " ") for finding in (told[0], told[-1]))
        return replace(row, reason=f"it is {few} with the smallest share and {many} with the largest")
    around = [worlds.more(faster, "estimate", how)[index] for how in (BELOW, ABOVE)]
    word = told[1].verdict
    return replace(row, verdict=word, sure=all(each and each.verdict == word for each in around))


def _bounded(worlds: Worlds, index: int, row: Row) -> Row:
    """The row by the least and the most that the faster arm can gain."""
    found = [worlds.same(row.faster, limit)[index] for limit in ("estimate", "high")]
    if found[0] is None or found[1] is None:
        return replace(row, reason="neither longer runs nor a curve of the other arm reach there")
    row, word = replace(row, finding=found[0]), worlds.ruled[index].verdict
    others = [f.verdict for f in found if f is not None and f.verdict != word]
    if not others and word == "inconclusive":
        return replace(row, reason="no longer runs are recorded, and what is inconclusive may get decided")
    if not others:
        return replace(row, verdict=word, sure=True)
    other = others[-1].replace("_", " ")
    return replace(row, reason=f"no longer runs are recorded, and at best it is {other}")


def _break_even(worlds: Worlds, index: int) -> BreakEven:
    rows = [_row(worlds, index, faster) for faster in TIMES]
    if all(row.verdict == worlds.ruled[index].verdict for row in rows):
        return BreakEven(math.inf, math.inf, math.inf)
    times, word = _flip(worlds, index, "estimate")
    low, high = _flip(worlds, index, "high")[0], _flip(worlds, index, "low")[0]
    return BreakEven(times, low, high, word)


def _flip(worlds: Worlds, index: int, limit: str) -> tuple[float, str]:
    """The smallest speed-up with another verdict, and that verdict; bisected in 1 - 1/k."""

    def word(saved: float) -> str | None:
        finding = worlds.more(1 / (1 - saved) if saved < 1 else FREE, limit, BETWEEN)[index]
        return None if finding is None else finding.verdict

    was, below = worlds.ruled[index].verdict, 0.0
    for saved in (1 - 1 / times for times in TIMES[1:]):
        if word(saved) is None:
            return math.nan, ""
        if word(saved) != was:
            return _bisected(word, was, below, saved)
        below = saved
    return math.inf, ""


def _bisected(word: Callable[[float], str | None], was: str, below: float, above: float) -> tuple[float, str]:
    """Where between two savings the verdict turns, as a speed-up, and what it turns to."""
    for _ in range(_HALVINGS):
        middle = (below + above) / 2
        below, above = (middle, above) if word(middle) == was else (below, middle)
    return 1 / (1 - above) if above < 1 else FREE, word(above) or ""
