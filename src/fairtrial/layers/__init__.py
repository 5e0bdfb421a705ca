"""Layers that know tensors only: standardized convolution and the table of normalizations."""

from fairtrial.kernels.standardization import standardize
from fairtrial.layers.filter_bank import FilterBank, made_once
from fairtrial.layers.norms import NORMS, Norm
from fairtrial.layers.std_conv import CONVS, ScaledStdConv2d, StdConv2d

__all__ = [
    "CONVS",
    "NORMS",
    "FilterBank",
    "Norm",
    "ScaledStdConv2d",
    "StdConv2d",
    "made_once",
    "standardize",
]
