"""The blocks that the networks are made of, to be reused: from a convolution with its norm to a whole shuffle unit."""

from tinydl.zoo.blocks.conv import (
    Activation,
    ConvNormActivation,
    DepthwiseSeparable,
    Norm,
    SeparableConv,
    make_divisible,
    spare_downsampling,
    tensorflow_norm,
)
from tinydl.zoo.blocks.excite import SqueezeExcite
from tinydl.zoo.blocks.fire import Fire
from tinydl.zoo.blocks.residual import BasicBlock, InvertedResidual, MBConv, SeparableResidual
from tinydl.zoo.blocks.shuffle import ShuffleUnit, ShuffleUnitV2

__all__ = [
    "Activation",
    "BasicBlock",
    "ConvNormActivation",
    "DepthwiseSeparable",
    "Fire",
    "InvertedResidual",
    "MBConv",
    "Norm",
    "SeparableConv",
    "SeparableResidual",
    "ShuffleUnit",
    "ShuffleUnitV2",
    "SqueezeExcite",
    "make_divisible",
    "spare_downsampling",
    "tensorflow_norm",
]
