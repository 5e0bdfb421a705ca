"""Every contrast as a row: per-seed differences, their interval, the margin, the verdict."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from analysis.contrasts import has_limits
from analysis.sentences import title
from analysis.style import ALARM, BAND, INK, QUIET, VERDICT
from analysis.twins import LEVEL, Twins
from analysis.verdicts import Finding
from analysis.words import Scale, clean

_WIDE = 34  # characters of a row's name


@dataclass(frozen=True)
class Row:
    """One line of the figure; bounds: thick interval, whisker: thin one, None where none may be drawn."""

    name: str
    title: str
    verdict: str
    color: str
    scale: Scale
    differences: Mapping[int, float]
    failed: frozenset[int]
    margin: float | None
    bounds: tuple[float, float] | None
    whisker: tuple[float, float] | None


def rows_of(findings: Sequence[Finding], twins: Twins | None) -> list[Row]:
    """The rows of the figure, the A/A check last."""
    found = [_row(finding) for finding in findings]
    if twins is not None and twins.differences:
        bounds = (twins.interval.low, twins.interval.high) if twins.interval is not None else None
        word = {True: "no difference", False: "ALARM", None: "undecided"}[twins.holds]
        color = ALARM if twins.alarm else QUIET
        title = f"{clean(twins.arm)} against itself, {100 * LEVEL:g} % interval"
        args = twins.scale, twins.differences, frozenset[int](), None, bounds, None
        found.append(Row("A/A check", title, word, color, *args))
    return found


def _row(finding: Finding) -> Row:
    lost = frozenset[int]().union(*(side.failed_seeds for side in finding.sides))
    interval, whisker = finding.interval, finding.whisker
    drawn = interval is not None and has_limits(interval) and finding.verdict != "refused"
    return Row(
        name=clean(finding.contrast.name),
        title=title(finding.contrast),
        verdict=finding.verdict.replace("_", " ") if not finding.reason.startswith("incomplete") else "incomplete",
        color=VERDICT[finding.verdict],
        scale=finding.scale,
        differences=finding.differences,
        failed=lost,
        margin=finding.margin,
        bounds=(interval.low, interval.high) if drawn and interval is not None else None,
        whisker=(whisker.low, whisker.high) if drawn and whisker is not None else None,
    )


def forest(rows: Sequence[Row], ax: Axes) -> Axes:
    """Draw the rows from top to bottom; all share one scale."""
    factor = rows[0].scale.factor
    for y, row in enumerate(rows):
        _draw(row, y, factor, ax)
    ax.axvline(0, color=INK, linewidth=0.8, zorder=1.5)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_yticks([])
    ax.grid(False, axis="y")
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(f"difference in {rows[0].scale.name}" + (", points" if factor == 100 else ""))
    ax.margins(x=0.04)
    return ax


def _draw(row: Row, y: int, factor: float, ax: Axes) -> None:
    beside = ax.get_yaxis_transform()
    if row.margin is not None:
        low, wide = -row.margin * factor, 2 * row.margin * factor
        ax.add_patch(Rectangle((low, y - 0.42), wide, 0.84, facecolor=BAND, edgecolor="none", zorder=0.5))
    for rank, (seed, value) in enumerate(row.differences.items()):
        lost = seed in row.failed
        ax.plot(
            value * factor,
            y - 0.16 - 0.07 * (rank % 3),
            marker="x" if lost else "o",
            markersize=3.4 if lost else 2.6,
            markeredgewidth=0.9 if lost else 0,
            color=ALARM if lost else row.color,
            alpha=1 if lost else 0.55,
            linestyle="none",
        )
    mean = sum(row.differences.values()) / len(row.differences) * factor if row.differences else None
    for bounds, width, size in ((row.whisker, 0.8, 0.07), (row.bounds, 2.2, 0)):
        if bounds is not None:
            low, high = (bound * factor for bound in bounds)
            ax.plot([low, high], [y + 0.12] * 2, color=row.color, linewidth=width, solid_capstyle="butt")
            if size:
                ax.vlines([low, high], y + 0.12 - size, y + 0.12 + size, color=row.color, linewidth=width)
    if mean is not None:
        ax.plot(mean, y + 0.12, marker="D", markersize=4, color=row.color, markeredgecolor="white", markeredgewidth=0.5)
    name = textwrap.fill(row.name, _WIDE)
    ax.text(-0.02, y - 0.02, name, transform=beside, ha="right", va="bottom", fontweight="bold")
    ax.text(-0.02, y + 0.02, textwrap.fill(row.title, _WIDE + 6), transform=beside, ha="right", va="top", fontsize=6.5)
    numbers = "" if mean is None else row.scale.show(mean / factor)
    if row.bounds is not None:
        numbers += f" {row.scale.bounds(*row.bounds)}"
    ax.text(1.02, y - 0.02, textwrap.fill(row.verdict, 20), transform=beside, color=row.color, va="bottom", fontweight="bold")
    ax.text(1.02, y + 0.02, f"{numbers}\nn = {len(row.differences)}", transform=beside, va="top", fontsize=6.5)
