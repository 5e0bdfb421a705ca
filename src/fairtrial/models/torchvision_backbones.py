"""Published networks, and those of plug-ins, as arms: made, started and counted as our own are.

torchvision and timm are imported where a network is built: the import takes seconds and brings torch's
compiler along.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from fairtrial.models import timm_backbones
from fairtrial.models.resnet import _he_normal, _known
from fairtrial.models.timm_backbones import shaped
from fairtrial.norm_table import named_by
from fairtrial.study.backbone_names import BACKBONES, PREFIX, TIMM, BackboneSpec, backbone

Shape = tuple[int, ...]

LAYER_SCALE: Final = 1e-6  # of a residual branch of ConvNeXt at its start (Liu et al., 2022)
TOKEN_STD: Final = 1 / 50  # of position embeddings and the like at their start (Dosovitskiy et al., 2021)


class Backbone(nn.Module):
    """images (batch, 3, height, width) in [-1, 1], as `augment.normalize` gives -> logits (batch, classes).

    The network itself turns them into what the published weights expect, their mean and deviation.
    body: the network under its own names, without the last linear map. head: that map.
    published: the names of that map's arrays in a published file, and their shapes with one class.
    """

    scale: Tensor
    shift: Tensor

    def __init__(
        self, name: str, spec: BackboneSpec, body: nn.Module, published: dict[str, Shape], classes: int
    ) -> None:
        super().__init__()
        self.name, self.spec, self.body, self.published = name, spec, body, published
        self.head = nn.Linear(next(iter(published.values()))[1], classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        mean, std = torch.tensor(spec.mean).view(3, 1, 1), torch.tensor(spec.std).view(3, 1, 1)
        self.register_buffer("scale", 0.5 / std, persistent=False)  # ((x + 1) / 2 - mean) / std
        self.register_buffer("shift", (0.5 - mean) / std, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))

    def features(self, x: Tensor) -> Tensor:
        """images (batch, 3, height, width) in [-1, 1] -> what the head sees, (batch, channels)."""
        self._check(x)
        return self.body(torch.addcmul(self.shift, x, self.scale))

    def _check(self, x: Tensor) -> None:
        batch, _, height, width = x.shape
        side, alone = self.spec.smallest_side, self.spec.side_alone
        if min(height, width) < side or (self.spec.fixed and max(height, width) > side):
            raise ValueError(
                f"images of {height}x{width} pixels; {self.name} takes {self.spec.sides}. "
                f"Choose {'that' if self.spec.fixed else 'a larger'} resolution or another model."
            )
        if batch == 1 and max(height, width) < alone and any(map(_takes_statistics, self.modules())):
            raise ValueError(
                f"BN in training has one value per channel (1 image of {height}x{width} pixels), so no "
                f"variance. Use 2 or more images, or {alone}x{alone} pixels or more in {self.name}."
            )


def _takes_statistics(module: nn.Module) -> bool:
    return isinstance(module, nn.BatchNorm2d) and module.training


def create_backbone(name: str, num_classes: int) -> Backbone:
    """The network called `name`, as "torchvision:resnet50"; start it with `init_backbone`, or load it.

    Nothing in it is random: dropout and stochastic depth are off, as BiT fine-tunes without them.
    A name that timm does not know is a ValueError; ImportError where timm is not installed.
    """
    with torch.random.fork_rng(devices=[]):  # both draw from the global generator; leave it untouched
        if name.startswith(TIMM):
            made = timm_backbones.build(name.removeprefix(TIMM))
            spec = replace(backbone(name) or BackboneSpec(), **made.facts)
            return Backbone(name, spec, made.body, made.published, num_classes)
        _known("backbone", name, BACKBONES)
        spec = BACKBONES[name]
        if spec.builder:
            return Backbone(name, spec, *_without_head(built(spec, num_classes), num_classes), num_classes)
        return Backbone(name, spec, *_network(name.removeprefix(PREFIX), spec), num_classes)


def built(spec: BackboneSpec, classes: int) -> nn.Module:
    """Return what the function of a plug-in makes, with its own head; what it draws is the same each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = shaped(lambda: named_by(spec.builder)(classes))
    if not isinstance(network, nn.Module):
        raise TypeError(f"returns {type(network).__name__}, not a torch.nn.Module")
    return network


