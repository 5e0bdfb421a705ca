"""What every network must fulfil to be an arm, trained for a few steps on the digits as a cell is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor

from fairtrial.execution.cell.prepare import build_model, build_task, dataset_of
from fairtrial.models.timm_backbones import layers_of
from fairtrial.models.torchvision_backbones import built, create_backbone
from fairtrial.norm_table import NORM_TABLE
from fairtrial.plugins.use import SETTINGS as PLUGIN_SETTINGS
from fairtrial.study.backbone_names import BACKBONES
from fairtrial.study.recipes import recipe_of
from fairtrial.study.settings import Settings
from fairtrial.training.flops import flops_of_step
from fairtrial.training.loop import State, fit, weights_digest
from fairtrial.training.timing import Ledger

STEPS: Final = 4
SMALL: Final = {"data": "digits", "resolution": 16, "shots": 20, "batch_size": 8}

Check = Callable[[Settings], str]


@dataclass
class _Midway:
    """Keeps the state after half of the steps, or begins with one that was kept."""

    arrays: dict[str, Tensor] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    begins: bool = False

    def begin(self, state: State) -> None:
        """Take the state that was kept."""
        if self.begins:
            state.take(self.arrays, self.facts)

    def after_step(self, state: State) -> None:
        """Keep the state in the middle."""
        if state.step == STEPS // 2 and not self.begins:
            self.arrays = {name: value.clone() for name, value in state.arrays().items()}
            self.facts = dict(state.facts())


def _trained(settings: Settings, watch: _Midway | None = None) -> str:
    """The digest of a network after STEPS updates; a ValueError where its loss is no number."""
    dataset = dataset_of(settings.data, settings.resolution, False)
    task, _, _ = build_task(settings, dataset, 0, 0, torch.device("cpu"))
    model = build_model(settings, dataset.num_classes, 0, 0)
    outcome = fit(model, task, recipe_of(settings, None), STEPS, Ledger(), validate=False, watch=watch)
    if outcome.divergence_step is not None:
        raise ValueError(f"the loss is no finite number at step {outcome.divergence_step}")
    return weights_digest(model)


def gives_logits(settings: Settings) -> str:
    """Check that images become one row of class scores each, and can be counted."""
    model = build_model(settings, 10, 0, 0).eval()
    out = model(torch.zeros(2, 3, settings.resolution, settings.resolution))
    if tuple(out.shape) != (2, 10):
        return f"returns {tuple(out.shape)} for 2 images of 10 classes, not (2, 10)"
    flops = flops_of_step(settings.model, 1, settings.resolution, 10, block=settings.block)
    return "" if flops > 0 else "has no convolution or linear map whose operations can be counted"


def trains_alike_twice(settings: Settings) -> str:
    """Check that the same cell gives the same bits again."""
    same = _trained(settings) == _trained(settings)
    return "" if same else "trains to other weights the second time: draw from no generator of its own"


def goes_on_bit_for_bit(settings: Settings) -> str:
    """Check that a training that was stopped in the middle ends as one that was not."""
    watch = _Midway()
    whole = _trained(settings, watch)
    watch.begins = True
    same = _trained(settings, watch) == whole
    return "" if same else "ends otherwise after a stop: keep all state in parameters and buffers"


def is_as_built(settings: Settings) -> str:
    """Check that the network of a plug-in is what its function makes, with the norm that its row states.

    A new head takes the place of its last linear map, so that nothing may follow that map.
    """
    spec, side = BACKBONES[settings.model], settings.resolution
    made, model = built(spec, 10).eval(), create_backbone(settings.model, 10).eval()
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for name, weights in zip(model.published, model.head.parameters(), strict=False):
        weights.data.copy_(made.state_dict()[name])
    with torch.no_grad():
        expected = made(torch.addcmul(model.shift, images, model.scale))
        if expected.shape != (2, 10):
            return f"returns {tuple(expected.shape)} for 2 images of 10 classes, not (2, 10)"
        if not torch.allclose(model(images), expected, atol=1e-5):
            return "computes something behind its last nn.Linear: return what that map gives"
        model.train()
        alone, other = model.features(images), model.features(torch.stack([images[0], -images[1]]))
    mixes = not torch.equal(alone[0], other[0])
    found = {name: value for name, value in layers_of(made).items() if value not in ("none", False)}
    stated = {name: getattr(spec, name) for name in found}
    if found != stated:
        words = ", ".join(f'"{name}": {value!r}' for name, value in found.items()).replace("'", '"')
        return f"is built with {words}: say so in its row of PLUGIN"
    if mixes != NORM_TABLE[settings.norm].mixes_batch:
        return (
            f"{'mixes' if mixes else 'does not mix'} the images of a batch, unlike its norm {settings.norm!r}"
        )
    return ""


def settings_of(kind: str, name: str) -> Settings:
    """Return the settings of a small cell with a norm, a block or a network of a plug-in."""
    if kind != "backbones":
        return Settings.of({**SMALL, PLUGIN_SETTINGS[kind]: name})
    spec = BACKBONES[name]
    own = {"norm": spec.norm, "weight_std": spec.weight_std}
    return Settings.of({**SMALL, **own, "model": name, "resolution": max(16, spec.smallest_side)})


OF_PLUGIN: Final[dict[str, Check]] = {"as built": is_as_built}  # of a network that a plug-in makes
CHECKS: Final[dict[str, Check]] = {
    "logits": gives_logits,
    "trains twice alike": trains_alike_twice,
    "resumed bit for bit": goes_on_bit_for_bit,
}
