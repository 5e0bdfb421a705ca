"""A network of the layout of BiT that is small enough to be written a hundred times."""

from pathlib import Path

import numpy as np
import pytest
import torch

from fairtrial.models.resnet import MODELS, ResNetV2, Spec, create_model
from fairtrial.weights import OFFICIAL, Official
from tests.weights.making import LAYOUTS, official_arrays

CLASSES = 7


@pytest.fixture(autouse=True)
def small_networks(monkeypatch):
    for name in ("tiny", "wide"):
        monkeypatch.setitem(MODELS, name, Spec(*LAYOUTS[name]))
    monkeypatch.setitem(OFFICIAL, "tiny-up", Official("tiny", CLASSES, "stars, then flowers", "set/tiny-up"))


@pytest.fixture
def tiny() -> ResNetV2:
    torch.manual_seed(0)
    return create_model("tiny", CLASSES)


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    return official_arrays("tiny", CLASSES)


@pytest.fixture
def good(tmp_path, arrays) -> Path:
    path = tmp_path / "good.npz"
    np.savez(path, **arrays)
    return path
