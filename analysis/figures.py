"""The figures of a report, and how they are written."""

from __future__ import annotations

import io
import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import matplotlib
from matplotlib.figure import Figure

from analysis import style
from analysis.captions import provenance, seeds
from analysis.curves import LINE, crowd, curves, strips
from analysis.forest import crowd as forest_crowd
from analysis.forest import forest, pitch, rows_of
from analysis.groups import axis_of, gather, metric_of
from analysis.interplay import interplay, name_lines
from analysis.table import Results, chance
from analysis.twins import Twins
from analysis.verdicts import Finding
from analysis.words import SCALES, level
from fairtrial.files import MARK

_QUIET: Final[dict[str, dict[str, Any]]] = {  # no dates, no versions: the same results give the same bytes
    "svg": {"metadata": {"Date": None, "Creator": None}},
    "pdf": {"metadata": {"CreationDate": None, "Producer": None, "Creator": None}},
    "png": {"metadata": {"Software": None}},
}
_RUNS: Final = "Dots are single runs (crosses: failed runs, scored as chance)"


@dataclass(frozen=True)
class Drawn:
    """A figure in its three formats; `svg` can stand in a page beside others."""

    name: str
    caption: str
    files: dict[str, bytes]
    wide: bool  # over both columns of a paper

    @property
    def svg(self) -> str:
        """The drawing alone: no prolog, no comments, ids that no other figure has."""
        text = self.files["svg"].decode()
        text = re.sub(r"<!--.*?-->", "", text[text.index("<svg") :], flags=re.DOTALL)
        text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
        for before in (' id="', 'href="#', "url(#"):
            text = text.replace(before, f"{before}{self.name}-")
        return text


def draw(results: Results, findings: Sequence[Finding], twins: Twins | None, *, partial: bool) -> list[Drawn]:
    """Every figure that the recorded cells allow."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever a matplotlibrc says here
        matplotlib.rcParams.update(style.RC)
        made = [*_forests(results, findings, twins), *_main(results, partial), *_two_by_two(results, partial)]
        return [_render(results, name, caption, figure) for name, caption, figure in made]


def _forests(
    results: Results, findings: Sequence[Finding], twins: Twins | None
) -> Iterator[tuple[str, str, Figure]]:
    for metric in dict.fromkeys(finding.contrast.metric for finding in findings):
        mine = [finding for finding in findings if finding.contrast.metric == metric]
        rows = rows_of(mine, twins if metric == metric_of(results.study) else None)
        figure = Figure(figsize=(style.PAGE, 0.55 + pitch(rows) * len(rows)), layout="constrained")
        near = forest_crowd(rows)
        for ax, view in zip(
            figure.subplots(1, 2 if near else 1, squeeze=False)[0], (None, near), strict=False
        ):
            forest(rows, ax, view, left=view is None, right=near is None or view is not None)
        m, alpha = len(findings), 100 * results.declared["declaration"]["alpha"]
        thin = f"thin whiskers {100 - alpha / m:.4g} % (Bonferroni over {m} contrasts); " if m > 1 else ""
        bars = f"thick bars: 95 % paired t intervals, not adjusted; {thin}"
        bars = bars if any(row.bounds for row in rows) else "no intervals; "
        closer = "; right: the same, enlarged around 0" if near else ""
        caption = (
            f"Paired differences, treatment minus control, in {SCALES[metric].name}. Dots: one per seed "
            f"(crosses: a run of that seed failed); diamonds: means; {bars}grey band: margin{closer}. "
            f"{seeds(results)}."
        )
        yield "contrasts" + ("" if metric == metric_of(results.study) else f"-{metric}"), caption, figure


def _main(results: Results, partial: bool) -> Iterator[tuple[str, str, Figure]]:
    metric, axis = metric_of(results.study), axis_of(results.study)
    scale, guess = SCALES[metric], _chance(results, metric)
    groups = gather(results, list(results.study.factors), metric, intervals=results.complete or partial)
    near = crowd(groups) if axis else None
    arms = len(groups) // len(results.study.factors[axis]) if axis else 0
    wide = near or (not axis and len(groups) > 5)
    size = style.PAGE if wide else style.COLUMN, max(2.6, 0.8 + LINE * arms)
    figure = Figure(figsize=size, layout="constrained")
    what, name = f"{scale.name} of each arm", f"{metric}-by-arm"
    if axis:
        what, name = f"{scale.name} against {axis.replace('_', ' ')}", f"{metric}-by-{axis}"
        for ax, view in zip(
            figure.subplots(1, 2 if near else 1, squeeze=False)[0], (None, near), strict=False
        ):
            curves(groups, axis, scale, guess, ax, view)
        what += "; right: the same, enlarged where most arms lie" if near else ""
    else:
        strips(groups, scale, guess, figure.subplots())
    bars = "vertical bars are 95 % t intervals of the mean" if any(g.mean for g in groups) else "no intervals"
    yield name.replace("_", "-"), f"{what[0].upper()}{what[1:]}. {_RUNS}; {bars}. {seeds(results)}.", figure


def _two_by_two(results: Results, partial: bool) -> Iterator[tuple[str, str, Figure]]:
    swept, metric = results.study.factors, metric_of(results.study)
    if any(len(swept.get(name, ())) < 2 for name in ("norm", "weight_std")):
        return
    axis = axis_of(results.study)
    names = ["norm", "weight_std", *([axis] if axis else [])]
    groups = gather(results, names, metric, intervals=results.complete or partial)
    panels = list(swept[axis]) if axis else [None]
    figure = Figure(figsize=(min(style.PAGE, 1.0 + 1.9 * len(panels)), 2.3), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for ax, value in zip(axes, panels, strict=True):
        mine = [group for group in groups if axis is None or group.levels[axis] == value]
        interplay(mine, SCALES[metric], _chance(results, metric), ax)
        if axis:
            ax.set_title(level(axis, value))
    last = [group for group in groups if axis is None or group.levels[axis] == panels[-1]]
    name_lines(last, SCALES[metric], axes[-1])
    axes[0].set_ylabel(SCALES[metric].name + (", %" if SCALES[metric].factor == 100 else ""))
    averaged = [name for name in swept if name not in names]
    mean = f" Averaged within a seed over {', '.join(averaged)}." if averaged else ""
    bars = "vertical bars are 95 % t intervals of the mean" if any(g.mean for g in groups) else "no intervals"
    what = "Norm and weight standardization (ws): lines that are not parallel are an interaction"
    yield "norm-by-weight-std", f"{what}.{mean} {_RUNS}; {bars}. {seeds(results)}.", figure


def _chance(results: Results, metric: str) -> float | None:
    counted = {row["classes"] for row in results.plain if row.get("classes")}
    return chance(counted.pop())[metric] if len(counted) == 1 else None


def _render(results: Results, name: str, caption: str, figure: Figure) -> Drawn:
    if not results.complete:
        figure.suptitle(f"incomplete: {results.progress}", color=style.ALARM, fontsize=8, fontweight="bold")
    files = {}
    for kind, options in _QUIET.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, **options)
        files[kind] = buffer.getvalue()
    return Drawn(name, f"{caption} {provenance(results)}", files, wide=figure.get_figwidth() > style.COLUMN)


def write(drawn: Sequence[Drawn], folder: Path) -> list[Path]:
    """Write each figure as svg, pdf and png; a file appears whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for figure in drawn:
        for kind, data in figure.files.items():
            path = folder / f"{figure.name}.{kind}"
            handle, temporary = tempfile.mkstemp(prefix=MARK, suffix=".tmp", dir=folder)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
            paths.append(path)
    return paths
