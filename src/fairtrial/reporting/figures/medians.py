"""Few-shot medians: ours in the layout of BiT Figure 6 (FE.2), and those that BiT's authors print (FE.4)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any, Final

from matplotlib.axes import Axes

from fairtrial.reporting.claims import published
from fairtrial.reporting.figures.curves import chance_line, dots, mark, name_ends, within
from fairtrial.reporting.figures.figure_layout import (
    RUNS,
    Axis,
    Figures,
    averaged,
    capital,
    chance_of,
    gathered,
    side_by_side,
)
from fairtrial.reporting.figures.style import INK, MIXED, QUIET, Look, look_of_norm, looks
from fairtrial.reporting.report_item import NIGHTLY, REPORT, RESULTS, STUDY, Cells, RegistryRow, ReportItem
from fairtrial.reporting.results.arms import NORM, Group, metric_of
from fairtrial.reporting.verdicts.captions import seeds
from fairtrial.reporting.verdicts.study_verdicts import StudyVerdicts
from fairtrial.reporting.wording import SCALES, Scale, clean
from fairtrial.study import factors
from fairtrial.study.data_spec import published_name
from fairtrial.study.study import Study

_SHOTS: Final = (1, 5)  # the panels of the figure in the paper
MODELS: Final = {"BiT-M-R50x1": "gn", "BiT-M-R101x3": "gn+ws", "BiT-M-R152x2": "ln"}  # with a look each
SHOTS: Final = (1, 5)  # what the authors' re-runs print, besides all images
TABLE: Final = "CIFAR few-shot and full"
_APART: Final = 0.12  # of an example per class, between networks
PRINTED: Final = (  # where the marks that `draw_published` makes come from
    f"Published: {', '.join(MODELS)} at 1 and 5 images per class, means over frameworks of medians of at "
    "least 5 runs (README of google-research/big_transfer); star: BiT-L R152x4 at 10, median of 5 (BiT)."
)


def shots_of(study: Study) -> list[Any]:
    """The panels: 1 and 5 images per class, or the first two numbers that are swept."""
    levels = study.factors["shots"]
    return [each for each in _SHOTS if each in levels] or list(levels[:2])


def sides_of(study: Study) -> tuple[list[str], list[str]]:
    """The factors along the axis, architecture or norm, and those that make lines."""
    norms = [name for name in NORM if len(study.factors.get(name, ())) > 1]
    along = ["model"] if len(study.factors.get("model", ())) > 1 else norms
    lines = [name for name in (*norms, "finetune", "upstream") if name in study.factors and name not in along]
    return along, lines


def medians(
    groups: Sequence[Group], along: Sequence[str], scale: Scale, chance: float | None, ax: Axes
) -> list[tuple[str, float, Look]]:
    """Draw one panel, a line per combination of the levels that are not along the axis; their right ends."""
    across = [name for name in groups[0].levels if name not in (*along, "shots")]
    places = list(dict.fromkeys(_label(group, along) for group in groups))
    lines: dict[str, list[Group]] = {}
    for group in groups:
        lines.setdefault(_label(group, across), []).append(group)
    ends = []
    for (name, line), look, shift in zip(
        lines.items(), _looks(list(lines.values()), along), _shifts(len(lines)), strict=True
    ):
        xs = [places.index(_label(group, along)) + shift for group in line]
        heights = [_median(group) * scale.factor for group in line]
        ax.plot(xs, heights, color=look.color, linewidth=0.9, linestyle=look.dash, zorder=2.5)
        for x, group, height, own in zip(xs, line, heights, _own(line, look, along), strict=True):
            dots(x - 0.05, group, own, scale, ax)
            mark([x], [height], own, ax)
        ends.append((name, next((h for h in reversed(heights) if math.isfinite(h)), math.nan), look))
    chance_line(groups, chance, scale, ax)
    ax.set_xticks(range(len(places)), places, rotation=30 if len(places) > 4 else 0)
    ax.set_xlim(-0.4, len(places) - 0.6)
    ax.grid(False, axis="x")
    return ends


def _looks(lines: Sequence[Sequence[Group]], along: Sequence[str]) -> list[Look]:
    """How each line is drawn: grey where its points have the colours of their arms."""
    if "model" in along:
        return looks([_without(line[0].look, ("model", "shots")) for line in lines])
    plain = {"norm": "gn", "weight_std": True}
    found = looks([plain | _without(line[0].look, (*NORM, "shots")) for line in lines])
    return [look._replace(color=QUIET, ink=INK) for look in found]


def _own(line: Sequence[Group], look: Look, along: Sequence[str]) -> list[Look]:
    """How each point of a line is drawn: an arm keeps its colour."""
    return [look] * len(line) if "model" in along else looks([_only(group.look, NORM) for group in line])


def _shifts(lines: int) -> list[float]:
    """How far each line stands beside its place."""
    return [0.1 * (rank - (lines - 1) / 2) for rank in range(lines)]


def _median(group: Group) -> float:
    return median(group.values.values()) if group.values else math.nan


def _only(levels: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: levels[name] for name in names if name in levels}


def _without(levels: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in levels.items() if name not in names}


def _label(group: Group, names: Sequence[str]) -> str:
    levels = _only(group.levels, names)
    return clean(factors.label(levels)) if levels else ""


def few_shot_medians(verdicts: StudyVerdicts) -> Figures:
    """Draw medians in the layout of BiT Figure 6."""
    results = verdicts.results
    study, metric = results.study, metric_of(results.study)
    along, across = sides_of(study)
    scale, names = SCALES[metric], ["shots", *along, *across]
    groups = gathered(results, names, partial=False)
    shots = shots_of(study)
    figure, axes = side_by_side(len(shots), 2.6, wide=True, sharey=True)
    for ax, value in zip(axes, shots, strict=True):
        mine = [group for group in groups if group.levels["shots"] == value]
        ends = medians(mine, along, scale, chance_of(results, metric), ax)
        ax.set_title(f"{value} image{'s' if value != 1 else ''} per class")
    within(scale, axes[0])
    name_ends(ends, axes[-1], each=False)
    axes[0].set_ylabel(scale.axis)
    by = "architecture" if along == ["model"] else "norm"
    what = f"{capital(scale.name)} by {by}, in the layout of BiT Figure 6"
    marks = f"{RUNS}; large marks and lines: medians over runs, without intervals, as there"
    caption = f"{what}.{averaged(study, names)} {marks}. {seeds(results)}."
    yield f"{metric}-few-shot".replace("_", "-"), caption, figure


def published_points(model: str, shots: int) -> list[tuple[float, float, float]]:
    """Return (median, lowest, highest) of each framework that printed a network on CIFAR-10, in percent."""
    rows = published.rows(table=TABLE, metric="top1_pct", model=model, downstream="cifar10", shots=shots)
    return [(row["value"], row["min"], row["max"]) for row in rows]


def published_beside(study: Study, axis: str | None) -> str:
    """Return what a caption says of the published medians beside these arms; empty where none belong there.

    They stand beside fine-tuned networks on the same test images, where a study has both ends of their lines,
    for one mark is no curve and would stretch the axis of the others. A network of another size, from other
    images, has no level in common with them.
    """
    settings = [study.settings(levels) for levels in study.arms()]
    asked = axis == "shots" and {*SHOTS} <= {*study.factors["shots"]} and metric_of(study) == "test_acc"
    if not asked or {published_name(arm.data) for arm in settings} != {"cifar10"}:
        return ""
    if not any(arm.starts_from_checkpoint for arm in settings):
        return ""
    own = any(arm.start.kind == "official" for arm in settings)
    other = "" if own else ", larger networks on other upstream images: not comparable in level"
    return f"Grey: published medians of BiT{other}."


def draw_published(study: Study, axis: str | None, ax: Axes) -> None:
    """Draw in grey, below all else, what BiT's authors print; nothing where it does not belong."""
    if not published_beside(study, axis):
        return
    at = Axis("shots", study.factors["shots"]).at
    look: dict[str, Any] = {
        "color": QUIET, "linewidth": 0.8, "linestyle": MIXED, "markersize": 4, "zorder": 1.8,
    }  # fmt: skip
    for model, norm in MODELS.items():
        points = [(at[shots], _middle(model, shots)) for shots in SHOTS if shots in at]
        ax.plot([x for x, _ in points], [y for _, y in points], marker=look_of_norm(norm).marker, **look)
    best = _best()
    if best["setting"]["shots"] in at:
        ax.plot(at[best["setting"]["shots"]], best["value"], marker="*", **look)
    named = [(SHOTS[-1], _middle(next(iter(MODELS)), SHOTS[-1]), "BiT-M"), (10, best["value"], "BiT-L")]
    for shots, y, name in named:
        if shots in at:
            ax.annotate(
                f"{name}, published", (at[shots], y), xytext=(5, 0), textcoords="offset points", va="center",
                color=QUIET, fontstyle="italic", annotation_clip=False,
            )  # fmt: skip


