"""Networks of timm, without their last linear map, and what is known of each once it is built."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from fairtrial.norm_table import NORM_TABLE

# Which norm of ours a layer of timm is, by the end of its class's name.
_NORMS: Final = {
    "BatchNorm2d": "bn", "BatchNormAct2d": "bn", "GroupNorm": "gn", "GroupNorm1": "gn", "GroupNormAct": "gn",
    "GroupNorm1Act": "gn", "LayerNorm": "ln", "LayerNorm2d": "ln", "LayerNormAct": "ln",
    "LayerNormAct2d": "ln", "InstanceNorm2d": "in", "FilterResponseNormTlu2d": "frn",
    "FilterResponseNormAct2d": "frn", "EvoNorm2dS0": "evonorm_s0",
}  # fmt: skip
_STANDARDIZED: Final = {
    "StdConv2d": True,
    "StdConv2dSame": True,
    "ScaledStdConv2d": "scaled",
    "ScaledStdConv2dSame": "scaled",
}


class _ParametersOnMeta(TorchFunctionMode):
    """What layers make their parameters with gives shapes alone; other tensors keep their numbers."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.empty:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


def shaped(make: Callable[[], nn.Module]) -> nn.Module:
    """The network that `make` makes, also under a caller's meta device.

    Makers compute with small tensors, whose numbers the meta device does not have.
    """
    on_meta = torch.empty(0).device.type == "meta"
    with torch.device("cpu"), _ParametersOnMeta() if on_meta else nullcontext():
        network = make()
    return network.to("meta") if on_meta else network


def layers_of(body: nn.Module) -> dict[str, Any]:
    """Return the norm and the weight standardization of a network, by the names of its layers.

    Its norm is the one that mixes the batch where it has one, else the most frequent.
    """
    kinds = Counter(type(module).__name__ for module in body.modules())
    norms = Counter(_NORMS[kind] for kind in kinds.elements() if kind in _NORMS)
    norm = max(norms, key=lambda norm: (NORM_TABLE[norm].mixes_batch, norms[norm]), default="none")
    standardized = next((value for kind, value in _STANDARDIZED.items() if kind in kinds), False)
    return {"norm": norm, "weight_std": standardized}


@dataclass(frozen=True)
class Made:
    """A built network. published: as in Backbone, and of no more than its start; facts: of BackboneSpec."""

    body: nn.Module
    published: dict[str, tuple[int, ...]]
    facts: dict[str, Any]


def build(name: str) -> Made:
    """The network that timm calls `name`, nothing in it random; a ValueError for a name it does not know."""
    with torch.device("cpu"):
        import timm

    try:
        body = shaped(lambda: timm.create_model(name, pretrained=False, num_classes=0))
    except (RuntimeError, ValueError) as error:
        near = ", ".join(timm.list_models(f"*{name.partition('.')[0][:8]}*")[:5])
        raise ValueError(
            f"timm cannot make {name!r}: {error}; it has {near or 'no such name'}, ..."
        ) from None
    config: Any = body.pretrained_cfg
    side = config["input_size"][-1]
    fixed = bool(config.get("fixed_input_size"))
    stages: Any = getattr(body, "feature_info", None) or [{}]
    facts = {
        **layers_of(body),
        "mean": tuple(config["mean"]),
        "std": tuple(config["std"]),
        "smallest_side": side if fixed else 1,
        "fixed": fixed,
        "last_stage": stages[-1].get("module", ""),
    }
    width: Any = getattr(body, "head_hidden_size", None) or body.num_features
    heads = config.get("classifier") or "head"
    names = (heads,) if isinstance(heads, str) else heads
    return Made(body, {f"{name}.weight": (1, width) for name in names}, facts)
