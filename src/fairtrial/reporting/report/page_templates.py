"""The HTML templates of pages: what is put in stays text."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from fairtrial.reporting.tables.table import Table


def render_page(template: str, **content: Any) -> str:
    """Fill a template; every string in it is escaped."""
    return _environment().get_template(template).render(**content) + "\n"


@cache
def _environment() -> Environment:
    """Templates, each compiled once: that takes longer than to fill it."""
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def table_content(table: Table) -> dict[str, Any]:
    """Return a table as templates read it; columns are (name, whether a reader must not miss it)."""
    return {
        "name": table.name,
        "caption": table.caption,
        "columns": [(column, column in table.marked) for column in table.frame.columns],
        "rows": table.frame.astype(str).values.tolist(),
    }
