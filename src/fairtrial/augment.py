"""Public face of the augmentations: `mixup`."""

from fairtrial.training.augmentation import mixup

__all__ = ["mixup"]
