"""The settings of one arm: a frozen dataclass whose fields are the table of factors.

A setting equal to its default is left out of a cell's identity, so a factor added here later changes no old
cell; for the same reason a default never changes. To add a factor, add one row and read it where it acts.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from fairtrial.norm_table import BLOCK_TABLE, GROUPED, NORM_TABLE, NormRow
from fairtrial.study import initial_checkpoint
from fairtrial.study.backbone_names import BACKBONES, backbone
from fairtrial.study.data_spec import name_of
from fairtrial.study.identity import canonical
from fairtrial.study.initial_checkpoint import InitialCheckpoint, StartKey, starting
from fairtrial.study.value_kinds import Kind, choice, choice_of, either, real, switch, text, whole

DRAWN: Final = "drawn"  # the level of `indices` whose images are drawn from the seed
AUTO: Final = "auto"  # halved whenever memory runs out
ALL: Final = "all"  # every training image but the validation ones
MODEL_NAMES: Final = (
    "mini-half", "mini", "mini-x2", "mini-x3", "r50x1", "r50x3", "r101x1", "r101x3", "r152x2", "r152x4",
)  # fmt: skip
PLUGINS: Final = "plugins"  # the key in `extra` for the plug-ins that an arm uses
CELL: Final = "cell"  # and for its training function, where that is not the one in the box
OWN_KERNELS: Final = ("fastest", "fused")  # those that ask for our own
KERNEL_NAMES: Final = (*OWN_KERNELS, "torch", "plain")  # kernels.dispatch says what they are
FINETUNES: Final = {  # what fine-tuning trains, and how that reads
    "full": "fine-tuned",
    "last": "last stage tuned",
    "linear_probe": "linear probe",
    "scratch": "from scratch",
}
RECIPES: Final = ("own", "hyperrule-paper", "hyperrule-code", "hyperrule-code-light")
BN_MODES: Final = {
    "updated": "BN updated",
    "frozen": "BN frozen",
    "re-estimated": "BN re-estimated",
}
_NETWORKS: Final = ChainMap[str, Any](BACKBONES, dict.fromkeys(MODEL_NAMES))
MODEL: Final = choice_of(_NETWORKS, backbone)  # of ours, of torchvision, of a plug-in, or any of timm
START: Final = Kind(f"one of: {initial_checkpoint.FORMS}", initial_checkpoint.checked, str)


@dataclass(frozen=True)
class Factor:
    """One row of the table.

    label: how a level reads in a sentence, as a form or as a word for each level; words: levels that read
    otherwise. clock: whether the seconds of a training step depend on it. start: whether it tells two initial
    checkpoints apart. named: what a file counts as in the identity, wherever it lies. recorded, spelled: its
    name and levels in the identity of a cell, where those of the table were renamed after cells had been
    recorded.
    """

    kind: Kind
    default: Any
    label: str | Mapping[str, str]
    words: Mapping[Any, str] = field(default_factory=dict)
    clock: bool = True
    start: bool = False
    named: Callable[[str], str] | None = None
    recorded: str | None = None
    spelled: Mapping[Any, Any] = field(default_factory=dict)

    def identity(self, value: Any) -> Any:
        """Return the one spelling of a value, a file by its name; a bad value is a ValueError."""
        value = self.kind.canon(value)
        return value if self.named is None else self.named(value)

    def in_words(self, value: Any) -> str:
        """Return a level as it reads in a sentence."""
        if not isinstance(self.label, str):
            return self.label.get(value, str(value))
        if isinstance(value, bool):
            return self.label if value else f"no {self.label}"
        if value in self.words:
            return self.words[value]
        return self.label.format("off" if value is None else value)


def row(kind: Kind, default: Any, label: str | Mapping[str, str], **more: Any) -> Any:
    """Return a dataclass field with its row of the table."""
    return field(default=default, metadata={"factor": Factor(kind, default, label, **more)})


@dataclass(frozen=True)
class Settings:
    """Every setting of one arm.

    extra: factors of the user's own training code, PLUGINS and CELL, and recorded settings that this version
    does not know.
    """

    model: str = row(MODEL, "mini", "{}", start=True)
    norm: str = row(choice_of(NORM_TABLE), "gn", "{}", start=True)
    weight_std: bool | str = row(either("scaled", "scaled", switch()), True, "ws", start=True)
    # of gn in each layer, as far as its channels divide by them; None: as the network has them
    groups: int | None = row(
        either(None, "own", whole(1, 2**20)), None, "{} groups",
        words={None: "own groups", 1: "1 group"}, start=True,
    )  # fmt: skip
    # images per optimizer update
    batch_size: int = row(whole(1, 2**20), 64, "batch {}")
    stat_batch: int | None = row(either(None, "batch", whole(1, 2**20)), None, "statistics batch {}")
    micro_batch: int | str | None = row(
        either(AUTO, AUTO, either(None, "batch", whole(1, 2**20))), None, "micro-batch {}"
    )
    # lets micro_batch change BN's statistics, knowingly
    bn_split: bool = row(switch(), False, "BN split")
    # alpha; 0 is off
    mixup: float = row(real(0.0), 0.0, "mixup {}", words={0: "mixup off"})
    # images per class
    shots: int | str = row(either(ALL, ALL, whole(1)), ALL, "{}-shot", words={ALL: "all images"}, clock=False)
    # or a file of index lists, one for each seed
    indices: str = row(text(), DRAWN, "images of {}", clock=False, named=lambda value: Path(value).name)
    # share of training labels that name another class
    label_noise: float = row(
        real(0.0, below=1.0), 0.0, "label noise {}", words={0: "clean labels"}, clock=False
    )
    val_per_class: int = row(whole(0), 0, "{} validation images per class", clock=False)
    data: str = row(text(), "digits", "{}", named=name_of)
    resolution: int = row(whole(2, 4096), 32, "{} px")
    augment: str = row(choice("none", "crop", "crop-flip"), "none", "augment {}")
    recipe: str = row(choice(*RECIPES), "own", "{}")
    # at 64 images per update; recipes.py scales it
    lr: float = row(real(0.0, above=True), 0.1, "lr {}", clock=False)
    weight_decay: float = row(real(0.0), 0.0, "weight decay {}", clock=False)
    # fraction of the budget
    warmup: float = row(real(0.0, below=1.0), 0.0, "warm-up {}", clock=False)
    precision: str = row(choice("fp32", "bf16"), "fp32", "{}")
    # of images and filters in memory
    layout: str = row(choice("nchw", "nhwc"), "nchw", "{}")
    # of weight standardization and gn
    kernels: str = row(choice(*KERNEL_NAMES), "fastest", "{} kernels")
    # upstream: weights are kept; tuning: the test split stays sealed
    stage: str = row(choice("downstream", "upstream", "tuning"), "downstream", "{}", clock=False)
    # of a tuning study
    trial: int | None = row(either(None, "none", whole(0)), None, "trial {}", clock=False)
    # where the network starts
    upstream: str = row(
        START, initial_checkpoint.NONE, "from {}", start=True, named=initial_checkpoint.name_of
    )
    # seed s starts from s modulo this
    upstream_seeds: int = row(
        whole(1, 1000), 1, "{} upstream seeds", words={1: "1 upstream seed"}, clock=False
    )
    finetune: str = row(
        choice(*FINETUNES), "full", FINETUNES, recorded="tune", spelled={"linear_probe": "probe"}
    )
    # what fine-tuning does to running statistics
    bn_mode: str = row(choice(*BN_MODES), "updated", BN_MODES)
    block: str = row(choice_of(BLOCK_TABLE), "pre-activation", "{}", start=True)
    # of a unit that halves its map
    stride_on: str = row(choice("3x3", "1x1"), "3x3", "stride on the {}", start=True)
    # how the last linear map starts
    head: str = row(choice("zero", "drawn"), "zero", "{} head")
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Settings:
        """Return the settings that `values` give, the rest at their defaults."""
        known = {name: value for name, value in values.items() if name in FACTORS}
        extra = {} if len(known) == len(values) else {n: v for n, v in values.items() if n not in FACTORS}
        return cls(**known, extra=extra)

    def record(self) -> dict[str, Any]:
        """Return every setting by name, JSON-ready, in the order of the table."""
        return {name: getattr(self, name) for name in FACTORS} | dict(self.extra)

    def identity(self) -> dict[str, Any]:
        """Return what a cell's id covers: the settings that are not at their default, as always spelled."""
        return _recorded({name: getattr(self, name) for name in FACTORS} | dict(self.extra))

    @cached_property
    def identity_text(self) -> str:
        """The identity as canonical JSON."""
        return canonical(self.identity())

    def step_identity(self) -> dict[str, Any]:
        """Return the part of the identity that the seconds of a training step depend on."""
        moving = {name: getattr(self, name) for name, factor in FACTORS.items() if factor.clock}
        return _recorded(moving | dict(self.extra))

    @property
    def norm_row(self) -> NormRow:
        """What its normalization does."""
        return NORM_TABLE[self.norm]

    def on_own_kernels(self, of_device: str) -> bool:
        """Whether our own kernels compute part of it, if they may. of_device: `kernels` of an origin."""
        fused = self.kernels == "fused" and self.layout == "nhwc"
        norms = self.norm in GROUPED and (fused or of_device == "triton")
        return backbone(self.model) is None and of_device != "torch" and (bool(self.weight_std) or norms)

    @property
    def start(self) -> InitialCheckpoint:
        """Where its network starts; the kind is "none" from scratch."""
        return starting(self.upstream, self.finetune)

    @property
    def starts_from_checkpoint(self) -> bool:
        """Whether its network starts from a checkpoint; `finetune="scratch"` leaves that aside."""
        return self.start.kind != initial_checkpoint.NONE

    def upstream_seed(self, seed: int) -> int | None:
        """Return the upstream seed that a replicate starts from; None from scratch."""
        return self.start.seed(self.upstream_seeds, seed)

    @property
    def start_key(self) -> StartKey:
        """What tells its initial checkpoint from another one."""
        network = {n: getattr(self, n) for n, factor in FACTORS.items() if factor.start and n != "upstream"}
        network |= {PLUGINS: self.extra[PLUGINS]} if PLUGINS in self.extra else {}
        return StartKey(self.upstream, tuple(network.items()))


FACTORS: Final[dict[str, Factor]] = {
    each.name: each.metadata["factor"] for each in fields(Settings) if "factor" in each.metadata
}


def _recorded(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that are not at their default, by the names and in the spelling of recorded cells."""
    found = {}
    for name, value in values.items():
        factor = FACTORS.get(name)
        if factor is None:
            found[name] = value
        elif value != factor.default:
            found[factor.recorded or name] = factor.spelled.get(value, value)
    return found
