"""Do two presets of one study agree? Signs, ranks and intervals of their contrasts, side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from fairtrial.study.factors import spaced
from fairtrial.study.limits import MIN_UNITS


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
