"""The table of what can be swept or fixed: names, allowed values, defaults, words.

A setting equal to its default is left out of a cell's identity, so a factor added here later changes no old
cell; for the same reason a default never changes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fairtrial.errors import did_you_mean, shown
from fairtrial.study import initial_checkpoint
from fairtrial.study.backbone_names import BACKBONES
from fairtrial.study.data_spec import name_of

DRAWN: Final = "drawn"  # the level of `indices` whose images are drawn from the seed
AUTO: Final = "auto"  # halved whenever memory runs out
ALL: Final = "all"  # every training image but the validation ones
MODEL_NAMES: Final = (
    "mini", "mini-x2", "mini-x3", "r50x1", "r50x3", "r101x1", "r101x3", "r152x2", "r152x4",
)  # fmt: skip
KERNEL_NAMES: Final = ("fastest", "torch", "plain")  # layers.choice says what they are
NORM_NAMES: Final = ("bn", "gn", "ln", "in", "none", "frn", "evonorm_s0")
TUNES: Final = {  # what fine-tuning trains, and how that reads
    "full": "fine-tuned",
    "last": "last stage tuned",
    "probe": "linear probe",
    "scratch": "from scratch",
}
RECIPES: Final = ("own", "hyperrule-paper", "hyperrule-code", "hyperrule-code-light")
BLOCKS: Final = ("pre-activation", "post-activation")  # of BiT, and of ResNet v1
BN_MODES: Final = {
    "updated": "BN updated",
    "frozen": "BN frozen",
    "re-estimated": "BN re-estimated",
}


@dataclass(frozen=True)
class Kind:
    """How values of one type are told apart, read from text, and described."""

    says: str
    canon: Callable[[Any], Any]  # the one spelling of a value; raises ValueError with the reason
    parse: Callable[[str], Any]


@dataclass(frozen=True)
class Factor:
    """One row of the table; `label` is how a level reads in a sentence: a form, or a word for each level."""

    kind: Kind
    default: Any
    label: str | Mapping[str, str]


def _whole(low: int, high: int = 2**31 - 1) -> Kind:
    def canon(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"is {type(value).__name__}, not a whole number")
        if not low <= value <= high:
            raise ValueError(f"is outside {low}..{high}")
        return value

    return Kind(f"a whole number from {low} to {high}", canon, _number)


def _real(low: float, *, above: bool = False, below: float = math.inf) -> Kind:
    sign = ">" if above else ">="
    says = f"a finite number {sign} {low:g}" + (f" and < {below:g}" if below < math.inf else "")

    def canon(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"is {type(value).__name__}, not a number")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise ValueError("is not finite")
        if number < low or (above and number == low):
            raise ValueError(f"is not {sign} {low:g}")
        if number >= below:
            raise ValueError(f"is not < {below:g}")
        return number + 0.0  # -0.0 becomes 0.0

    return Kind(says, canon, _number)


def _choice(*names: str) -> Kind:
    def canon(value: Any) -> str:
        if not isinstance(value, str) or value not in names:
            raise ValueError(f"is not a known name{did_you_mean(value, names)}")
        return value

    return Kind("one of " + ", ".join(names), canon, str)


def _switch() -> Kind:
    def canon(value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValueError(f"is {type(value).__name__}, not True or False")
        return value

    return Kind("True or False (on, off)", canon, _boolean)


def _text() -> Kind:
    def canon(value: Any) -> str:
        if not isinstance(value, str) or not value.strip():
            raise ValueError("is not a text")
        return value

    return Kind("a text", canon, str)


def _start() -> Kind:
    def canon(value: Any) -> str:
        text = _text().canon(value)
        initial_checkpoint.parse(text)
        return text

    return Kind(f"one of: {initial_checkpoint.FORMS}", canon, str)


def _or(word: Any, spelled: str, kind: Kind) -> Kind:
    """`word` in a study, `spelled` on the command line; or a value of another kind."""

    def canon(value: Any) -> Any:
        return word if value is word or (isinstance(word, str) and value == word) else kind.canon(value)

    def parse(text: str) -> Any:
        return word if text == spelled else kind.parse(text)

    says = repr(word) if word == spelled else f"{word} (as an option: {spelled})"
    return Kind(f"{says}, or {kind.says}", canon, parse)


def _number(text: str) -> Any:
    for read in (int, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text  # the check then says what is wrong with it


def _boolean(text: str) -> Any:
    words = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}
    return words.get(text.lower(), text)


FACTORS: Final[dict[str, Factor]] = {
    "model": Factor(_choice(*MODEL_NAMES, *BACKBONES), "mini", "{}"),
    "norm": Factor(_choice(*NORM_NAMES), "gn", "{}"),
    "weight_std": Factor(_or("scaled", "scaled", _switch()), True, "ws"),
    "batch_size": Factor(_whole(1, 2**20), 64, "batch {}"),  # images per optimizer update
    "stat_batch": Factor(_or(None, "batch", _whole(1, 2**20)), None, "statistics batch {}"),
    "micro_batch": Factor(_or(AUTO, AUTO, _or(None, "batch", _whole(1, 2**20))), None, "micro-batch {}"),
    "bn_split": Factor(_switch(), False, "BN split"),  # lets micro_batch change BN's statistics, knowingly
    "mixup": Factor(_real(0.0), 0.0, "mixup {}"),  # alpha; 0 is off
    "shots": Factor(_or(ALL, ALL, _whole(1)), ALL, "{}-shot"),  # images per class
    "indices": Factor(_text(), DRAWN, "images of {}"),  # or a file of index lists, one for each seed
    "val_per_class": Factor(_whole(0), 0, "{} validation images per class"),
    "data": Factor(_text(), "digits", "{}"),
    "resolution": Factor(_whole(2, 4096), 32, "{} px"),
    "augment": Factor(_choice("none", "crop", "crop-flip"), "none", "augment {}"),
    "recipe": Factor(_choice(*RECIPES), "own", "{}"),
    "lr": Factor(_real(0.0, above=True), 0.1, "lr {}"),  # at 64 images per update; recipe.py scales it
    "weight_decay": Factor(_real(0.0), 0.0, "weight decay {}"),
    "warmup": Factor(_real(0.0, below=1.0), 0.0, "warm-up {}"),  # fraction of the budget
    "precision": Factor(_choice("fp32", "bf16"), "fp32", "{}"),
    "layout": Factor(_choice("nchw", "nhwc"), "nchw", "{}"),  # of images and filters in memory
    "kernels": Factor(_choice(*KERNEL_NAMES), "fastest", "{} kernels"),  # of weight standardization and gn
    # upstream: weights are kept; tuning: the test split stays sealed
    "stage": Factor(_choice("downstream", "upstream", "tuning"), "downstream", "{}"),
    "trial": Factor(_or(None, "none", _whole(0)), None, "trial {}"),  # of a tuning study
    "upstream": Factor(_start(), initial_checkpoint.NONE, "from {}"),  # where the network starts
    "upstream_seeds": Factor(_whole(1, 1000), 1, "{} upstream seeds"),  # seed s starts from s modulo this
    "tune": Factor(_choice(*TUNES), "full", TUNES),
    "bn_mode": Factor(_choice(*BN_MODES), "updated", BN_MODES),  # what fine-tuning does to running statistics
    "block": Factor(_choice(*BLOCKS), "pre-activation", "{}"),
    "stride_on": Factor(_choice("3x3", "1x1"), "3x3", "stride on the {}"),  # of a unit that halves its map
    "head": Factor(_choice("zero", "drawn"), "zero", "{} head"),  # how the last linear map starts
}


NAMED: Final[dict[str, Callable[[str], str]]] = {
    "data": name_of,
    "upstream": initial_checkpoint.name_of,
    "indices": lambda value: Path(value).name,
}


def canon(name: str, value: Any) -> Any:
    """The one spelling of a setting's value; ValueError says what is wrong with it."""
    try:
        return FACTORS[name].kind.canon(value)
    except ValueError as error:
        raise ValueError(f"{name}={shown(value)} {error}") from None


