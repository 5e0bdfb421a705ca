"""What a notebook calls, `import fairtrial as ft`: the work of the commands, as objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from fairtrial.reporting.verdict_view import Verdicts


def compare(
    frame: pd.DataFrame,
    *,
    treatment: str | Sequence[str],
    control: str,
    unit: str = "seed",
    pair: str = "",
    arm: str = "",
    metric: str = "",
    at: Mapping[str, Any] | None = None,
    each: str = "",
    margin: float | None = None,
    scale: str = "",
    lower_is_better: bool | None = None,
    allow_partial: bool = False,
) -> Verdicts:
    """Return the verdicts on a table of runs, as `fairtrial compare` gives them (docs/compare.md).

    treatment: an arm, or several. margin: in points of an accuracy, else in the metric's unit. A Fault names
    what is wrong with the table, by row.
    """
    from fairtrial.reporting.comparison.compare_table import Asked, compare_table
    from fairtrial.reporting.comparison.table_columns import TableColumns, label

    named = any(name is not None for name in frame.index.names)
    frame = frame.reset_index(drop=not named)
    frame.columns = frame.columns.map(str)
    levels = {name: label(level) for name, level in (at or {}).items()}
    asked = Asked(
        columns=TableColumns(arm, metric, unit, pair, levels, each),
        treatments=[treatment] if isinstance(treatment, str) else list(treatment),
        control=control,
        margin=margin,
        scale=scale,
        lower_is_better=lower_is_better,
        allow_partial=allow_partial,
    )
    return compare_table(frame, asked, "the table")
