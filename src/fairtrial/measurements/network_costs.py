"""What each network costs by its shapes alone: parameters, multiply-accumulates, memory (T2.2, T5.2)."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from fairtrial.models.detector import describe
from fairtrial.models.resnet import MODELS, create_model
from fairtrial.training.flops import macs_by_layer

SIDES: Final = (32, 128, 224)
CLASSES: Final = (10, 1000)
DETECTORS: Final = ("r50x1", "r101x3")
BYTES: Final = 4  # of a float32


def table() -> dict[str, Any]:
    """-> {"networks": a row per name of resnetv2.MODELS, "detectors": those of `detector.describe`}."""
    return {
        "networks": [row(name) for name in MODELS],
        "detectors": [describe(name) for name in DETECTORS],
    }


def row(name: str) -> dict[str, Any]:
    """One network with GN and WS: parameters by classes, macs by side and classes, bytes.

    state_bytes: weights, gradients and momentum of SGD in float32, 10 classes. kept_bytes: what autograd
    keeps of one image between forward and backward, by side, with torch's own kernels; see `kept_bytes`.
    """
    parameters = {str(classes): _parameters(name, classes) for classes in CLASSES}
    return {
        "model": name,
        "parameters": parameters,
        "macs": {
            str(side): {str(classes): sum(macs_by_layer(name, side, classes).values()) for classes in CLASSES}
            for side in SIDES
        },
        "state_bytes": 3 * BYTES * parameters["10"],
        "kept_bytes": {str(side): kept_bytes(name, side) for side in SIDES},
    }


def _parameters(name: str, classes: int) -> int:
    with torch.device("meta"):
        network = create_model(name, classes)
    return sum(each.numel() for each in network.parameters())


def kept_bytes(name: str, side: int) -> int:
    """Bytes that one more image of a batch adds to what autograd keeps for the backward pass, in float32.

    Counted on the meta device as the difference between two images and one, each tensor once; what does not
    grow with the batch, weights and standardized filters, drops out.
    """
    with torch.device("meta"):
        network = create_model(name, 10)
        one, two = (_kept(network, torch.empty(images, 3, side, side)) for images in (1, 2))
    return two - one


def _kept(network: nn.Module, images: Tensor) -> int:
    """Bytes of the tensors that autograd keeps, each storage once."""
    storages: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage._cdata] = storage
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        out = network(images)
    del out
    return sum(storage.nbytes() for storage in storages.values())
