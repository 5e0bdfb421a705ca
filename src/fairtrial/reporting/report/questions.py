"""The questions of the written report: what each asks, what its items may claim and what they may not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fairtrial.reporting.results.arms import averaged_over
from fairtrial.study.study import Contrast, Study

SHORT: Final = (  # of every page
    "How far a full training would bring these networks: presets embedded and mini stop small ones early, "
    "on images of 16 or 32 px (docs/scope.md)."
)
_FEW: Final = 10  # images per class; the end of the few-shot curve


@dataclass(frozen=True)
class Question:
    """One page. about: whether a declared contrast speaks of it; factors: which it is about, if any."""

    slug: str
    title: str
    asks: str
    may: tuple[str, ...]
    may_not: tuple[str, ...]
    about: Callable[[Study, Contrast], bool]
    factors: tuple[str, ...] = ()

    def alone(self, study: Study, contrast: Contrast) -> bool:
        """Return whether a contrast changes only what the question is about, and averages over none of it.

        A mean over what may interact with the change holds at no setting.
        """
        asked = set(self.factors)
        stated = {*contrast.treatment, *contrast.control, *contrast.at, *contrast.by}
        mean = asked & {*averaged_over(study, stated)}
        return not asked or (changed(contrast) - set(contrast.by) <= asked and not mean)


def changed(contrast: Contrast) -> set[str]:
    """The factors that a contrast changes; levels that both sides share are no change."""
    sides = contrast.treatment, contrast.control
    apart = {name for name in sides[0] if sides[0].get(name) != sides[1].get(name)}
    return apart | set(contrast.by)


def _changes(*names: str) -> Callable[[Study, Contrast], bool]:
    return lambda study, contrast: bool(changed(contrast) & set(names))


def _from_resnet(study: Study, contrast: Contrast) -> bool:
    """A contrast of pre-training, or of a study that goes from blocks of ResNet to those of BiT."""
    upstream = study.settings(study.arms()[0]).stage == "upstream"
    return (upstream and changed(contrast) != {"model"}) or _is_ladder(study)


def _transfer(study: Study, contrast: Contrast) -> bool:
    """A contrast of what pre-training gives, or of networks of two sizes."""
    names = changed(contrast)
    return bool(names & {"finetune", "upstream"}) or (names == {"model"} and not _is_ladder(study))


def _is_ladder(study: Study) -> bool:
    return len(study.factors.get("block", ())) > 1


def _few_shot(study: Study, contrast: Contrast) -> bool:
    """A contrast of networks from a checkpoint at few images per class."""
    starting = any(study.settings(arm).starts_from_checkpoint for arm in study.arms())
    shots = contrast.at.get("shots")
    return starting and isinstance(shots, int) and shots <= _FEW


QUESTIONS: Final = {
    "Q1": Question(
        slug="transfer",
        title="Transfer learning",
        asks="What is transfer learning, and what does it buy?",
        may=(
            "What fine-tuning gains over training from scratch with the same images and the same budget.",
            "From how many images per class on the gain is no longer seen, for this network and these data.",
            "What twice the width gains with ten times the upstream images, at two small widths (F1.3).",
        ),
        may_not=(
            "That a larger network of BiT needs more data: two small widths speak of themselves alone.",
            "Anything about BiT-M or BiT-L, where the caption says that the networks are not official ones.",
            "That small networks win on small data. BiT says that the gain of larger ones shrinks.",
        ),
        about=_transfer,
        factors=("finetune", "upstream", "model"),
    ),
    "Q2": Question(
        slug="bit-over-resnet",
        title="What BiT changes over ResNet",
        asks="What does BiT change over ResNet?",
        may=(
            "What BN to GN+WS does in pre-training, and whether WS is worth more with GN: the interaction.",
            "What each step earns on these data, added in this order and left out of the whole (T2.1).",
            "Parameters and operations of each network: they are counted, and equal the published ones.",
            "What standardized filters cost on the machine that the caption names.",
        ),
        may_not=(
            "That BiT invented GN or WS: Wu and He (2018) and Qiao et al. (2019) did.",
            "That a step is worth so much by itself: in another order, or left out, it earns otherwise.",
            "That the published differences are resolved: no spread and no number of runs was published.",
        ),
        about=_from_resnet,
    ),
    "Q3": Question(
        slug="normalization",
        title="GroupNorm, Weight Standardization, BatchNorm",
        asks="GroupNorm, Weight Standardization, BatchNorm: which, when, why?",
        may=(
            "How far GN+WS is ahead of BN at each batch of these studies, paired on the seed.",
            "Whether the statistics or the optimizer's batch hurts BN: only F3.4 holds the optimizer fixed.",
            "Whether WS is worth more with GN than with BN, where all four arms were run.",
        ),
        may_not=(
            "That BiT Table 4 is a test of small batches: it has 4096 images on 128 chips.",
            "That WS was trained with one image per GPU: its README says that this was simulated.",
            "That four arms side by side show an interaction: only its own interval does.",
            "A gap at equal examples as one at equal seconds: GN+WS costs time, and both are reported.",
        ),
        about=_changes("norm", "weight_std", "stat_batch", "bn_mode", "groups"),
        factors=("norm", "weight_std", "stat_batch", "bn_mode"),
    ),
    "Q4": Question(
        slug="mixup",
        title="MixUp",
        asks="What does MixUp do?",
        may=(
            "What MixUp gains at each number of images per class, paired: both arms see the same images.",
            "Whether it suits one norm more than another, from the interval of that interaction.",
            "How strongly it mixes at each alpha: this is arithmetic.",
        ),
        may_not=(
            "That BiT measured MixUp on and off: it has prose only, so a table of ours is new.",
            "The gain of the MixUp paper, which took a larger alpha and a longer training.",
            "That it helps at a size that no study here has run.",
        ),
        about=_changes("mixup"),
        factors=("mixup",),
    ),
    "Q5": Question(
        slug="models",
        title="Models, RetinaNet included",
        asks="Which models are used, RetinaNet included?",
        may=(
            "Parameters and operations of the networks and of RetinaNet on a BiT backbone, as counted.",
            "Published results, each with the table that it was taken from.",
        ),
        may_not=(
            "An average precision of our own: no detector was trained here. The published one is cited.",
            "That BiT-S, M and L are sizes of networks: they are ILSVRC-2012, ImageNet-21k and JFT-300M.",
            "87.8, 99.3, 76.7 or 97.6 as the paper's numbers: those are of its first version.",
        ),
        about=_changes("model"),
        factors=("model",),
    ),
    "EC": Question(
        slug="few-shot",
        title="The few-shot curve",
        asks="How does accuracy grow from 1 to 10 examples per class?",
        may=(
            "The curve of these networks on these data, with every run as a dot and an interval.",
            "How much the choice of the images moves a result at each count (FE.3).",
        ),
        may_not=(
            "That BiT Figure 6 shows this curve: it has 1 and 5 examples; 1 to 100 are in Figures 1 and 2.",
            "That a curve on digits, or of a small network, is that of BiT-M-R50x3 on CIFAR-10.",
            "A ranking of architectures at one example per class from five subsets.",
        ),
        about=_few_shot,
    ),
}
