"""A table as CSV, Markdown and LaTeX; every string in it stays text."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

# Marks of verdicts that LaTeX knows in mathematics only.
_MATH: Final = str.maketrans({
    "↑": r"$\uparrow$", "↓": r"$\downarrow$", "≡": r"$\equiv$", "≈": r"$\approx$", "×": r"$\times$",
})  # fmt: skip


@dataclass(frozen=True, eq=False)
class Table:
    """Cells as they are read, a caption, and the columns that a reader must not miss."""

    name: str
    caption: str
    frame: pd.DataFrame
    marked: tuple[str, ...] = ()

    def markdown(self) -> str:
        """A pipe table."""
        lines = [
            list(self.frame.columns),
            ["---"] * len(self.frame.columns),
            *self.frame.astype(str).values.tolist(),
        ]
        head, rule, *body = ("| " + " | ".join(map(str, line)) + " |" for line in _escaped(lines))
        return "\n".join([head, rule, *body]) + "\n"

    def csv(self) -> str:
        """Comma separated; see `csv_text`."""
        return csv_text(list(self.frame.columns), self.frame.values.tolist())

    def latex(self) -> str:
        """A tabular with booktabs rules; the caption is a comment above it."""
        shown = (
            self.frame.style.hide(axis="index").format(escape="latex").format_index(escape="latex", axis=1)
        )
        text = f"% {self.caption}\n{shown.to_latex(hrules=True)}"
        return text.translate(_MATH)


def _escaped(lines: Sequence[Sequence[str]]) -> Iterable[list[str]]:
    for number, line in enumerate(lines):
        yield list(line) if number == 1 else [markdown_text(cell) for cell in line]


def markdown_text(text: Any) -> str:
    """The text with everything escaped that Markdown or its HTML would act on."""
    return re.sub(r"([\\`*_{}\[\]<>#|~!$&])", r"\\\1", str(text))


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """CSV in which no text cell is a formula: one that starts like a formula gets a leading apostrophe."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return buffer.getvalue()


def _cell(value: Any) -> Any:
    if (
        isinstance(value, str)
        and value.startswith(("=", "+", "-", "@", "\t", "\r"))
        and not _is_number(value)
    ):
        return f"'{value}"
    return "" if value is None else value


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?", text) is not None


def table_files(tables: Iterable[Table]) -> dict[str, str]:
    """Return the files of these tables in a report: 'tables/arms.csv', '.md' and '.tex'."""
    files = {}
    for table in tables:
        for kind, text in (("csv", table.csv()), ("md", table.markdown()), ("tex", table.latex())):
            files[f"tables/{table.name}.{kind}"] = text
    return files
