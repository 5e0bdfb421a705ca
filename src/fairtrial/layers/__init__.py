"""Layers that know tensors only: standardized convolution and the table of normalizations."""

from fairtrial.layers.norms import NORMS, Norm
from fairtrial.layers.std_conv import CONVS, ScaledStdConv2d, StdConv2d, standardize

__all__ = ["CONVS", "NORMS", "Norm", "ScaledStdConv2d", "StdConv2d", "standardize"]
