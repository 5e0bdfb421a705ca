"""The difference at equal seconds against the speed-up of a kernel, a panel per contrast."""

from __future__ import annotations

import textwrap

from matplotlib.axes import Axes

from fairtrial.reporting.figures.figure_layout import MOST_PANELS, Made, side_by_side
from fairtrial.reporting.figures.style import ALARM, BAND, INK, VERDICT
from fairtrial.reporting.results.contrast_sides import has_limits
from fairtrial.reporting.results.load import Results
from fairtrial.reporting.verdicts.captions import seeds
from fairtrial.reporting.verdicts.findings import Finding
from fairtrial.reporting.verdicts.sentences import title
from fairtrial.reporting.verdicts.whatif import FREE, Case, Row, WhatIf


def whatif_figure(results: Results, what: WhatIf) -> Made:
    """The contrasts with a verdict, as many as there is room for."""
    cases = [case for case in what.cases if case.rows and case.recorded.verdict != "refused"]
    if not cases:
        return
    shown = cases[:MOST_PANELS]
    figure, axes = side_by_side(len(shown), 2.3, wide=len(shown) > 1)
    for ax, case in zip(axes, shown, strict=True):
        panel(case, what.kernel, ax)
    axes[0].set_ylabel(shown[0].recorded.scale.gap_axis)
    few = f" {len(shown)} of {len(cases)} contrasts." if len(shown) < len(cases) else ""
    caption = (
        f"The difference at equal seconds against the speed-up of {what.kernel}.{few} Dots: one per seed; "
        "diamonds: means; bars: 95 % paired t intervals, not adjusted; filled: the verdict that the word "
        "says; hollow: no verdict can be told; arrows: at best, for the same updates in fewer seconds; grey "
        f"band: margin. {seeds(results)}."
    )
    yield "what-if", caption, figure


def panel(case: Case, kernel: str, ax: Axes) -> Axes:
    """Draw one contrast over its speed-ups."""
    factor, margin = case.recorded.scale.factor, case.recorded.margin
    ax.axhspan(-margin * factor, margin * factor, color=BAND, linewidth=0, zorder=0.5)
    ax.axhline(0, color=INK, linewidth=0.8, zorder=1.5)
    for x, row in enumerate(case.rows):
        if row.finding is not None and row.finding.interval is not None:
            _draw(x, row, row.finding, ax)
    names = ["free" if row.faster == FREE else f"x{row.faster:g}" for row in case.rows]
    ax.set_xticks(range(len(names)), names)
    ax.set_xlim(-0.6, len(names) - 0.4)
    ax.set_xlabel(f"speed of {kernel}")
    ax.set_title(textwrap.fill(title(case.recorded.contrast), 34))
    ax.grid(False, axis="x")
    return ax


def _draw(x: int, row: Row, finding: Finding, ax: Axes) -> None:
    factor, found = finding.scale.factor, finding.interval
    assert found is not None
    color = VERDICT[row.verdict or "inconclusive"]
    for seed, value in finding.differences.items():
        marker, shade = ("x", ALARM) if seed in finding.failed_seeds else ("o", color)
        ax.plot(x - 0.16, value * factor, marker, color=shade, markersize=2.4, alpha=0.55, zorder=2)
    if has_limits(found):
        ax.vlines(x, found.low * factor, found.high * factor, color=color, linewidth=1.4, zorder=3)
    ax.plot(
        x, found.estimate * factor, marker="v" if row.reading == "same" else "D", markersize=4, zorder=3.5,
        color="white" if row.verdict is None else color, markeredgecolor=color, linestyle="none",
    )  # fmt: skip
