"""Published numbers, as their sources print them: rows of published.json."""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any, Final

PublishedRow = dict[str, Any]
SUSPECT: Final = "suspect"  # a note that begins so: never printed


@cache
def _all() -> tuple[PublishedRow, ...]:
    file = resources.files("fairtrial.reporting.claims").joinpath("published.json")
    text = file.read_text(encoding="utf-8")
    return tuple({"row": number, **row} for number, row in enumerate(json.loads(text)))


def rows(
    source: str | None = None, table: str | None = None, metric: str | None = None, **setting: Any
) -> list[PublishedRow]:
    """Return the rows that may be quoted: verified, primary, and not under suspicion; in the file's order.

    source: a part of the source's name, such as "1912.11370v3". table, metric: exact. setting: equal values
    in the row's `setting`. Each row carries its position in the file as `row`. Accuracies are in percent.
    """
    return [
        row
        for row in _all()
        if quotable(row)
        and (source is None or source in row["source"])
        and (table is None or row["table"] == table)
        and (metric is None or row["metric"] == metric)
        and all(row["setting"].get(name) == value for name, value in setting.items())
    ]


def value(metric: str, **which: Any) -> float:
    """Return the one number that fits; a LookupError where none does, or several do."""
    fitting = rows(metric=metric, **which)
    if len(fitting) != 1:
        raise LookupError(f"{len(fitting)} rows of {metric} fit {which}; expected one")
    return float(fitting[0]["value"])


def quotable(row: PublishedRow) -> bool:
    """Say whether a row was read at its source and nothing speaks against it."""
    suspected = str(row.get("note", "")).startswith(SUSPECT)
    return bool(row["verified"] and row["primary_source"] and not suspected)
