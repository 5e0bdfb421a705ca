"""Do two presets or data agree? Signs, ranks and intervals of the contrasts of studies, side by side."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from scipy.stats import kendalltau, spearmanr

from fairtrial.errors import fault
from fairtrial.reporting.results.load import Results
from fairtrial.reporting.verdicts.captions import preset
from fairtrial.reporting.verdicts.findings import judge
from fairtrial.reporting.verdicts.interim_analyses import open_study
from fairtrial.reporting.verdicts.rulings import Finding
from fairtrial.reporting.wording import clean, describe_interval, listed, plural
from fairtrial.stats import clopper_pearson
from fairtrial.stats.records import plain
from fairtrial.storage.study_folders import find_study
from fairtrial.study.contrast import Contrast
from fairtrial.study.factors import spaced
from fairtrial.study.limits import MIN_UNITS

_NEAR: Final = 2.0  # octaves: a batch of 64 is still like one of 16
_SIGNS: Final = {"better": 1, "worse": -1}


@dataclass(frozen=True)
class Pair:
    """One contrast as both studies found it.

    same_sign: None where a difference is missing or exactly 0. apart: whether the two 95 % intervals have no
    point in common; None where one of them is missing.
    """

    name: str
    first: Finding
    second: Finding
    same_sign: bool | None
    apart: bool | None


def compare(
    first: str, second: str, where: Sequence[Path], *, partial: bool = False
) -> tuple[dict[str, Any], list[str], bool]:
    """Compare two recorded studies: return data, lines, and whether both are complete.

    Contrasts are matched by name, metric and the factors that they compare; their levels may differ, because
    a preset has its own. Studies of different names, and pairs without a shared contrast, are a Fault.
    """
    both = [open_study(find_study(name, where), partial=partial) for name in (first, second)]
    names = [results.study.name for results in both]
    if names[0] != names[1]:
        what = f"{names[0]} and {names[1]} are different studies"
        raise fault(what, "agree FIRST SECOND", "give two presets of one study, such as shots and shots-mini")
    shared = pairs(*both, partial=partial)
    if not shared:
        raise fault("the two declare no contrast in common", "agree FIRST SECOND", "compare others")
    return _record(both, shared), _lines(both, shared), all(results.sound for results in both)


def pairs(first: Results, second: Results, *, partial: bool = False) -> list[Pair]:
    """Return the contrasts that both declare, in the order of the first."""
    others = {_key(finding): finding for finding in judge(second, partial=partial)}
    ours = [finding for finding in judge(first, partial=partial) if _key(finding) in others]
    return [_pair(finding, others[_key(finding)]) for finding in ours]


def opposed(found: Sequence[tuple[Hashable, Finding]]) -> list[tuple[list[int], list[int]]]:
    """Return the contrasts that other places decide the other way: (those of one place, those of others).

    found: where each was found, its data and preset, with the finding; the answer counts its rows from 0. Of
    contrasts that compare the same elsewhere those at the nearest levels count, nearest from both sides. Each
    is told of once.
    """
    signs = [_SIGNS.get(finding.verdict, 0) * _direction(finding.contrast) for _, finding in found]
    signed = [i for i, sign in enumerate(signs) if sign]
    far = {(i, j): distance(found[i][1].contrast, found[j][1].contrast) for i in signed for j in signed}
    away = {i: [j for j in signed if found[j][0] != found[i][0]] for i in signed}
    nearest = {i: min((far[i, j] for j in away[i]), default=math.inf) for i in signed}
    pairs, told = list[tuple[list[int], list[int]]](), set[int]()
    for one in signed:
        like = [i for i in signed if far[one, i] == 0 and found[i][0] == found[one][0]]
        ours = [i for i in like if signs[i] == signs[one]]
        close = [j for j in away[one] if far[one, j] == nearest[one] == nearest[j] <= _NEAR]
        theirs = [j for j in close if signs[j] != signs[one]]
        if one not in told and {*theirs} - told:
            pairs.append((ours, theirs))
            told |= {*ours, *theirs}
    return pairs


def distance(first: Contrast, second: Contrast) -> float:
    """Return the octaves between the levels of contrasts that compare the same on any data; else inf."""
    both = (first, second)
    ats = [{name: one.at[name] for name in sorted(one.at) if name != "data"} for one in both]
    asked = [
        (one.metric, dict(one.treatment), dict(one.control), [*at], [*one.by])
        for one, at in zip(both, ats, strict=True)
    ]
    if asked[0] != asked[1]:
        return math.inf
    levels = [[*at.values(), *_ends(one)] for one, at in zip(both, ats, strict=True)]
    return sum(_octaves(a, b) for a, b in zip(*levels, strict=True))


def _ends(contrast: Contrast) -> list[Any]:
    """Return the two levels of an interaction, the smaller one first; nothing of another contrast."""
    ends = [level for pair in contrast.by.values() for level in pair]
    return ends[:: _direction(contrast)]


def _direction(contrast: Contrast) -> int:
    """Return -1 for an interaction that is declared from its larger level on, else 1."""
    for first, second in contrast.by.values():
        if all(isinstance(level, (int, float)) for level in (first, second)):
            return -1 if first > second else 1
        return -1 if str(first) > str(second) else 1
    return 1


def _octaves(first: Any, second: Any) -> float:
    if first == second:
        return 0.0
    numbers = all(isinstance(one, (int, float)) and one > 0 for one in (first, second))
    return abs(math.log2(first / second)) if numbers else math.inf


def ranks(shared: Sequence[Pair]) -> tuple[int, float | None, float | None]:
    """Return n, Spearman's and Kendall's correlation of the differences; None below 3 pairs or in ties."""
    known = [(a.estimate, b.estimate) for a, b in (_intervals(pair) for pair in shared) if a and b]
    columns = [list(column) for column in zip(*known, strict=True)]
    if len(known) < MIN_UNITS or any(len(set(column)) == 1 for column in columns):
        return len(known), None, None
    return len(known), float(spearmanr(*columns).statistic), float(kendalltau(*columns).statistic)


def _key(finding: Finding) -> tuple[Any, ...]:
    contrast = finding.contrast
    return contrast.name, contrast.metric, frozenset(contrast.treatment), frozenset(contrast.by)


def _pair(first: Finding, second: Finding) -> Pair:
    a, b = first.interval, second.interval
    sign = None if a is None or b is None or a.estimate * b.estimate == 0 else a.estimate * b.estimate > 0
    finite = a is not None and b is not None and all(map(math.isfinite, (a.low, b.low)))
    apart = (a.high < b.low or b.high < a.low) if finite and a and b else None
    return Pair(first.contrast.name, first, second, sign, apart)


def _intervals(pair: Pair) -> tuple[Any, Any]:
    return pair.first.interval, pair.second.interval


def _lines(both: Sequence[Results], shared: Sequence[Pair]) -> list[str]:
    lines = [f"{_name(results)}: {preset(results.study)}." for results in both]
    for pair in shared:
        sides = " | ".join(
            f"{_name(results)} {spaced(finding.verdict)}, {_said(finding)}"
            for results, finding in zip(both, (pair.first, pair.second), strict=True)
        )
        lines.append(f"{clean(pair.name)}: {sides}; {_judged(pair)}.")
    return [*lines, _signs(shared), _ranked(shared), _far(shared)]


def _name(results: Results) -> str:
    return f"{clean(results.study.name)} ({clean(results.study.preset)})"


def _said(finding: Finding) -> str:
    return finding.reason if finding.interval is None else describe_interval(finding.scale, finding.interval)


def _judged(pair: Pair) -> str:
    sign = {True: "same sign", False: "opposite signs", None: "no sign to compare"}[pair.same_sign]
    apart = {True: "intervals apart", False: "intervals overlap", None: "no intervals to compare"}[pair.apart]
    return f"{sign}, {apart}"


def _signs(shared: Sequence[Pair]) -> str:
    known = [pair.same_sign for pair in shared if pair.same_sign is not None]
    if not known:
        return "Signs: nothing to compare."
    share = clopper_pearson(sum(known), len(known), unit="contrast")
    bounds = f"{100 * share.low:.3g} to {100 * share.high:.3g} %"
    return (
        f"Signs: {sum(known)} of {plural(len(known), 'contrast')} agree (95 % Clopper-Pearson {bounds}, "
        "as if contrasts were independent)."
    )


def _ranked(shared: Sequence[Pair]) -> str:
    n, spearman, kendall = ranks(shared)
    if spearman is None or kendall is None:
        return f"Ranks of the differences: no correlation, n = {plural(n, 'contrast')}."
    return f"Ranks of the differences: Spearman {spearman:.2f}, Kendall {kendall:.2f}, n = {n} contrasts."


def _far(shared: Sequence[Pair]) -> str:
    names = [clean(pair.name) for pair in shared if pair.apart]
    return f"Beyond their 95 % intervals differ: {listed(names) if names else 'none'}."


def _record(both: Sequence[Results], shared: Sequence[Pair]) -> dict[str, Any]:
    n, spearman, kendall = ranks(shared)
    known = [pair.same_sign for pair in shared if pair.same_sign is not None]
    return {
        "study": both[0].study.name,
        "presets": [results.study.preset for results in both],
        "called": [preset(results.study) for results in both],
        "contrasts": [
            {
                "name": pair.name,
                "verdicts": [pair.first.verdict, pair.second.verdict],
                "intervals": [plain(interval) for interval in _intervals(pair)],
                "same_sign": pair.same_sign,
                "apart": pair.apart,
            }
            for pair in shared
        ],
        "signs": {"agree": sum(known), "n": len(known)},
        "ranks": {"n": n, "spearman": spearman, "kendall": kendall},
    }
