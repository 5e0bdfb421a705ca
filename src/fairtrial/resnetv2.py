"""Public face of the networks: `MODELS` and `create_model`."""

from fairtrial.models.resnet import MODELS, ResNetV2, create_model

__all__ = ["MODELS", "ResNetV2", "create_model"]
