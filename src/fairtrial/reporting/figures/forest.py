"""Every contrast as a row: per-seed differences, their interval, the margin, the verdict."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from fairtrial.reporting.figures.figure_layout import Figures, side_by_side
from fairtrial.reporting.figures.style import ALARM, BAND, INK, QUIET, VERDICT
from fairtrial.reporting.report_item import STUDY, RegistryRow
from fairtrial.reporting.results.arms import metric_of
from fairtrial.reporting.results.inference_rule import InferenceRule
from fairtrial.reporting.results.paired_sides import has_limits
from fairtrial.reporting.verdicts.aa_check import LEVEL, AACheck
from fairtrial.reporting.verdicts.captions import seeds
from fairtrial.reporting.verdicts.chosen_settings import extra_labels
from fairtrial.reporting.verdicts.rulings import Finding
from fairtrial.reporting.verdicts.sentences import title
from fairtrial.reporting.verdicts.study_verdicts import StudyVerdicts
from fairtrial.reporting.wording import SEED, Scale, capital, clean

Bounds = tuple[float, float]
_WIDE = 36  # characters of a row's name
OPEN = "Open choice: an arm may have a better setting, as the sentence says."


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
    mean: float | None  # None without any pair
    n: str
    bounds: Bounds | None
    whisker: Bounds | None


def rows_of(findings: Sequence[Finding], aa: AACheck | None) -> list[Row]:
    """The rows of the figure, the A/A check last."""
    found = [_row(finding) for finding in findings]
    if aa is not None and aa.differences:
        bounds, whisker = (
            None if limits is None else (limits.low, limits.high) for limits in (aa.inside, aa.interval)
        )
        color = ALARM if aa.alarm else QUIET
        title = f"{clean(aa.arm)} against itself" + (f": thin {100 * LEVEL:g} %" if bounds else "")
        mean = sum(aa.differences.values()) / len(aa.differences)
        n = f"{len(aa.differences)} {SEED if aa.inside is None else aa.inside.unit.rpartition(' ')[2]}s"
        args = aa.scale, aa.differences, frozenset[int](), aa.margin, mean, n, bounds, whisker
        word = aa.words.partition(" (")[0]  # the thick bar shows the half-width
        found.append(Row("A/A check", title, word, color, *args))
    return found


def _row(finding: Finding) -> Row:
    interval, whisker = finding.interval, finding.whisker
    drawn = interval is not None and has_limits(interval) and finding.verdict != "refused"
    means = finding.unit.means(finding.differences)
    return Row(
        name=clean(finding.contrast.name),
        title=title(finding.contrast),
        verdict=finding.verdict.replace("_", " ")
        if not finding.reason.startswith("incomplete")
        else "incomplete",
        color=VERDICT[finding.verdict],
        scale=finding.scale,
        differences=finding.differences,
        failed=finding.failed_seeds,
        margin=finding.margin,
        mean=sum(means) / len(means) if means else None,
        n=f"{finding.n}{finding.unit.short}" + (", open choice" if finding.open_choices else ""),
        bounds=(interval.low, interval.high) if drawn and interval is not None else None,
        whisker=(whisker.low, whisker.high) if drawn and whisker is not None else None,
    )


def forest(
    rows: Sequence[Row],
    ax: Axes,
    view: Bounds | None = None,
    *,
    left: bool = True,
    right: bool = True,
) -> Axes:
    """Draw the rows from top to bottom on one scale; names on the left, verdicts and numbers on the right.

    view: the differences to show, where not all of them are to be seen.
    """
    factor = rows[0].scale.factor
    if view is not None:
        ax.set_xlim(view[0] * factor, view[1] * factor)
    for y, row in enumerate(rows):
        _draw(row, y, factor, ax)
        if left:
            _name(row, y, ax)
        if right:
            _say(row, y, ax)
    ax.axvline(0, color=INK, linewidth=0.8, zorder=1.5)
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.set_yticks([])
    ax.grid(False, axis="y")
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(rows[0].scale.gap_axis)
    if view is None:
        ax.margins(x=0.04)
    return ax


def crowd(rows: Sequence[Row]) -> Bounds | None:
    """The range of the rows that lie close to 0, where a few wide ones would flatten them; else None."""
    reach = sorted(_reach(row) for row in rows)
    near = [width for width in reach if width <= 3 * reach[(len(reach) - 1) // 2]]
    if not near[-1] or reach[-1] <= 4 * near[-1]:
        return None
    return -1.1 * near[-1], 1.1 * near[-1]


def _reach(row: Row) -> float:
    """How far from 0 the row is drawn."""
    ends = [*row.differences.values(), *(row.bounds or ()), *(row.whisker or ()), row.margin or 0.0]
    return max(abs(end) for end in ends)


def _draw(row: Row, y: int, factor: float, ax: Axes) -> None:
    if row.margin is not None:
        low, wide = -row.margin * factor, 2 * row.margin * factor
        ax.add_patch(Rectangle((low, y - 0.42), wide, 0.84, facecolor=BAND, edgecolor="none", zorder=0.5))
    places = [
        (seed, value, y - 0.14 - 0.06 * (i % 3)) for i, (seed, value) in enumerate(row.differences.items())
    ]
    for lost in (False, True):
        mine = [(value * factor, height) for seed, value, height in places if (seed in row.failed) == lost]
        ax.plot(
            [value for value, _ in mine],
            [height for _, height in mine],
            marker="x" if lost else "o",
            markersize=3.4 if lost else 2.6,
            markeredgewidth=0.9 if lost else 0,
            color=ALARM if lost else row.color,
            alpha=1 if lost else 0.55,
            linestyle="none",
        )
    bar = y + 0.12
    if row.whisker is not None:
        low, high = (bound * factor for bound in row.whisker)
        ax.plot([low, high], [bar, bar], color=row.color, linewidth=0.8)
        ax.vlines([low, high], bar - 0.07, bar + 0.07, color=row.color, linewidth=0.8)
    if row.bounds is not None:
        low, high = (bound * factor for bound in row.bounds)
        ax.plot([low, high], [bar, bar], color=row.color, linewidth=2.2, solid_capstyle="butt")
    if row.mean is not None:
        mean = row.mean * factor
        ax.plot(mean, bar, "D", markersize=4, color=row.color, markeredgecolor="white", markeredgewidth=0.5)


def _name(row: Row, y: int, ax: Axes) -> None:
    beside, (name, title) = ax.get_yaxis_transform(), _lines(row)
    ax.text(-0.02, y - 0.02, name, transform=beside, ha="right", va="bottom", fontweight="bold")
    ax.text(-0.02, y + 0.02, title, transform=beside, ha="right", va="top", fontsize=6.5)


def _lines(row: Row) -> tuple[str, str]:
    """Name, at most three lines, and title; a title breaks at its colon where that costs no line."""
    parts = row.title.partition(": ") if len(row.title) > _WIDE + 6 else (row.title, "", "")
    broken = [line for part in (parts[0] + parts[1], parts[2]) for line in textwrap.wrap(part, _WIDE + 6)]
    title = min(broken, textwrap.wrap(row.title, _WIDE + 6), key=len)
    return textwrap.fill(row.name, _WIDE, max_lines=3, placeholder=" ..."), "\n".join(title)


def pitch(rows: Sequence[Row]) -> float:
    """Inches from row to row, so that the longest name fits."""
    name, title = (max(_lines(row)[part].count("\n") for row in rows) for part in (0, 1))
    return 0.52 + 2 * 0.13 * max(0, name - 1, title - 1)


def _say(row: Row, y: int, ax: Axes) -> None:
    beside, word = ax.get_yaxis_transform(), textwrap.fill(row.verdict, 20)
    numbers = "" if row.mean is None else row.scale.show(row.mean)
    numbers += f" {row.scale.bounds(*row.bounds)}" if row.bounds is not None else ""
    ax.text(1.03, y - 0.02, word, transform=beside, color=row.color, va="bottom", fontweight="bold")
    text = f"{numbers}\nn = {row.n}"
    ax.text(1.03, y + 0.02, text, transform=beside, va="top", fontsize=6.5)


def contrast_forests(study: StudyVerdicts) -> Figures:
    """Draw the declared contrasts, one figure per metric."""
    results, findings = study.results, study.findings
    for metric in dict.fromkeys(finding.contrast.metric for finding in findings):
        compared = [finding for finding in findings if finding.contrast.metric == metric]
        own = metric == metric_of(results.study)
        rows = rows_of(compared, study.control if own else None)
        labels = extra_labels(results)
        caption, figure = draw(rows, compared, results.inference, family=len(findings), labels=labels)
        yield "contrasts" + ("" if own else f"-{metric}"), f"{caption} {seeds(results)}.", figure


def draw(
    rows: Sequence[Row],
    compared: Sequence[Finding],
    rule: InferenceRule,
    *,
    family: int,
    labels: str = "",
) -> tuple[str, Figure]:
    """Draw contrasts on one metric; what its caption says but for n.

    family: contrasts that Holm ran over. labels: images that chose and that the shots do not count.
    """
    near, scale = crowd(rows), rows[0].scale
    figure, axes = side_by_side(2 if near else 1, 0.55 + pitch(rows) * len(rows), wide=True)
    for ax, view in zip(axes, (None, near), strict=False):
        forest(rows, ax, view, left=view is None, right=near is None or view is not None)
    if near:
        axes[-1].set_xlabel("the same, enlarged")
    means = "means" + next((f" over{f.unit.short}" for f in compared if f.unit.short), "")
    closer = "; right: the same, enlarged around 0" if near else ""
    told = [
        f"Paired differences, treatment minus control, in {scale.name}.",
        _intervals(rule, family) if any(row.bounds for row in rows) else "No intervals.",
        *([OPEN] if any(finding.open_choices for finding in compared) else []),
        *([f"{capital(labels)}."] if labels else []),
        f"Dots: one per seed (crosses: a run of that seed failed); diamonds: {means}; "
        f"grey band: margin{closer}.",
    ]
    return " ".join(told), figure


def _intervals(rule: InferenceRule, family: int) -> str:
    """What the two bars of a row are, and what a verdict rests on where several are tested."""
    if family == 1:
        return f"Thick bars: {rule.name}."
    wide = f"{100 - 100 * rule.alpha / family:.4g}"
    return (
        f"Thick bars: {rule.name}, not adjusted; "
        f"thin whiskers: {wide} % (Bonferroni over {family} contrasts). "
        "Verdicts rest on the interval of their step of Holm, which each sentence prints."
    )


ROWS = (RegistryRow(STUDY, contrast_forests, rank=1),)
