"""How far the signal grows through a network at its start (F2.3; Brock et al., 2021, Figure 1)."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, nn

from fairtrial.models.blocks import Unit
from fairtrial.models.resnet import create_model, init_weights
from fairtrial.rng import key, stream

ARMS: Final = (
    {"norm": "none", "weight_std": False},
    {"norm": "bn", "weight_std": False},
    {"norm": "gn", "weight_std": False},
    {"norm": "none", "weight_std": True},
    {"norm": "gn", "weight_std": True},
    {"norm": "none", "weight_std": "scaled"},
)
MODEL: Final = "r50x1"
IMAGES, SIDE, SEEDS = 8, 64, 10
Row = dict[str, float]


def measure(model: str = MODEL, images: int = IMAGES, side: int = SIDE, seeds: int = SEEDS) -> dict[str, Any]:
    """Every arm at `seeds` starts -> {"model", "images", "side", "arms": [levels, "runs": seed -> units]}."""
    arms: list[dict[str, Any]] = [
        {**arm, "runs": [propagate(arm, seed, model, images, side) for seed in range(seeds)]} for arm in ARMS
    ]
    return {"model": model, "images": images, "side": side, "arms": arms}


@torch.no_grad()
def propagate(arm: dict[str, Any], seed: int, model: str, images: int, side: int) -> list[Row]:
    """One start: a row per residual unit, in order; see `moments` for its values, and those of its branch.

    Images are standard normal noise, equal in all arms. All is in float64: without a norm, standardized
    filters let the variance grow by their fan-in each, beyond what float32 holds. BN takes the statistics of
    the batch.
    """
    network = create_model(model, 1, arm["norm"], arm["weight_std"])
    init_weights(network, lambda name: stream("init", seed, key(name)))
    found: list[Row] = []

    def branch(_: nn.Module, __: Any, out: Tensor) -> None:  # before the shortcut is added, in place
        found.append({"branch_variance": moments(out)[1]})

    def whole(_: nn.Module, __: Any, out: Tensor) -> None:
        found[-1]["square_mean"], found[-1]["variance"] = moments(out)

    for unit in network.modules():
        if isinstance(unit, Unit):
            unit.conv3.register_forward_hook(branch)
            unit.register_forward_hook(whole)
    noise = stream("eval", seed).standard_normal((images, 3, side, side))
    network.double().train()(torch.from_numpy(noise))
    return found


def moments(x: Tensor) -> tuple[float, float]:
    """(N, C, H, W) -> the mean over channels of the squared mean, and of the population variance."""
    var, mean = torch.var_mean(x, dim=(0, 2, 3), correction=0)
    return mean.square().mean().item(), var.mean().item()
