"""A table of runs -> contrasts between its arms: the intervals, verdicts and sentences of a study's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import pandas as pd

from fairtrial.errors import BAD_INPUT, Fault, Problem, did_you_mean, fault
from fairtrial.reporting.comparison.table_columns import (
    TableColumns,
    empty,
    find_columns,
    label,
    lower_is_better,
    numbers,
    scale_of,
)
from fairtrial.reporting.results.inference_rule import InferenceRule
from fairtrial.reporting.results.paired_sides import ContrastSide, differences
from fairtrial.reporting.results.replication_units import unit_of_pairs
from fairtrial.reporting.verdict_view import Verdicts
from fairtrial.reporting.verdicts.rulings import Finding, decide, limits_of, lost_pairs, with_checks
from fairtrial.reporting.verdicts.sentences import compose
from fairtrial.reporting.wording import Scale, clean, listed, plural
from fairtrial.study.contrast import Contrast, corners, is_margin
from fairtrial.study.factors import ARM, spaced
from fairtrial.study.factors import label as arm_label
from fairtrial.study.study import ALPHA, Study

CLAIMED: Final = "parity, tuning, test reads and the time of the declaration are the table's own claim"
Key = tuple[str, ...]  # a unit, and within it the pair


@dataclass(frozen=True)
class Asked:
    """What a person asks of a table.

    margin: the smallest difference that matters, in points of an accuracy, else in the metric's own unit;
    None: one point, for accuracies alone. scale: 'fraction', 'percent', 'plain'; empty: by name and values.
    """

    columns: TableColumns
    treatments: Sequence[str]
    control: str
    margin: float | None = None
    scale: str = ""
    lower_is_better: bool | None = None
    alpha: float = ALPHA
    allow_partial: bool = False


def compare_table(frame: pd.DataFrame, asked: Asked, where: str) -> Verdicts:
    """Judge contrasts between arms of a table; Holm runs over all of them.

    where: what the table is called in faults. A Fault (exit code 3) names what is wrong with the table.
    """
    asked = _with_names(asked)
    levels = [*asked.treatments, asked.control]
    columns = find_columns(frame, asked.columns, levels, where)
    rows = _rows(frame, columns, levels, where)
    values = numbers(rows, columns.metric, where)
    scale, size = scale_of(columns.metric, values.values(), asked.scale, where, asked.margin)
    margin = _margin(asked.margin, scale, values, where)
    values = {row: value / size for row, value in values.items()}
    cells, keys = _cells(rows, values, columns, where)
    rule = InferenceRule(asked.alpha)
    contrasts = _contrasts(rows, columns, asked, margin)
    measured = [_measure(cells, one, scale, columns, keys) for one in contrasts]
    _refuse_unpaired(measured, keys, columns, where, partial=asked.allow_partial)
    measured = [f if f.reason else replace(f, interval=limits_of(f, rule, rule.level)) for f in measured]
    higher = not lower_is_better(columns.metric, asked.lower_is_better, where)
    decided = decide(measured, rule, lambda finding: {"higher_is_better": higher})
    judged = tuple(f if f.ruling is None else with_checks(f, rule, [CLAIMED]) for f in decided)
    about = f"{plural(len(rows), 'row')} of {where}: {columns.words}"
    names = tuple("/".join(key) for key in keys)
    return Verdicts(judged, tuple(map(compose, judged)), rule, about, keys=names)


def _with_names(asked: Asked) -> Asked:
    """Return what is asked with every level by its name; a Fault where no two arms are compared."""
    treatments, control = list(map(label, asked.treatments)), label(asked.control)
    if not treatments or control in treatments:
        what = f"treatment and control are both {control!r}" if treatments else "no treatment is named"
        raise fault(what, "treatment", "name two arms of the table")
    if twice := next((one for one, n in Counter(treatments).items() if n > 1), None):
        raise fault(f"treatment {twice!r} is named twice", "treatment", "name each arm once")
    at = {name: label(level) for name, level in (asked.columns.at or {}).items()}
    return replace(asked, treatments=treatments, control=control, columns=replace(asked.columns, at=at))


def _rows(frame: pd.DataFrame, columns: TableColumns, levels: Sequence[str], where: str) -> pd.DataFrame:
    """Return the rows of the arms that are compared, at the levels asked for, with every name as text."""
    names = [columns.arm, columns.unit, columns.pair, columns.each, *(columns.at or {})]
    rows = frame.copy()
    for name in dict.fromkeys(filter(None, names)):
        rows[name] = rows[name].map(lambda value: "" if empty(value) else label(value))
    for name, level in (columns.at or {}).items():
        _known(name, [level], rows, where)
        rows = rows[rows[name] == level]
    _known(columns.arm, levels, rows, where)
    rows = rows[rows[columns.arm].isin(levels)]
    do = "fill it in, or leave the row out"
    problems = [
        Problem(f"{name} is empty", f"{where}, row {row}", do)
        for name in filter(None, (columns.unit, columns.pair, columns.each))
        for row in rows.index[rows[name] == ""]
    ]
    if problems:
        raise Fault(problems, BAD_INPUT)
    return rows


def _known(name: str, levels: Sequence[str], rows: pd.DataFrame, where: str) -> None:
    present = list(dict.fromkeys(rows[name]))
    do = f"levels of {name}: {', '.join(present[:20])}"
    problems = [
        Problem(f"no row has {name} {level!r}{did_you_mean(level, present)}", where, do)
        for level in levels
        if level not in present
    ]
    if problems:
        raise Fault(problems, BAD_INPUT)


def _margin(margin: float | None, scale: Scale, values: Mapping[Any, float], where: str) -> float:
    if margin is None and scale.factor == 100:
        return Study.margin
    if margin is None:
        what = f"which difference in {scale.name} is too small to matter?"
        raise fault(what, where, f"say it in the unit of {scale.name}: --margin 0.05")
    if not is_margin(margin):
        raise fault(f"the margin {margin!r} is not a number above 0", "--margin", "write for example 1")
    largest = max(map(abs, values.values()))
    if scale.factor == 1 and margin > largest:
        what = f"the margin {margin:g} is larger than every value of {scale.name} (at most {largest:g})"
        raise fault(what, "--margin", "give it in the unit of the metric; --scale fraction takes points")
    return margin / scale.factor


def _cells(
    rows: pd.DataFrame, values: Mapping[Any, float], columns: TableColumns, where: str
) -> tuple[dict[Key, dict[Key, float]], tuple[Key, ...]]:
    """Return (arm, level of `each`) -> unit -> value, and the units in order; a Fault names what is twice."""
    names = [columns.unit, *([columns.pair] if columns.pair else [])]
    arms = [columns.arm, *([columns.each] if columns.each else [])]
    cells: dict[Key, dict[Key, float]] = {}
    first: dict[tuple[Key, Key], Any] = {}
    problems = []
    for row, arm, key in zip(rows.index, _keys(rows, arms), _keys(rows, names), strict=True):
        if (arm, key) in first:
            place = listed([f"{name} {text}" for name, text in zip(names, key, strict=True)])
            what = f"{arm[0]} has two rows at {place}: {first[arm, key]} and {row}"
            problems.append(Problem(what, f"{where}, row {row}", _apart(columns)))
        first.setdefault((arm, key), row)
        cells.setdefault(arm, {})[key] = values[row]
    if problems:
        raise Fault(problems, BAD_INPUT)
    return cells, tuple(sorted({key for units in cells.values() for key in units}, key=_order))


def _keys(rows: pd.DataFrame, names: Sequence[str]) -> list[Key]:
    return list(map(tuple, rows[list(names)].to_numpy().tolist()))


def _apart(columns: TableColumns) -> str:
    """Say what tells two rows of an arm at one unit apart."""
    pair = "" if columns.pair else "; --pair COLUMN where a unit holds several runs of an arm"
    return f"choose one with --at COLUMN=LEVEL, or compare at --each level of a column{pair}"


def _order(key: Key) -> tuple[tuple[bool, float, str], ...]:
    """Return what sorts '2' before '10', and numbers before names."""
    return tuple((not text.isdigit(), float(text) if text.isdigit() else 0.0, text) for text in key)


def _contrasts(rows: pd.DataFrame, columns: TableColumns, asked: Asked, margin: float) -> list[Contrast]:
    at = dict(columns.at or {})
    each: list[dict[str, str]] = [{}]
    if columns.each:
        levels = sorted(set(rows[columns.each]), key=lambda text: _order((text,)))
        each = [{columns.each: level} for level in levels]
    return [
        Contrast(
            name=arm_label({**({ARM: treatment} if len(asked.treatments) > 1 or not level else {}), **level}),
            treatment={ARM: treatment},
            control={ARM: asked.control},
            at={**at, **level},
            metric=columns.metric,
            margin=margin,
        )
        for level in each
        for treatment in asked.treatments
    ]


def _measure(
    cells: Mapping[Key, Mapping[Key, float]],
    contrast: Contrast,
    scale: Scale,
    columns: TableColumns,
    keys: Sequence[Key],
) -> Finding:
    """Return a contrast with its sides and differences; refused where too many of its pairs are missing."""
    of_sides = [
        cells.get((one[ARM], *([one[columns.each]] if columns.each else [])), {}) for one in corners(contrast)
    ]
    wanted = [seed for seed, key in enumerate(keys) if any(key in side for side in of_sides)]
    parts = tuple(
        _side(one[ARM], {seed: side[keys[seed]] for seed in wanted if keys[seed] in side}, wanted)
        for one, side in zip(corners(contrast), of_sides, strict=True)
    )
    names = [clean(spaced(name)) for name in (columns.unit, columns.pair) if name]
    unit = unit_of_pairs(names, {seed: keys[seed] for seed in wanted})
    found = differences(parts, wanted)
    assert contrast.margin is not None
    return Finding(
        contrast=contrast,
        scale=scale,
        margin=contrast.margin,
        sides=parts,
        unit=unit,
        differences=found,
        gap=None,
        verdict="refused",
        reason=lost_pairs(parts, len(found)),
    )


def _side(name: str, values: dict[int, float], wanted: Sequence[int]) -> ContrastSide:
    return ContrastSide(
        name=clean(name),
        values=values,
        spent=None,
        runs=len(values),
        failures=Counter(),
        failed_seeds=frozenset(),
        missing=Counter(),
        missing_seeds=frozenset(wanted) - values.keys(),
        per_seed=1,
        overlap=0,
    )


def _refuse_unpaired(
    measured: Sequence[Finding], keys: Sequence[Key], columns: TableColumns, where: str, *, partial: bool
) -> None:
    """Raise a Fault where units lack an arm, unless `partial`; in any case where no pair is left."""
    problems = []
    for finding in measured:
        lost = [(side, sorted(side.missing_seeds)) for side in finding.sides if side.missing_seeds]
        if not lost or (partial and finding.differences):
            continue
        name = columns.pair or columns.unit
        said = [
            f"{side.name} has no row at {name} {listed([keys[seed][-1] for seed in seeds[:5]])}"
            + (f" and {len(seeds) - 5} more" if len(seeds) > 5 else "")
            for side, seeds in lost
        ]
        of = f"contrast {finding.contrast.name}: " if len(measured) > 1 else ""
        pairs = plural(len(finding.differences), "complete pair")
        do = (
            "run what is missing; --allow-partial compares the complete pairs, up to a fifth missing"
            if finding.differences
            else f"both arms need runs at the same {name}: the comparison is paired"
        )
        problems.append(Problem(f"{of}{'; '.join(said)} ({pairs})", where, do))
    if problems:
        raise Fault(problems, BAD_INPUT)