def _middle(model: str, shots: int) -> float:
    """Return the mean over frameworks of a network's printed medians, in percent."""
    return fmean(middle for middle, _, _ in published_points(model, shots))


def _best() -> published.PublishedRow:
    """Return the one point of BiT-L that is printed as a number."""
    (row,) = published.rows(table="Abstract (points of Fig 2)", downstream="cifar10", shots=10)
    return row


def published_curves(_results: Path) -> Figures:
    """Draw each network's published medians, with the range of their runs."""
    figure, (ax,) = side_by_side(1, 2.6, wide=False)
    for place, (model, norm) in enumerate(MODELS.items()):
        look, middles = look_of_norm(norm), []
        for shots in SHOTS:
            printed = published_points(model, shots)
            x = shots + _APART * (place - 1)
            ax.vlines(
                x, min(low for _, low, _ in printed), max(high for *_, high in printed), color=look.color
            )
            medians = [median for median, _, _ in printed]
            ax.plot([x] * len(medians), medians, look.marker, color=look.color, markersize=3)
            middles.append((x, _middle(model, shots)))
        ax.plot(*zip(*middles, strict=True), color=look.color, linestyle=look.dash, label=model)
    best = _best()
    ax.plot(10, best["value"], "k*", label=best["setting"]["model"])
    ax.set_xticks([*SHOTS, 10])
    ax.set_xlabel("images per class")
    ax.set_ylabel("published test accuracy on CIFAR-10, %")
    ax.legend(loc="lower right", fontsize=6.5)
    caption = (
        "Published few-shot accuracy on CIFAR-10. Marks: the median of at least 5 runs in each framework "
        "(README of google-research/big_transfer); bars: lowest to highest run; lines join the means of the "
        f"medians. Star: {best['setting']['model']} at 10 images per class, median of 5 (BiT). Nothing here "
        "was measured by us; no curve of 1 to 10 examples is published for BiT-M-R50x3."
    )
    yield "fe-4", caption, figure


ROWS = (
    RegistryRow(
        STUDY, few_shot_medians, rank=4,
        sweeps=(("shots",), ("model", "norm", "weight_std"), ("model", "finetune", "upstream")),
        items=(
            ReportItem(
                "FE.2", "The layout of BiT Figure 6", ("EC",), NIGHTLY,
                "medians, as there; no interval, so no ranking",
                "fairtrial run upstream-few; fairtrial run upstream-many; fairtrial run sizes",
                ("*-few-shot",), Cells({"shots": (1, 5)}, pretrained=True),
            ),
        ),
    ),
    RegistryRow(RESULTS, published_curves, items=(
        ReportItem(
            "FE.4", "Published few-shot accuracy", ("EC",), REPORT,
            "what BiT's authors print at 1, 5 and 10 images per class",
        ),
    )),
)  # fmt: skip
