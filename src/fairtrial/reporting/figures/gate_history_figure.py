"""The gate's history of one device: launches of each night, and where their level changed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fairtrial.reporting.derived_files import write_files
from fairtrial.reporting.figures import style
from fairtrial.reporting.figures.figure_files import render, styled
from fairtrial.reporting.wording import clean, plural
from fairtrial.stats.change_points import Change, change_points

ALPHA: Final = 0.01
_SEED: Final = 0  # the same nights give the same picture


class Series(NamedTuple):
    """One bench over the nights that have it: launches in ms, night and commit of each, changes of level."""

    name: str
    launches: tuple[tuple[float, ...], ...]
    nights: tuple[str, ...]
    commits: tuple[str, ...]
    changes: tuple[Change, ...]


def series(nights: Sequence[Mapping[str, Any]]) -> list[Series]:
    """A series per bench, with the changes of the logarithms of its nightly medians."""
    names = dict.fromkeys(name for night in nights for name in night["seconds"])
    return [_series(name, [night for night in nights if name in night["seconds"]]) for name in names]


def _series(name: str, nights: Sequence[Mapping[str, Any]]) -> Series:
    launches = tuple(tuple(1000 * second for second in night["seconds"][name]) for night in nights)
    logs = [math.log(median(night)) for night in launches]
    return Series(
        name,
        launches,
        tuple(night["datetime"][:10] for night in nights),
        tuple(str(night["code"].get("commit") or "unknown")[:12] for night in nights),
        tuple(change_points(logs, alpha=ALPHA, rng=_SEED)),
    )


def draw(
    found: Sequence[Series], device: str, folder: Path, notes: Sequence[str] = ()
) -> tuple[list[Path], str]:
    """Write history.svg, history.png and history.txt into the folder; return their paths and the caption.

    notes: sentences that end the caption.
    """
    with styled():
        figure = Figure(figsize=(style.PAGE, 0.4 + 1.5 * len(found)), layout="constrained")
        axes = figure.subplots(len(found), 1, squeeze=False)[:, 0]
        for one, ax in zip(found, axes, strict=True):
            drift(one, ax)
        axes[-1].set_xlabel("night")
        history = render("history", " ".join([caption(found, device), *notes]), figure, ("png",))
    files = {f"history.{kind}": data for kind, data in history.formats.items()}
    return write_files(folder, {**files, "history.txt": history.caption + "\n"}), history.caption


def drift(one: Series, ax: Axes) -> Axes:
    """Draw one bench: launches as dots, nightly medians, the level between changes, the changes by date."""
    for x, launches in enumerate(one.launches):
        ax.plot(
            [x] * len(launches),
            launches,
            "o",
            markersize=1.8,
            markeredgewidth=0,
            color=style.QUIET,
            alpha=0.4,
        )
    centres = [median(launches) for launches in one.launches]
    ax.plot(range(len(centres)), centres, "o", markersize=3, color=style.VERDICT["better"], zorder=3)
    edges = [0, *(change.at for change in one.changes), len(centres)]
    for low, high in pairwise(edges):
        ax.plot(
            [low - 0.4, high - 0.6], [median(centres[low:high])] * 2, color=style.INK, linewidth=1, zorder=2
        )
    for change in one.changes:
        ax.axvline(change.at - 0.5, color=style.ALARM, linewidth=0.8, linestyle=style.DASHED)
        ax.annotate(
            step(change), (change.at - 0.5, 1), xycoords=ax.get_xaxis_transform(), xytext=(3, -2),
            textcoords="offset points", va="top", fontsize=6, color=style.ALARM,
        )  # fmt: skip
    ticks = sorted({0, *(change.at for change in one.changes), len(centres) - 1})
    ax.set_xticks(ticks, [one.nights[tick] for tick in ticks])
    ax.set_xlim(-0.8, max(len(centres) - 0.2, 1))
    ax.set_title(clean(one.name), loc="left")
    ax.set_ylabel("ms per call")
    return ax


def step(change: Change) -> str:
    """The size of a change: '+5.1 %'."""
    return f"{100 * math.expm1(change.after - change.before):+.1f} %"


def caption(found: Sequence[Series], device: str) -> str:
    """What stands under the picture."""
    nights = plural(max((len(one.nights) for one in found), default=0), "night")
    return (
        f"Time per call of the gate's benches over {nights} on {clean(device)}. Grey dots are launches "
        "(medians of their rounds), green dots the nightly medians, black lines the median between changes. "
        f"Dashed: the level changes (rank CUSUM with a permutation test, p <= {ALPHA:g} for each segment)."
    )


def sentences(found: Sequence[Series]) -> list[str]:
    """Each change in words; that there is none, too."""
    said = [
        f"{one.name}: {step(change)} time from {one.nights[change.at]} on (commit {one.commits[change.at]}), "
        f"p = {change.p:.2g}"
        for one in found
        for change in one.changes
    ]
    nights = max((len(one.nights) for one in found), default=0)
    return said or [f"no change of level in {plural(nights, 'night')}"]
