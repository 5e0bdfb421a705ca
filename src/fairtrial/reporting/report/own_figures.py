"""Figures of the user's: what a plug-in draws of a recorded study, in a folder beside the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from matplotlib.figure import Figure

from fairtrial.errors import Fault, Problem, fault, shown
from fairtrial.plugins.plugin import Plugin
from fairtrial.plugins.registry import installed, register
from fairtrial.reporting.attempt_frame import read_frame
from fairtrial.reporting.derived_files import write_files
from fairtrial.reporting.figures.figure_files import RenderedFigure, render, styled
from fairtrial.reporting.report.figure_registry import stamped
from fairtrial.reporting.verdict_view import of_study
from fairtrial.reporting.verdicts.captions import provenance
from fairtrial.reporting.verdicts.study_verdicts import StudyVerdicts, judge_study
from fairtrial.storage.store import Store

FOLDER: Final = "own-figures"  # apart from `figures`: `verify` makes a report from its records alone


def draw(store: Store, files: Iterable[Path], *, allow_partial: bool = False) -> list[Path]:
    """Draw every figure of these plug-ins, and of installed ones; return the files.

    Each is a function of the frame of `ft.load` and of the verdicts that returns a matplotlib Figure. Those
    that can be drawn are written before a Fault names each that cannot, by file and line.
    """
    plugins = {plugin.sha256: plugin for plugin in (*map(Plugin.read, files), *installed())}
    rows = [(plugin, *row) for plugin in plugins.values() for row in plugin.table.get("figures", {}).items()]
    if not rows:
        return []
    for name, times in Counter(name for _, name, _ in rows).items():
        if times > 1:
            where = " and ".join(plugin.where(row["builder"]) for plugin, own, row in rows if own == name)
            raise fault(f"{times} plug-ins draw a figure called {name!r}", where, "give one another name")
    study, drawn = judge_study(store, partial=allow_partial), []
    problems: list[Problem] = []
    for plugin, name, row in rows:
        try:
            drawn.append(_drawn(study, store, plugin, name, row))
        except Fault as error:
            problems += error.problems
    made = {f"{FOLDER}/{each.name}.{kind}": data for each in drawn for kind, data in each.formats.items()}
    captions = "\n\n".join(f"## {each.name}\n\n{each.full_caption}" for each in drawn)
    if drawn:
        made |= {f"{FOLDER}/captions.md": f"{captions}\n".encode()}
    written = write_files(store.folder, made)
    if problems:
        raise Fault(problems)
    return written


def picture(store: Store, file: Path, name: str) -> Figure | None:
    """Return one figure of a plug-in as it is drawn; None where the file has none of that name."""
    plugin = Plugin.read(file)
    row = plugin.table.get("figures", {}).get(name)
    return None if row is None else _picture(judge_study(store), store, plugin, name, row)[0]


def _drawn(study: StudyVerdicts, store: Store, plugin: Plugin, name: str, row: Any) -> RenderedFigure:
    with styled():
        figure, caption = _picture(study, store, plugin, name, row)
        with _blamed(plugin, name, row):
            made = render(name, caption, figure)
    return replace(made, provenance=provenance(study.results))


def _picture(study: StudyVerdicts, store: Store, plugin: Plugin, name: str, row: Any) -> tuple[Figure, str]:
    """Execute the function of a figure; return what it draws, stamped if the study is unsound."""
    with _blamed(plugin, name, row):
        register(plugin)
        function = getattr(import_module(plugin.module), row["builder"])
        figure = function(read_frame(store), of_study(study))
    if not isinstance(figure, Figure):
        what = f"figure {name!r} returned {shown(figure)}, which is no matplotlib Figure"
        raise fault(what, plugin.where(row["builder"]), "return the Figure that it has drawn on")
    said = str(row.get("caption") or function.__doc__ or "").strip().partition("\n")[0]
    return stamped(figure, study.results), said or f"{name}, drawn by {plugin.name}."


@contextmanager
def _blamed(plugin: Plugin, name: str, row: Any) -> Iterator[None]:
    """Turn what a function of the user's raises into a Fault that names its file and line."""
    try:
        yield
    except Fault:
        raise
    except Exception as error:
        what = f"figure {name!r} of the plug-in raised {type(error).__name__}: {error}"
        raise fault(
            what, plugin.line_of(error, row["builder"]), "mend that line; the rest of the report is drawn"
        ) from None
