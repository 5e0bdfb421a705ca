"""Which column of a table is what, and its cells as numbers and names; every fault names a row."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from fairtrial.errors import BAD_INPUT, Fault, Problem, did_you_mean, fault, shown
from fairtrial.reporting.wording import SCALES, Scale, listed, plural
from fairtrial.study.factors import spaced
from fairtrial.study.limits import LOWER_IS_BETTER

FRACTION: Final = "fraction"
PERCENT: Final = "percent"
PLAIN: Final = "plain"
SCALE_NAMES: Final = (FRACTION, PERCENT, PLAIN)
_ACCURACIES: Final = ("acc", "top1", "top5", "top-1", "top-5")
_WHOLE: Final = re.compile(r"(-?[0-9]+)\.0+\Z")
_LOSSES: Final = ("loss", "err", "nll", "perplexity", "ppl", "rmse", "mse", "mae", "seconds", "time")


@dataclass(frozen=True)
class TableColumns:
    """The columns of a table that a comparison reads.

    unit: what n counts. pair: what joins rows of two arms within a unit, where one has several; "" where the
    unit does. at: column -> the level at which rows are read. each: a column with a contrast at each level.
    """

    arm: str
    metric: str
    unit: str
    pair: str = ""
    at: Mapping[str, str] | None = None
    each: str = ""

    @property
    def words(self) -> str:
        """'arm from norm, test_acc, paired on seed'; with clusters 'n counts checkpoint'."""
        n = f", n counts {self.unit}" if self.pair else ""
        return f"arms from {self.arm}, values from {self.metric}, paired on {self.pair or self.unit}{n}"


def label(value: Any) -> str:
    """Return a cell as the name of a level or unit: 4, 4.0, '4' and '4.0' are one.

    pandas writes whole numbers as 4.0 as soon as one cell of their column is empty.
    """
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return _WHOLE.sub(r"\1", str(value))


def empty(value: Any) -> bool:
    """Say whether a cell holds nothing: null, NaN, or a text that says so."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return True
    return isinstance(value, str) and value.strip().lower() in ("", "nan", "na", "null", "none")


def find_columns(frame: pd.DataFrame, asked: TableColumns, levels: Sequence[str], where: str) -> TableColumns:
    """Return the columns that are meant; a Fault names every one that is missing, with the nearest name.

    levels: of treatments and controls. An arm or a metric left empty is found where only one column can be
    it.
    """
    named = [asked.unit, asked.pair, asked.arm, asked.metric, asked.each, *(asked.at or {})]
    _refuse_names(frame, named, where)
    missing = [name for name in dict.fromkeys(named) if name and name not in frame.columns]
    if missing:
        known = list(map(str, frame.columns))
        do = f"columns here: {', '.join(known)}"
        raise Fault(
            [
                Problem(f"no column is called {name!r}{did_you_mean(name, known)}", where, do)
                for name in missing
            ],
            BAD_INPUT,
        )
    arm = asked.arm or _arm_column(frame, levels, where)
    taken = {arm, asked.unit, asked.pair, asked.each, *(asked.at or {})}
    metric = asked.metric or _metric_column(frame, taken, where)
    return TableColumns(arm, metric, asked.unit, asked.pair, asked.at or {}, asked.each)


def _refuse_names(frame: pd.DataFrame, named: Sequence[Any], where: str) -> None:
    """Raise a Fault for a name that is no text, and for a table with two columns of one name."""
    for name in named:
        if not isinstance(name, str):
            what = f"{shown(name)} is not the name of a column"
            raise fault(what, where, "give one name, as a text; of several columns make one")
    twice = [name for name, n in Counter(map(str, frame.columns)).items() if n > 1]
    if twice:
        raise fault(f"two columns are called {twice[0]!r}", where, "rename one of them", BAD_INPUT)


def _arm_column(frame: pd.DataFrame, levels: Sequence[str], where: str) -> str:
    wanted = set(levels)
    holding = [str(name) for name in frame.columns if wanted <= set(map(label, frame[name]))]
    if len(holding) == 1:
        return holding[0]
    if holding:
        what = f"{listed(holding)} all hold {listed([repr(level) for level in levels])}"
        raise fault(what, where, "say which column names the arms: --arm COLUMN", BAD_INPUT)
    seen = {text for name in frame.columns for text in set(map(label, frame[name]))}
    lost = next((level for level in levels if level not in seen), levels[0])
    what = f"no column holds {listed([repr(level) for level in levels])}{did_you_mean(lost, seen)}"
    raise fault(what, where, "name a treatment and a control as the table spells them", BAD_INPUT)


