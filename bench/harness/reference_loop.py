"""Fine-tuning as the released code of BiT does it (bit_pytorch/train.py, models.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from fairtrial.models.resnet import create_model


class Pictures(Dataset):
    """PIL images with a transform for each, as torchvision's data sets hand them out."""

    def __init__(self, images: np.ndarray, transform: Callable[[Image.Image], Tensor]) -> None:
        self.images, self.transform = images, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), index % 10


def reference_loop(
    name: str, images: np.ndarray, batch_size: int, side: int, alpha: float
) -> Callable[[], None]:
    """A call that makes one update of the network `name`. images: (n, h, w, 3) uint8."""
    from torchvision import transforms

    transform = transforms.Compose([
        transforms.Resize((side * 5 // 4, side * 5 // 4)),
        transforms.RandomCrop((side, side)),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    ])  # fmt: skip
    loader = DataLoader(Pictures(images, transform), batch_size, shuffle=True, drop_last=True)
    model = create_model(name, 10, "gn", True, kernels="plain").train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.003, momentum=0.9)
    batches = _for_ever(loader)

    def step() -> None:
        x, y = next(batches)
        lam = float(np.random.default_rng().beta(alpha, alpha))
        partner = torch.randperm(len(y))
        logits = model(lam * x + (1 - lam) * x[partner])
        loss = lam * F.cross_entropy(logits, y) + (1 - lam) * F.cross_entropy(logits, y[partner])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def _for_ever(loader: DataLoader) -> Iterator[tuple[Tensor, Tensor]]:
    while True:
        yield from loader
