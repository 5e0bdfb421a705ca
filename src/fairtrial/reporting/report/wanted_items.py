"""Which figures and tables the written report wants: where each comes from, and what would fill it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final

from fairtrial.study.study import Study

SMOKE, REPORT, NIGHTLY = "smoke", "report", "nightly"


@dataclass(frozen=True)
class Cells:
    """A figure of every recorded study that fits. figure: its name, * for anything.

    swept: factors with the levels that must be among those swept, () for any two. fixed: settings
    that all arms share.
    """

    figure: str
    swept: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    pretrained: bool | None = None  # whether arms must, or must not, start from a checkpoint

    def fits(self, study: Study) -> bool:
        """Whether a study has the cells that the exhibit is about."""
        if not all(_among(levels, study.factors.get(name, ())) for name, levels in self.swept.items()):
            return False
        arms = [study.settings(arm) for arm in study.arms()]
        starting = any(arm.starts_from_checkpoint for arm in arms)
        return (self.pretrained is None or self.pretrained == starting) and all(
            getattr(arm, name) == level for name, level in self.fixed.items() for arm in arms
        )

    def shows(self, figure: str) -> bool:
        """Whether a figure is the one that is meant."""
        return fnmatchcase(figure, self.figure)


def _among(wanted: tuple[Any, ...], swept: Collection[Any]) -> bool:
    """Whether the wanted levels are swept; where any will do, whether several are."""
    return set(wanted) <= set(swept) if wanted else len(swept) > 1


@dataclass(frozen=True)
class Bench:
    """A picture or table drawn from results/bench."""

    figure: str

    def shows(self, figure: str) -> bool:
        """Whether a picture is the one that is meant."""
        return fnmatchcase(figure, self.figure)


@dataclass(frozen=True)
class Wanted:
    """One exhibit; without a source it is made without cells, by the registry of report_items.

    claim: what it may be quoted for. fill: the command for what is missing. lacks: what a figure from the
    studies that ship leaves out.
    """

    title: str
    serves: tuple[str, ...]
    tier: str
    claim: str
    fill: str
    sources: tuple[Cells | Bench, ...] = ()
    lacks: str = ""


_FOUR: Final[Mapping[str, tuple[Any, ...]]] = {"norm": ("bn", "gn"), "weight_std": (False, True)}
_NO_CELLS: Final = "no cells, but an exhibit of this name in report_items.py, which this tree lacks"
_LATER: Final = "arms that this release does not have"

WANTED: Final = {
    "F1.1": Wanted(
        "Transfer against scratch", ("Q1",), REPORT,
        "the paired gain of fine-tuning at each number of images per class",
        "fairtrial run shots; on CIFAR-10: fairtrial run shots --preset mini --data parquet:DIR",
        (Cells("transfer-gain-by-shots", {"finetune": ("full", "scratch")}, pretrained=True),),
    ),
    "F1.2": Wanted(
        "Probe against fine-tune", ("Q1",), REPORT,
        "the paired gain of tuning the whole network over a linear probe on frozen features",
        "fairtrial run shots --set finetune=full,scratch,linear_probe,last --results results/last",
        (Cells("transfer-gain-by-shots", {"finetune": ("full", "linear_probe")}, pretrained=True),),
        "the arm that tunes the last stage, where no line of it is drawn",
    ),
    "F1.3": Wanted(
        "Data against model size", ("Q1",), NIGHTLY,
        "an interaction slope: what a wider network gains as the upstream data grow",
        "checkpoints of three widths from three upstream sizes, then a study that sweeps model and upstream",
        (Cells("*-acc-by-*", {"model": ("mini", "mini-x2", "mini-x3")}, pretrained=True),),
    ),
    "F1.4": Wanted(
        "HyperRule against tuned arms", ("Q1",), NIGHTLY,
        "the regret of a rule against the best of k trials", "fairtrial tune, three studies for each arm",
    ),
    "T1.5": Wanted(
        "Main table", ("Q1",), NIGHTLY, "median, spread and interval beside the published tables",
        "fairtrial run shots --preset bit --device cuda, for each downstream set and upstream file",
    ),
    "T2.1": Wanted(
        "From ResNet to BiT, step by step", ("Q2",), REPORT,
        "what each step is worth in this order, and left out of the whole; another order may pay otherwise",
        "fairtrial run ladder; on CIFAR-10: --preset mini --data parquet:DIR",
        (Cells("ladder", {"block": ("post-activation", "pre-activation"), "stride_on": (), "head": ()}),),
    ),
    "T2.2": Wanted(
        "Table of models", ("Q2", "Q5"), REPORT, "exact counts of parameters and operations", _NO_CELLS
    ),
    "F2.3": Wanted(
        "Signal at initialization", ("Q2", "Q3"), NIGHTLY,
        "how mean and variance of the channels grow with depth, before any training", _NO_CELLS,
    ),
    "F2.4": Wanted(
        "What standardized filters cost", ("Q2",), SMOKE,
        "a ratio of times on the machine that is named, with its quartiles; no accuracy",
        "tox -e bench", (Bench("ratios-filters"), Bench("throughput-*"), Bench("speed")),
    ),
    "F3.1": Wanted(
        "GN and WS upstream, crossed", ("Q3", "Q2"), REPORT,
        "the interaction (GN+WS - GN) - (BN+WS - BN), with the interval of its contrast",
        "fairtrial run upstream --data parquet:DIR",
        (Cells("norm-by-weight-std", _FOUR, {"stage": "upstream"}),),
    ),
    "F3.2": Wanted(
        "GN and WS in transfer, crossed", ("Q3",), REPORT,
        "the interaction after fine-tuning, over upstream seeds and not only over subsets",
        "fairtrial run transfer; on CIFAR-10: --preset mini --data parquet:DIR",
        (Cells("norm-by-weight-std", _FOUR, pretrained=True),),
    ),
    "F3.3": Wanted(
        "Accuracy against the optimizer's batch", ("Q3",), REPORT,
        "the gap at each batch, at equal examples, equal steps or equal seconds as the caption says",
        "fairtrial run batch, batch-steps and batch-seconds; fairtrial tune for the second panel",
        (Cells("*-acc-by-batch-size", {**_FOUR, "batch_size": ()}),),
        "the second panel, with the learning rate tuned for each cell: one rule serves all of these",
    ),
    "F3.4": Wanted(
        "Accuracy against the batch of the statistics", ("Q3",), REPORT,
        "what few images per statistic cost BN, with the optimizer's batch held fixed",
        "fairtrial run batch-statistics",
        (Cells("*-acc-by-stat-batch", {"norm": ("bn",), "stat_batch": ()}),),
    ),
    "F3.5": Wanted(
        "Noise of BN's statistics", ("Q3",), SMOKE,
        "how the spread of a batch mean falls with the images in it", _NO_CELLS,
    ),
    "F3.6": Wanted(
        "Smoothness of the loss", ("Q3",), NIGHTLY, "a ratio corrected for the scale of the weights",
        f"{_LATER}: a probe of gradients along the training",
    ),
    "F3.7": Wanted(
        "What is averaged over, drawn", ("Q3",), SMOKE, "the axes of each norm, as the code has them",
        _NO_CELLS,
    ),
    "F3.8": Wanted(
        "Number of groups", ("Q3",), NIGHTLY, "how flat accuracy is in the number of groups",
        f"{_LATER}: groups as a factor",
    ),
    "F3.9": Wanted(
        "BN's running statistics in transfer", ("Q3",), NIGHTLY,
        "what frozen or estimated statistics change, paired with updated ones",
        "fairtrial run shots --set bn_mode=updated,frozen,re-estimated --results results/bn-modes",
        (Cells("bn-mode-gain-by-shots", {"bn_mode": ("updated", "frozen")}, pretrained=True),),
    ),
    "F3.10": Wanted(
        "Training and validation error", ("Q3",), NIGHTLY,
        "that a lower training error is not a lower test error",
        "a training curve in the record: it keeps the validation curve at quarters of the budget only",
    ),
    "F3.11": Wanted(
        "Weight decay", ("Q3",), NIGHTLY, "whether an early rank is the final one",
        "fairtrial run norm --set weight_decay=0,1e-5,1e-4,5e-4 --results results/decay",
        (Cells("*-acc-by-*", {"norm": (), "weight_decay": ()}),),
    ),
    "F3.12": Wanted(
        "Who leads at each step and each second", ("Q3",), REPORT,
        "where the lead changes hands within one schedule, on validation images, with its confidence set",
        "fairtrial run norm; upstream with more seeds: fairtrial run upstream --data parquet:DIR --seeds 10",
        (Cells("crossover", _FOUR),),
        "a narrow band upstream, where three seeds are few",
    ),
    "F4.1": Wanted(
        "How strongly MixUp mixes", ("Q4",), SMOKE, "arithmetic: the share of the weaker image at each alpha",
        _NO_CELLS,
    ),
    "F4.2": Wanted(
        "MixUp against the number of images", ("Q4",), REPORT, "the paired gain at each number of images",
        "fairtrial run mixup; up to 2000 per class: --preset mini --data parquet:DIR",
        (Cells("mixup-gain-by-shots", {"mixup": (0.0,), "shots": (100,)}),),
        "500 and 2000 images per class, where the axis ends before them: the digits are too few",
    ),
    "F4.3": Wanted(
        "MixUp at 1 to 10 images", ("Q4",), REPORT, "the paired gain where BiT does without MixUp",
        "fairtrial run mixup --set shots=1,2,5,10,100 --seeds 20 --results results/few",
        (Cells("mixup-gain-by-shots", {"mixup": (0.0,), "shots": (1, 2, 5, 10)}),),
    ),
    "F4.4": Wanted(
        "Dose of MixUp", ("Q4",), NIGHTLY, "a dose response in alpha",
        "fairtrial run mixup --set mixup=0,0.05,0.1,0.2,0.4,1 --results results/alpha",
        (Cells("mixup-gain-by-shots", {"mixup": (0.0, 0.1, 0.4, 1.0)}),),
    ),
    "F4.5": Wanted(
        "MixUp with each norm", ("Q4", "Q3"), NIGHTLY, "an interaction: only its own interval may be quoted",
        "fairtrial run mixup", (Cells("mixup-gain-by-shots", {"mixup": (0.0,), "norm": ("bn", "gn")}),),
    ),
    "F4.6": Wanted(
        "Why MixUp", ("Q4",), NIGHTLY, "likelihood, calibration and label noise",
        f"{_LATER}: label noise as a factor, and calibration in the record",
    ),
    "F4.7": Wanted(
        "MixUp upstream", ("Q4",), NIGHTLY, "equivalence within one point, upstream and transferred",
        "fairtrial run upstream --set mixup=0,0.1 --data parquet:DIR --results results/mixup-upstream",
        (Cells("*-acc-by-arm", {"mixup": (0.0, 0.1)}, {"stage": "upstream"}),),
    ),
    "T5.1": Wanted(
        "Which model gave which result", ("Q5",), REPORT, "published numbers, each with its table", _NO_CELLS
    ),
    "T5.2": Wanted(
        "RetinaNet on BiT and FPN", ("Q5",), REPORT, "exact counts; the average precision is cited", _NO_CELLS
    ),
    "F5.3": Wanted("Focal loss", ("Q5",), SMOKE, "arithmetic: how the loss is focused by gamma", _NO_CELLS),
    "F5.4": Wanted(
        "A toy detector", ("Q5",), NIGHTLY, "average precision on drawn shapes",
        f"{_LATER}: a detector that trains",
    ),
    "FE.1": Wanted(
        "1 to 10 examples per class", ("EC", "Q1"), REPORT,
        "the curve of this network on these data, over the units that n counts",
        "fairtrial run shots; on CIFAR-10: --preset mini --data parquet:DIR "
        "--set shots=1,2,3,4,5,6,7,8,9,10,25,100; "
        "BiT-M-R50x3: --preset bit --set upstream=BiT-M-R50x3 --device cuda",
        (Cells("*-acc-by-shots", {"shots": (1, 5, 10)}, pretrained=True),),
        "BiT-M-R50x3 itself, where the caption does not name it",
    ),
    "FE.2": Wanted(
        "The layout of BiT Figure 6", ("EC",), NIGHTLY, "medians, as there; no interval, so no ranking",
        "fairtrial run shots", (Cells("*-few-shot", {"shots": (1, 5)}, pretrained=True),),
        "several architectures and upstream sets, where its axis shows norms",
    ),
    "FE.3": Wanted(
        "Noise and power of few-shot results", ("EC",), REPORT,
        "how many subsets an interval of a wanted width takes", _NO_CELLS,
    ),
}  # fmt: skip