def _without_head(network: nn.Module, classes: int) -> tuple[nn.Module, dict[str, Shape]]:
    """A network without its last linear map, and names and shapes of that map; a ValueError without one."""
    maps = [(name, module) for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    if not maps or not maps[-1][0] or maps[-1][1].out_features != classes:
        raise ValueError(f"has no last nn.Linear with one output for each of {classes} classes")
    last, layer = maps[-1]
    network.set_submodule(last, nn.Identity())
    return network, {f"{last}.{each}": (1, *v.shape[1:]) for each, v in layer.named_parameters()}


def _network(name: str, spec: BackboneSpec) -> tuple[nn.Module, dict[str, Shape]]:
    """A network of torchvision without its last map, and names and shapes of that map in its file."""
    with torch.device("cpu"):  # the import computes with numbers, which a caller's meta device does not have
        from torchvision.models import get_model
        from torchvision.ops import StochasticDepth

    options: dict[str, Any] = {}
    if name.startswith(("inception", "googlenet", "vgg")):
        options["init_weights"] = False  # seconds for values that are overwritten
    if name in ("inception_v3", "googlenet"):
        # transform_input: the weights expect [-1, 1], and it turns the colours back
        options |= {"aux_logits": False, "transform_input": True}
    if name.startswith("vit"):
        options["image_size"] = spec.smallest_side
    network: Any = shaped(lambda: get_model(name, weights=None, num_classes=1, **options))
    for module in network.modules():
        if isinstance(module, (nn.Dropout, StochasticDepth)):
            module.p = 0.0
    if name.startswith("squeezenet"):
        # its classes are maps behind a relu, which would keep a head of zeros at zero
        last, layer = "classifier.1", network.classifier[1]
        network.classifier = nn.AdaptiveAvgPool2d(1)
    else:
        return _without_head(network, 1)
    return network, {f"{last}.{each}": tuple(v.shape) for each, v in layer.named_parameters()}


def init_backbone(model: Backbone, draw: Callable[[str], np.random.Generator]) -> None:
    """Start the network as `init_weights` does ours: He-normal filters and linear maps, a head of zeros.

    draw: full name of a parameter -> its own generator. Biases start at 0, norms at 1 and 0. What else its
    maker draws, such as position embeddings, is normal with deviation TOKEN_STD; constants stay.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():  # a reset may draw
        for name, module in model.named_modules():
            own = dict(module.named_parameters(recurse=False))
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                weight, bias = own.pop("weight"), own.pop("bias", None)
                if module is model.head:
                    nn.init.zeros_(weight)
                else:
                    _he_normal(weight, draw(f"{name}.weight"))
                if bias is not None:
                    nn.init.zeros_(bias)
            elif hasattr(module, "reset_parameters"):
                module.reset_parameters()
            elif isinstance(scale := own.pop("layer_scale", None), nn.Parameter):
                nn.init.constant_(scale, LAYER_SCALE)
            for each, value in own.items():
                if (value != value.flatten()[0]).any():
                    drawn = draw(f"{name}.{each}").standard_normal(tuple(value.shape), dtype=np.float32)
                    value.copy_(torch.from_numpy(drawn * np.float32(TOKEN_STD)))


def last_stage(model: Backbone) -> tuple[nn.Module, ...]:
    """What "last stage only" fine-tuning trains: the modules from `spec.last_stage` on, the head the last."""
    at, behind = model.body, list[nn.Module]([model.head])
    for name in model.spec.last_stage.split("."):
        children = dict(at.named_children())
        behind = [*list(children.values())[list(children).index(name) + 1 :], *behind]
        at = children[name]
    return (at, *behind)


def layer_macs(name: str, resolution: int, num_classes: int) -> dict[str, int]:
    """Layer -> its multiply-accumulates for one image, in the order of the forward pass.

    From the shapes that pass on the meta device; torch's own counter imports its compiler (see flops.py).
    """
    with torch.device("meta"):
        model = create_backbone(name, num_classes).eval()
        return count_macs(model, lambda: model(torch.empty(1, 3, resolution, resolution)))


def count_macs(network: nn.Module, run: Callable[[], object]) -> dict[str, int]:
    """Layer -> multiply-accumulates of all its calls in `run`: what torch's own table of operations counts.

    Those are convolutions, linear maps and the products of attention, each with the innermost layer that is
    at work. torch's FlopCounterMode adds them up by the same table, but names no order of the layers.
    """
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import flop_registry

    macs: dict[str, int] = {}
    inside: list[str] = []

    class Counter(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            out = func(*args, **(kwargs or {}))
            if flops := flop_registry.get(func._overloadpacket):
                count = flops(*args, **(kwargs or {}), out_val=out) // 2
                macs[inside[-1]] = macs.get(inside[-1], 0) + count
            return out

    def enter(layer: str) -> Callable[..., None]:
        return lambda *_: inside.append(layer)

    def leave(*_: object) -> None:
        inside.pop()

    hooks = []
    for layer, module in network.named_modules():
        hooks += [module.register_forward_pre_hook(enter(layer)), module.register_forward_hook(leave)]
    with Counter():
        run()
    for hook in hooks:
        hook.remove()
    return macs
