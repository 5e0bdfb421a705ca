"""Layers that know tensors only: standardized convolution and the table of normalizations."""

from fairtrial.layers.norms import NORMS, Norm
from fairtrial.layers.std_conv import StdConv2d, standardize

__all__ = ["NORMS", "Norm", "StdConv2d", "standardize"]