def _metric_column(frame: pd.DataFrame, taken: set[str], where: str) -> str:
    free = [str(name) for name in frame.columns if name not in taken]
    # a column with some odd cells is the metric all the same: `numbers` names them
    numeric = [name for name in free if 2 * sum(map(_like_number, frame[name])) > len(frame)]
    known = [name for name in numeric if name in SCALES]
    if len(known) == 1 or len(numeric) == 1:
        return (known or numeric)[0]
    what = f"{plural(len(numeric), 'column')} could be the metric: {', '.join(numeric) or 'none'}"
    raise fault(what, where, "say which: --metric COLUMN", BAD_INPUT)


def _like_number(value: Any) -> bool:
    return not empty(value) and _number(_with_point(value)) is not None


def _with_point(value: Any) -> Any:
    """Return a text with its commas as decimal points, and without a sign of percent."""
    return value.replace(",", ".").rstrip("% ") if isinstance(value, str) else value


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def numbers(rows: pd.DataFrame, metric: str, where: str) -> dict[Any, float]:
    """Return row -> value of the metric; a Fault lists the rows that hold no finite number."""
    values = dict(zip(rows.index, rows[metric], strict=True))
    found = {row: None if empty(value) else _number(value) for row, value in values.items()}
    problems = [
        _no_number(metric, row, values[row], where)
        for row, value in found.items()
        if value is None or not math.isfinite(value)
    ]
    if problems:
        raise Fault(problems, BAD_INPUT)
    return {row: value for row, value in found.items() if value is not None}


def _no_number(metric: str, row: Any, value: Any, where: str) -> Problem:
    place = f"{where}, row {row}"
    if isinstance(value, str) and value.endswith("%") and _number(_with_point(value)) is not None:
        return Problem(f"{metric} is {shown(value)}", place, "write the number alone, without the sign")
    if isinstance(value, str) and "," in value and _number(_with_point(value)) is not None:
        do = "write it with a decimal point, and thousands without a separator"
        return Problem(f"{metric} is {shown(value)}: a decimal comma?", place, do)
    if empty(value) or _number(value) is not None:
        do = "write what a diverged run scores (chance); leave out a run that broke, and say --allow-partial"
        return Problem(f"{metric} is {'empty' if empty(value) else value}: the run gave no number", place, do)
    return Problem(f"{metric} is {shown(value)}, which is no number", place, "write a number, without a unit")


def scale_of(
    metric: str, values: Iterable[float], asked: str, where: str, margin: float | None
) -> tuple[Scale, float]:
    """Return how a metric is shown, and what its values are divided by: percent becomes fractions.

    asked: one of SCALE_NAMES, or empty: a column called accuracy is a fraction or percent by its values.
    """
    if asked and asked not in SCALE_NAMES:
        what = f"unknown scale {asked!r}{did_you_mean(asked, SCALE_NAMES)}"
        raise fault(what, "scale", f"known: {', '.join(SCALE_NAMES)}")
    sizes = sorted(values)
    low, high = sizes[0], sizes[-1]
    kind = asked or (_kind(metric, sizes, where) if _is_accuracy(metric) else PLAIN)
    if kind == PLAIN:
        digits = 3 if not margin else max(0, 1 - math.floor(math.log10(margin)))
        return _scale(metric, f"in {spaced(metric)}", 1, digits), 1.0
    if low < 0 or high > (1 if kind == FRACTION else 100):
        what = f"{metric} holds {low if low < 0 else high:g}, which is no {kind}"
        raise fault(what, where, "say --scale plain for a metric that is no share", BAD_INPUT)
    return _scale(metric, "points", 100, 1), 1.0 if kind == FRACTION else 100.0


def _scale(metric: str, unit: str, factor: float, digits: int) -> Scale:
    """Return the scale of a metric of ours under its name, or one under the column's."""
    own = SCALES.get(metric)
    if own is not None and own.factor == factor:
        return own
    return Scale(spaced(metric), unit, factor, digits)


def _is_accuracy(metric: str) -> bool:
    return any(word in metric.lower() for word in _ACCURACIES)


def _kind(metric: str, sizes: Sequence[float], where: str) -> str:
    """Say whether accuracies are fractions or percent; both in one column is a Fault."""
    if sizes[-1] <= 1:
        return FRACTION
    below = [value for value in sizes if value <= 1]
    if below:
        what = f"{metric} holds {sizes[-1]:g} and {below[-1]:g}: percent beside fractions?"
        do = "write all as fractions or all as percent; --scale percent if they are all percent"
        raise fault(what, where, do, BAD_INPUT)
    return PERCENT


def lower_is_better(metric: str, asked: bool | None, where: str) -> bool:
    """Say in which direction a metric is good; a Fault where its name suggests a loss and nobody said."""
    if asked is not None or metric in SCALES:
        return metric in LOWER_IS_BETTER if asked is None else asked
    if _is_accuracy(metric) or not any(word in metric.lower() for word in _LOSSES):
        return False
    do = "say --lower-is-better or --higher-is-better"
    raise fault(f"is a lower {metric} better?", where, do)
