"""torchvision networks as baselines of transfer: made, started, loaded and counted as our own are.

torchvision is imported where a network is built: its import takes seconds and brings torch's compiler along.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from fairtrial.errors import BAD_INPUT, RESOURCES, Fault, fault, refuse_shortage
from fairtrial.models.resnet import _he_normal, _known
from fairtrial.plain_file import open_file
from fairtrial.storage.download import Opener, download_file
from fairtrial.study.backbone_names import BACKBONES, PREFIX, BackboneSpec
from fairtrial.weights.load_arrays import Shape, compare, not_finite
from fairtrial.weights.official_files import ILSVRC
from fairtrial.weights.weights_source import Source, readable

MEAN: Final = (0.485, 0.456, 0.406)  # of ImageNet in [0, 1], as every file in the table expects
STD: Final = (0.229, 0.224, 0.225)
LAYER_SCALE: Final = 1e-6  # of a residual branch of ConvNeXt at its start (Liu et al., 2022)
LARGEST: Final = 10**9  # bytes of a file; VGG16's has 528 MiB
AUXILIARY: Final = "AuxLogits."  # inception's second head
COUNTER: Final = "num_batches_tracked"  # of BN; older files lack it, and nothing reads it
_DOTTED: Final = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")  # in the files of DenseNet


class Backbone(nn.Module):
    """images (batch, 3, height, width) in [-1, 1], as `augment.normalize` gives -> logits (batch, classes).

    The network itself turns them into what the published weights expect, ImageNet's mean and deviation.
    body: the network of torchvision, under its own names, without the last linear map. head: that map.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, name: str, network: nn.Module, num_classes: int) -> None:
        super().__init__()
        self.name, self.spec = name, BACKBONES[name]
        self.published_head, last = _last_linear(network)
        network.set_submodule(self.published_head, nn.Identity())
        self.body = network
        self.head = nn.Linear(last.in_features, num_classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        mean, std = torch.tensor(MEAN).view(3, 1, 1), torch.tensor(STD).view(3, 1, 1)
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
        if min(height, width) < side:
            raise ValueError(
                f"images of {height}x{width} pixels; {self.name} takes {side}x{side} or more. "
                "Choose a larger resolution or another model."
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
    """
    _known("backbone", name, BACKBONES)
    with torch.random.fork_rng(devices=[]):  # torchvision draws from the global generator; leave it untouched
        return Backbone(name, _network(name.removeprefix(PREFIX)), num_classes)


def _network(name: str) -> nn.Module:
    with torch.device("cpu"):  # the import computes with numbers, which a caller's meta device does not have
        from torchvision.models import get_model
        from torchvision.ops import StochasticDepth

    options: dict[str, Any] = {}
    if name.startswith(("inception", "vgg")):
        options["init_weights"] = False  # seconds for values that are overwritten
    if name == "inception_v3":  # transform_input: its weights expect [-1, 1], and it turns the colours back
        options |= {"aux_logits": False, "transform_input": True}
    network = get_model(name, weights=None, num_classes=1, **options)
    for module in network.modules():
        if isinstance(module, (nn.Dropout, StochasticDepth)):
            module.p = 0.0
    return network


def _last_linear(network: nn.Module) -> tuple[str, nn.Linear]:
    found = [(name, each) for name, each in network.named_modules() if isinstance(each, nn.Linear)]
    return found[-1]


def init_backbone(model: Backbone, draw: Callable[[str], np.random.Generator]) -> None:
    """Start the network as `init_weights` does ours: He-normal filters and linear maps, a head of zeros.

    draw: full name of a parameter -> its own generator. Biases start at 0, norms at 1 and 0.
    """
    for name, module in model.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            if module is model.head:
                nn.init.zeros_(module.weight)
            else:
                _he_normal(module.weight, draw(f"{name}.weight"))
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif hasattr(module, "reset_parameters"):
            module.reset_parameters()
        elif isinstance(scale := getattr(module, "layer_scale", None), nn.Parameter):
            nn.init.constant_(scale, LAYER_SCALE)


def last_stage(model: Backbone) -> tuple[nn.Module, ...]:
    """What "last stage only" fine-tuning trains: the modules from `spec.last_stage` on, the head the last."""
    names = [name for name, _ in _chain(model.body)]
    modules = [module for _, module in _chain(model.body)]
    return (*modules[names.index(model.spec.last_stage) :], model.head)


def _chain(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """The modules that the images pass one after the other; those inside `features` one by one."""
    chain: list[tuple[str, nn.Module]] = []
    for name, module in network.named_children():
        inside = module.named_children() if name == "features" else ()
        chain += [(f"{name}.{inner}", each) for inner, each in inside] or [(name, module)]
    return chain


def layer_macs(name: str, resolution: int, num_classes: int) -> dict[str, int]:
    """Layer -> its multiply-accumulates for one image, in the order of the forward pass.

    From the shapes that pass on the meta device; torch's own counter imports its compiler (see flops.py).
    """
    with torch.device("meta"):
        model = create_backbone(name, num_classes).eval()
        return count_macs(model, lambda: model(torch.empty(1, 3, resolution, resolution)))


def count_macs(network: nn.Module, run: Callable[[], object]) -> dict[str, int]:
    """Layer -> multiply-accumulates of all its calls in `run`: convolutions and linear maps, one image."""
    macs: dict[str, int] = {}

    def counted(layer: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(module: nn.Module, _: Any, out: Tensor) -> None:
            weight = module.get_parameter("weight")
            channel = 1 if weight.ndim == 4 else out.ndim - 1
            macs[layer] = macs.get(layer, 0) + out.numel() // out.shape[channel] * weight.numel()

        return hook

    hooks = [
        module.register_forward_hook(counted(layer))
        for layer, module in network.named_modules()
        if isinstance(module, (nn.Conv2d, nn.Linear))
    ]
    run()
    for hook in hooks:
        hook.remove()
    return macs


def load_published(
    model: Backbone, *, download: bool, folder: Path | None = None, opener: Opener | None = None
) -> Source:
    """Fill the network with torchvision's ImageNet weights, its head with zeros.

    folder: where the file lies; torch hub's cache when it is None. download: fetch it when it is not there.
    The network is touched only when the file is the published one by its digest, and is sound throughout.
    opener: Request -> response, in place of the network.
    """
    path = (folder or Path(torch.hub.get_dir()) / "checkpoints") / model.spec.file
    if not path.exists():
        if not download:
            raise _absent(model, path)
        download_file(model.spec.url, path, partial(_check, model.spec), most=LARGEST, opener=opener)
    with readable(path) as file:
        size, sha256 = file.seek(0, 2), _must_be(model.spec, path, file)
        state = _tensors(path, file)
    body = _checked(model, path, state)
    for name, value in model.state_dict().items():  # detached: no gradient follows
        if name in body:
            value.copy_(torch.from_numpy(body[name]))
        else:  # the head, and a counter that the file lacks
            value.zero_()
    notes = (f"torchvision's {model.spec.weights}; the digest begins as the published name says",)
    return Source(path.name, size, sha256, model.name, ILSVRC, "ilsvrc2012", notes)


def _absent(model: Backbone, path: Path) -> Fault:
    what = f"the published weights of {model.name} are not on this machine: {path.name}"
    do = f"add --download to the command, or put {model.spec.url} there"
    return fault(what, str(path), do, BAD_INPUT)


def _check(spec: BackboneSpec, part: Path, _: object) -> None:
    with open_file(part) as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    if not sha256.startswith(spec.digits):
        what = f"{part.stat().st_size:,} bytes came whose sha256 begins {sha256[:8]}, not {spec.digits}"
        raise fault(what, spec.url, "check the connection and run the same again", RESOURCES)


def _must_be(spec: BackboneSpec, path: Path, file: Any) -> str:
    """The sha256 of an open file, which is left at its start; a Fault when it is not the published one."""
    file.seek(0)
    sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    file.seek(0)
    if not sha256.startswith(spec.digits):
        what = f"sha256 begins {sha256[:8]}; that of the published file begins {spec.digits}"
        do = "move the file away, then add --download to the command to fetch it again"
        raise fault(what, str(path), do, BAD_INPUT)
    return sha256


def _tensors(path: Path, file: Any) -> dict[str, Tensor]:
    """Name -> tensor, through torch's reader that runs no code; a Fault for anything else in the file."""
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except (
        Exception
    ) as error:  # what a damaged or hostile file raises is open, and torch's words advise to trust it
        refuse_shortage(error, str(path))
        state = None
    if not isinstance(state, dict) or not all(map(_is_plain, state, state.values())):
        what = "not a table of plain tensors: damaged, or pickled objects, which are refused"
        raise fault(what, str(path), "take the file that torchvision publishes", BAD_INPUT)
    return state


def _is_plain(name: object, value: object) -> bool:
    return (
        isinstance(name, str)
        and isinstance(value, Tensor)
        and (value.layout, value.device.type) == (torch.strided, "cpu")
        and value.dtype in (torch.float16, torch.float32, torch.float64, torch.int64)
    )


def _checked(model: Backbone, path: Path, state: dict[str, Tensor]) -> dict[str, np.ndarray]:
    """Our name -> values of the body; a Fault unless names and shapes are right and all is finite."""
    found = {_DOTTED.sub(r"\1\2", name): value.detach() for name, value in state.items()}
    found = {name: value for name, value in found.items() if not name.startswith(AUXILIARY)}
    expected: dict[str, Shape] = {}
    for name, value in model.body.state_dict().items():
        if name in found or not name.endswith(COUNTER):
            expected[name] = tuple(value.shape)
    expected[f"{model.published_head}.weight"] = (ILSVRC, model.head.in_features)
    expected[f"{model.published_head}.bias"] = (ILSVRC,)
    compare(path, {name: tuple(value.shape) for name, value in found.items()}, expected, model.name)
    body = {
        f"body.{name}": value.numpy()
        for name, value in found.items()
        if not name.startswith(f"{model.published_head}.")
    }
    if problems := not_finite(path, body):
        raise Fault(problems, BAD_INPUT)
    return body
