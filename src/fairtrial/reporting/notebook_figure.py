"""A figure that a notebook shows by itself: Jupyter knows matplotlib's own only once pyplot has set it up."""

from __future__ import annotations

import io
from typing import Final

from matplotlib.figure import Figure

_DPI: Final = 130  # seven inches then fill a column of a notebook


class NotebookFigure(Figure):
    """A matplotlib Figure with its picture for IPython."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=_DPI)
        return buffer.getvalue()


def for_notebook(figure: Figure) -> Figure:
    """Return the same figure, as one that a notebook shows."""
    figure.__class__ = NotebookFigure
    return figure