def identity(name: str, value: Any) -> Any:
    """What a setting is in a cell's identity: its one spelling; a file counts by its name alone."""
    value = canon(name, value)
    return NAMED[name](value) if name in NAMED else value


def identities(levels: Mapping[str, Any]) -> dict[str, Any]:
    """`identity` of every level."""
    return {name: identity(name, level) for name, level in levels.items()}


def setting(settings: Mapping[str, Any], name: str) -> Any:
    """A setting as recorded; its default where it did not exist then."""
    return settings.get(name, FACTORS[name].default)


def told(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings without those at their default: a factor that is added later thus changes no identity."""
    return {n: v for n, v in settings.items() if n not in FACTORS or v != FACTORS[n].default}


def label(levels: Mapping[str, Any]) -> str:
    """An arm in words: {'norm': 'gn', 'weight_std': True, 'batch_size': 4} -> 'gn+ws, batch 4'."""
    words = [name_of_norm(levels)] if {"norm", "weight_std"} & set(levels) else []
    words += [_words(name, value) for name, value in levels.items() if name not in ("norm", "weight_std")]
    return ", ".join(words)


def name_of_norm(levels: Mapping[str, Any]) -> str:
    """'bn', 'gn+ws', 'ws' or 'no ws': the part of an arm's name that norm and weight_std give."""
    if "norm" not in levels:
        return {True: "ws", "scaled": "sws"}.get(levels["weight_std"], "no ws")
    return levels["norm"] + {True: "+ws", "scaled": "+sws"}.get(levels.get("weight_std", False), "")


def _words(name: str, value: Any) -> str:
    form = FACTORS[name].label
    if not isinstance(form, str):
        return form[value]
    if isinstance(value, bool):
        return form if value else f"no {form}"
    if name == "shots" and value == ALL:
        return "all images"
    off = value is None or (name == "mixup" and value == 0)
    return form.format("off" if off else value)
