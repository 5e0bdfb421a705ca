"""What the settings of one arm must fulfil together; each arm of a study is looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import product
from typing import TYPE_CHECKING, Any, Final

from fairtrial.errors import Problem
from fairtrial.norm_table import BLOCK_TABLE
from fairtrial.study import initial_checkpoint
from fairtrial.study.backbone_names import PREFIX, TIMM, backbone
from fairtrial.study.presets import PRESETS
from fairtrial.study.settings import FACTORS, Settings
from fairtrial.study.source_locations import at
from fairtrial.study.tuning_plan import FIRST_SEED

if TYPE_CHECKING:
    from fairtrial.study.study import Study

Found = Iterator[tuple[str, tuple[str, ...], str]]  # (what, the settings that cause it, what to do)

STRIDES: Final = {"mini": 8, "r": 32}  # first letters of a model -> how far its last map is reduced
BY_RULE: Final = ("lr", "warmup", "weight_decay")  # what a hyperrule sets


def problems(study: Study) -> Iterator[Problem]:
    """Every fault of an arm, told once however many arms share it."""
    seen: set[str] = set()
    for check, reads in CHECKS.items():
        swept = [name for name in study.factors if name in reads]
        for levels in _together(study, swept):
            settings = study.settings(dict(zip(swept, levels, strict=True)))
            for what, names, do in check(settings):
                if what not in seen:
                    seen.add(what)
                    paths = [_path(study, name) for name in names if _stated(study, name)]
                    yield Problem(what, at(study.locations, *paths), do)
    yield from _overruled(study)
    yield from _untunable(study)


def _together(study: Study, names: list[str]) -> Iterable[tuple[Any, ...]]:
    """The levels of some factors that meet in an arm: all of them, unless `only` leaves some out."""
    if not study.only:
        return product(*(study.factors[name] for name in names))
    return dict.fromkeys(tuple(arm[name] for name in names) for arm in study.arms())


def _untunable(study: Study) -> Iterator[Problem]:
    """What a study that is tuned must fulfil: images to score on, settings and seeds that are free."""
    if study.tuning is None:
        return
    where = at(study.locations, "tuning")
    arms = [study.settings(levels) for levels in study.arms()]
    if any(not arm.val_per_class for arm in arms):
        what = "there are no validation images to tune on, and the test images are not for it"
        yield Problem(what, where, "set them aside from training: val_per_class=12 in fixed")
    for name in study.tuning.names:
        if name in study.factors:
            do = f"tune what the study does not compare, or leave {name} out of the factors"
            yield Problem(f"{name} is swept by the study and cannot be tuned as well", where, do)
        ruled = sorted({arm.recipe for arm in arms} - {"own"})
        if name in BY_RULE and ruled:
            yield Problem(f"{name} is set by recipe={ruled[0]!r}", where, "tune arms with recipe='own'")
    if late := [seed for seed in study.seeds if seed >= FIRST_SEED]:
        do = f"use seeds below {FIRST_SEED}"
        yield Problem(f"seed {late[0]} belongs to tuning", at(study.locations, "seeds"), do)


def _stated(study: Study, name: str) -> bool:
    return name in study.factors or name in study.fixed


def _path(study: Study, name: str) -> str:
    return f"factors[{name!r}]" if name in study.factors else f"fixed[{name!r}]"


def _splits(settings: Settings) -> Found:
    """Batch sizes that do not split, and batch statistics that would be undefined or changed in silence."""
    batch, stat = settings.batch_size, settings.stat_batch
    # AUTO is halved when it comes to it; a norm that mixes the batch then fails with the reason
    micro = None if isinstance(settings.micro_batch, str) else settings.micro_batch
    forward, outer = (batch, "batch_size") if micro is None else (micro, "micro_batch")
    for part, whole, names in (
        (micro, batch, ("micro_batch", "batch_size")),
        (stat, forward, ("stat_batch", outer)),
    ):
        if part is not None and whole % part:
            divisors = ", ".join(str(d) for d in range(1, whole + 1) if whole % d == 0)
            what = f"{names[0]}={part} does not divide {names[1]}={whole}"
            yield what, names, f"choose a divisor of {whole}: {divisors}"
    if not settings.norm_row.mixes_batch:
        return
    if (stat or forward) == 1:
        name = outer if stat is None else "stat_batch"
        what = f"norm={settings.norm!r} with {name}=1: a batch statistic of one image is undefined"
        what += " where one value is left"
        yield what, ("norm", name), "use at least 2 images per statistic, or another norm for 1"
    if micro not in (None, batch) and not settings.bn_split:
        what = f"micro_batch={micro} would change BN's batch statistics from {batch} to {micro} images"
        yield what, ("norm", "micro_batch"), "drop micro_batch, or state bn_split=True to allow it"


def _last_maps(settings: Settings) -> Found:
    """Norms over the pixels of one channel, where the last feature map has a single pixel."""
    model, side = settings.model, settings.resolution
    stride = next((stride for first, stride in STRIDES.items() if model.startswith(first)), 1)
    if settings.norm_row.over_pixels and settings.recipe == "own" and side <= stride:
        what = f"norm={settings.norm!r} at {side} px: the last map of {model} has one pixel,"
        what += " one value per statistic"
        yield what, ("norm", "resolution"), f"use more than {stride} px, or another norm"


def _start(settings: Settings) -> Found:
    """Ways to fine-tune that need a pre-trained network, and networks that a file does not fit."""
    start = initial_checkpoint.parse(settings.upstream)
    if start.kind == initial_checkpoint.NONE:
        for name, without in (("finetune", ("full", "scratch")), ("bn_mode", ("updated",))):
            if (value := getattr(settings, name)) not in without:
                what = f"{name}={value!r} needs a pre-trained network, but upstream is none"
                yield what, (name, "upstream"), f"give {initial_checkpoint.FORMS.removeprefix('none, ')}"
    if settings.finetune == "linear_probe" and settings.mixup:
        what = "finetune='linear_probe' computes the features once, so images cannot be mixed"
        yield what, ("finetune", "mixup"), "set mixup to 0, or fine-tune"
    if start.single and settings.upstream_seeds != 1:
        what = f"upstream_seeds={settings.upstream_seeds}, but {start.name} is one checkpoint"
        yield what, ("upstream_seeds", "upstream"), "set upstream_seeds to 1"
    for kind, network in ((initial_checkpoint.TORCHVISION, PREFIX), (initial_checkpoint.TIMM, TIMM)):
        if start.name == kind and not settings.model.startswith(network):
            what = f"upstream={kind!r} holds no weights for {settings.model}"
            yield what, ("upstream", "model"), f"choose a model such as {network}resnet50"
    if start.bit and (settings.norm, settings.weight_std) != ("gn", True):
        what = f"{start.name} holds a network of gn+ws, and this arm is another"
        yield what, ("norm", "weight_std", "upstream"), "fix norm='gn' and weight_std=True"
    if start.network not in (None, settings.model):
        what = f"{start.name} holds the network {start.network}, and this arm is {settings.model}"
        yield what, ("upstream", "model"), f"set model={start.network}, one network in a study"
    for name in ("block", "stride_on", "groups"):
        if start.bit and getattr(settings, name) != FACTORS[name].default:
            what = f"{start.name} holds a network with {name}={FACTORS[name].default!r}"
            yield what, (name, "upstream"), f"take {name} out"


def _groups(settings: Settings) -> Found:
    """Groups of a norm that has none to choose."""
    if settings.groups is not None and not settings.norm_row.takes_groups:
        what = f"groups={settings.groups}, but norm={settings.norm!r} has no number of groups to choose"
        yield what, ("groups", "norm"), "fix norm='gn', or take groups out"


def _order(settings: Settings) -> Found:
    """Norms that activate by themselves, where a relu comes behind the sum."""
    if settings.norm_row.activates and not BLOCK_TABLE[settings.block].preactivated:
        what = (
            f"norm={settings.norm!r} activates by itself, but a {settings.block} block sums before its relu"
        )
        yield what, ("norm", "block"), "use pre-activation, or another norm"


def _backbones(settings: Settings) -> Found:
    """Networks of torchvision, timm and plug-ins, which come as they were made."""
    model = settings.model
    row = backbone(model)
    if row is None:
        return
    for name, own in (
        # what timm builds is compared with these when it is built
        *((name, getattr(row, name)) for name in ("norm", "weight_std") if getattr(row, name) is not None),
        ("stat_batch", None),
        ("bn_mode", "updated"),
        *((name, FACTORS[name].default) for name in ("block", "stride_on", "head", "groups")),
    ):
        if (value := getattr(settings, name)) != own:
            what = f"{name}={value!r}, but {model} comes with {own}"
            yield what, (name, "model"), f"fix {name}={own!r} for it"
    if settings.stage == "upstream":
        what = f"stage='upstream' keeps networks of our own; {model} is none of them"
        yield what, ("stage", "model"), "pre-train a network such as mini"
    if row.builder and settings.finetune == "last" and not row.last_stage:
        what = f"finetune='last', but the plug-in of {model} does not say where its last stage begins"
        yield what, ("finetune", "model"), 'state it in PLUGIN: "last_stage": "NAME OF A MODULE"'
    published = "" if row.builder else model.partition(":")[0]
    start = initial_checkpoint.parse(settings.upstream)
    if start.kind not in (initial_checkpoint.NONE, "file") and start.name != published:
        what = f"upstream={settings.upstream!r} holds no weights for {model}"
        do = "use file:FILE, or none"
        if published:
            do = f"use upstream={published!r}, its published weights, {do.removeprefix('use ')}"
        yield what, ("upstream", "model"), do
    alone = 1 in (settings.batch_size, settings.micro_batch)
    if alone and settings.resolution < row.side_alone and settings.recipe == "own":
        what = f"one image of {settings.resolution} px at a time leaves one value per channel in {model}"
        yield what, ("batch_size", "micro_batch", "model"), f"use 2 images, or {row.side_alone} px or more"
    side = row.smallest_side
    if settings.resolution < side and settings.recipe == "own" and not row.fixed:
        what = f"resolution={settings.resolution}, but {model} takes {side} px or more"
        yield what, ("resolution", "model"), f"use resolution={side}, or another model"
    if row.fixed and (settings.resolution != side or settings.recipe != "own"):
        what = f"resolution={settings.resolution} with recipe={settings.recipe!r}, but {model} takes"
        what += f" {side} px alone"
        yield (
            what,
            ("resolution", "recipe", "model"),
            f"use resolution={side} and recipe='own', or another model",
        )


def _overruled(study: Study) -> Iterator[Problem]:
    """Settings that a hyperrule sets, written down beside it."""
    levels = study.factors.get("recipe", (study.settings({}).recipe,))
    if any(level != "own" for level in levels):
        for name in BY_RULE:
            if _stated(study, name) and name not in PRESETS[study.preset]:
                what = f"{name} is set by recipe={levels[-1]!r}"
                yield Problem(
                    what, at(study.locations, _path(study, name)), f"take {name} out, or use recipe='own'"
                )


CHECKS: Final[dict[Callable[[Settings], Found], tuple[str, ...]]] = {  # check -> the settings it reads
    _splits: ("norm", "batch_size", "micro_batch", "stat_batch", "bn_split"),
    _last_maps: ("norm", "model", "resolution", "recipe"),
    _backbones: (
        "model", "norm", "weight_std", "stat_batch", "bn_mode", "stage", "upstream", "resolution", "recipe",
        "batch_size", "micro_batch", "block", "stride_on", "head", "groups", "finetune",
    ),
    _start: (
        "model", "norm", "weight_std", "upstream", "upstream_seeds", "finetune", "bn_mode", "mixup", "block",
        "stride_on", "groups",
    ),
    _groups: ("norm", "groups"),
    _order: ("norm", "block"),
}  # fmt: skip
