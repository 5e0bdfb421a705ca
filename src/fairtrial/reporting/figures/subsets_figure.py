"""FE.3: how many few-shot subsets an accuracy takes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from fairtrial.errors import INCOMPLETE, fault
from fairtrial.reporting.claims import published
from fairtrial.reporting.figures import style
from fairtrial.reporting.figures.figure_layout import Figures, capital
from fairtrial.reporting.report_item import REPORT, RESULTS, RegistryRow, ReportItem
from fairtrial.reporting.results import load
from fairtrial.reporting.results.arms import data_of
from fairtrial.reporting.results.load import per_seed
from fairtrial.reporting.verdicts.captions import commits
from fairtrial.reporting.wording import data_title, listed
from fairtrial.storage.store import Store
from fairtrial.storage.study_folders import find_studies
from fairtrial.study.data_spec import are_real
from fairtrial.study.study import Study

ARM: Final = {"norm": "gn", "weight_std": True, "finetune": "full"}  # as BiT
SHOTS: Final = (1, 5)
TARGETS: Final = (2.0, 1.0)  # points
MOST: Final = 64
SHADES: Final = {1: "#8d2f68", 5: "#0b4a8f"}


class Spread(NamedTuple):
    """A standard deviation in points, with its 95 % interval where it was measured here; n values."""

    sd: float
    low: float | None = None
    high: float | None = None
    n: int | None = None


def half_width(sd: float, n: int, level: float = 0.95) -> float:
    """Half the width of the t interval of a mean of n >= 2 normal values with this standard deviation."""
    from scipy.stats import t

    return float(t.ppf((1 + level) / 2, n - 1) * sd / np.sqrt(n))


def subsets_needed(sd: float, target: float, level: float = 0.95) -> int:
    """The smallest n >= 2 whose t interval is no wider than target to each side."""
    n = 2
    while half_width(sd, n, level) > target:
        n += 1
    return n


def spread_of(values: np.ndarray, level: float = 0.95) -> Spread:
    """SD of n >= 2 values with its chi-square interval, which takes them for independent and normal."""
    from scipy.stats import chi2

    n, sd = len(values), float(np.std(values, ddof=1))
    low, high = (
        sd * float(np.sqrt((n - 1) / chi2.ppf(q, n - 1))) for q in ((1 + level) / 2, (1 - level) / 2)
    )
    return Spread(sd, low, high, n)


def subsets_needed_figure(results: Path) -> Figures:
    """Draw published SDs beside those of a recorded few-shot study, one on real images where there is one."""
    told = {
        shots: Spread(published.value("subset_sd_points_estimate", downstream="cifar10", shots=shots))
        for shots in SHOTS
    }
    study, ours = _measured(results)
    needs = "; ".join(
        f"{shots} shot{'s' * (shots > 1)} (SD {told[shots].sd:.1f}): "
        + ", ".join(f"{subsets_needed(told[shots].sd, target)} for +-{target:g}" for target in TARGETS)
        for shots in SHOTS
    )
    here = "; ".join(
        f"{shots} shot{'s' * (shots > 1)} {spread.sd:.1f} (95 % chi-square interval {spread.low:.1f} to "
        f"{spread.high:.1f}, n = {spread.n} seeds)"
        for shots, spread in ours.items()
    )
    data = data_title(data_of(study.study))
    caption = (
        "Half the width of a 95 % t interval of the mean accuracy against the number of few-shot subsets. "
        "Thick: SD of BiT-M on CIFAR-10, derived from the README's ranges (an upper-side estimate). Subsets: "
        f"{needs} points. Thin: our study {study.study.id}, GN+WS fine-tuned, {data}, "
        f"preset {study.study.preset}, whose "
        f"SD over seeds (subset, order and checkpoint vary{_shared(study)}): {here}. "
        f"{capital(commits(study))}, study hash {study.hash}."
    )
    yield "fe-3", caption, draw(told, ours, data)


def _shared(study: load.Results) -> str:
    """Return '; 10 seeds share 5 checkpoints', where several seeds start from one; else nothing."""
    seeds, checkpoints = len(study.study.seeds), study.study.settings({}).upstream_seeds
    return f"; {seeds} seeds share {checkpoints} checkpoints" if seeds > checkpoints else ""


def _measured(results: Path) -> tuple[load.Results, dict[int, Spread]]:
    """Return the first study with 2 values or more at each number of shots, and their spreads."""
    for store, arms in _fitting(results):
        study = load.load(store)
        values = {shots: per_seed(study.where(arm), "test_acc") for shots, arm in arms.items()}
        if all(len(each) > 1 for each in values.values()):
            return study, {
                shots: spread_of(100 * np.array([*each.values()])) for shots, each in values.items()
            }
    do = f"fairtrial run shots --results {results}"
    what = f"no study has 2 finished cells of GN+WS fine-tuned at {listed([*map(str, SHOTS)])} shots"
    raise fault(what, str(results), do, INCOMPLETE)


def _fitting(results: Path) -> list[tuple[Store, dict[int, dict[str, Any]]]]:
    """Return the studies with one arm as BiT at each number of shots, and those arms: shots -> levels.

    Real images stand first, then the curve with most points. One's own study stands for the one that ships.
    """
    ranked = []
    folders = {folder.name: folder for folder in reversed(find_studies([results]))}
    for name, folder in folders.items():
        store = Store(folder)
        study = Study.of(store.declared()["declaration"])
        found = [(study.settings(levels), levels) for levels in ([] if study.cell else study.arms())]
        wanted = [
            (arm.shots, levels)
            for arm, levels in found
            if arm.starts_from_checkpoint
            and all(getattr(arm, n) == ARM[n] for n in ARM)
            and arm.shots in SHOTS
        ]
        if sorted(shots for shots, _ in wanted) == list(SHOTS):
            rank = not are_real(data_of(study)), -len(study.factors["shots"]), name
            ranked.append((rank, (store, dict(wanted))))
    return [each for _, each in sorted(ranked, key=lambda pair: pair[0])]


def draw(told: Mapping[int, Spread], ours: Mapping[int, Spread], data: str) -> Figure:
    """A curve per number of shots, published and measured; the targets as lines."""
    figure = Figure(figsize=(style.COLUMN, 2.6), layout="constrained")
    ax = figure.subplots()
    counts = np.arange(2, MOST + 1)
    for group, width, name in ((told, 1.8, "BiT-M, CIFAR-10"), (ours, 0.8, f"here, {data}")):
        for shots, spread in group.items():
            widths = [half_width(spread.sd, int(n)) for n in counts]
            label = f"{shots} shot{'s' * (shots > 1)}, {name}"
            dash = "-" if group is told else style.DASHED
            ax.plot(counts, widths, color=SHADES[shots], linewidth=width, linestyle=dash, label=label)
    for target in TARGETS:
        ax.axhline(target, color=style.QUIET, linewidth=0.7, linestyle=style.DOTTED)
        for shots, spread in told.items():
            n = subsets_needed(spread.sd, target)
            if n <= MOST:
                ax.plot([n], [target], "o", color=SHADES[shots], markersize=4)
                ax.annotate(str(n), (n, target), xytext=(-3, -9), textcoords="offset points", fontsize=7)
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.set_xticks([2, 4, 8, 16, 32, 64], ["2", "4", "8", "16", "32", "64"])
    ax.set_yticks([0.5, 1, 2, 5, 10, 20, 50], ["0.5", "1", "2", "5", "10", "20", "50"])
    ax.minorticks_off()
    ax.set_xlabel("few-shot subsets")
    ax.set_ylabel("half width of the interval, points")
    ax.legend(frameon=False, fontsize=6.5)
    return figure


ROWS = (
    RegistryRow(RESULTS, subsets_needed_figure, items=(
        ReportItem(
            "FE.3", "Noise and power of few-shot results", ("EC",), REPORT,
            "how many subsets an interval of a wanted width takes",
        ),
    )),
)  # fmt: skip
