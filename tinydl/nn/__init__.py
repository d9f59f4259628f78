"""Layers, containers, losses and their start, under PyTorch's names.

Layers take no `device` or `dtype`: there is one device, they start in float32, and `double()` converts.
"""

from tinydl.nn import functional, init, utils
from tinydl.nn.activation import (
    ELU,
    GELU,
    Hardsigmoid,
    Hardswish,
    LeakyReLU,
    LogSoftmax,
    Mish,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Swish,
    Tanh,
)
from tinydl.nn.container import ModuleDict, ModuleList, Residual, Sequential
from tinydl.nn.conv import Conv2d, ConvTranspose2d, DepthwiseConv2d, PointwiseConv2d
from tinydl.nn.dropout import Dropout, Dropout2d, DropPath
from tinydl.nn.embedding import Embedding
from tinydl.nn.fusion import after_cat, after_sum, in_turn
from tinydl.nn.linear import Flatten, Identity, Linear, Unflatten
from tinydl.nn.loss import (
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    KLDivLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
    SmoothL1Loss,
)
from tinydl.nn.module import Module
from tinydl.nn.norm import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm
from tinydl.nn.parameter import Parameter
from tinydl.nn.pool import AdaptiveAvgPool2d, AdaptiveMaxPool2d, AvgPool2d, GlobalAvgPool2d, MaxPool2d
from tinydl.nn.recurrent import GRU, LSTM, RNN, GRUCell, LSTMCell, RNNCell
from tinydl.nn.shuffle import ChannelShuffle

__all__ = [
    "ELU",
    "GELU",
    "GRU",
    "LSTM",
    "RNN",
    "AdaptiveAvgPool2d",
    "AdaptiveMaxPool2d",
    "AvgPool2d",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "ChannelShuffle",
    "Conv2d",
    "ConvTranspose2d",
    "CrossEntropyLoss",
    "DepthwiseConv2d",
    "DropPath",
    "Dropout",
    "Dropout2d",
    "Embedding",
    "Flatten",
    "GRUCell",
    "GlobalAvgPool2d",
    "GroupNorm",
    "Hardsigmoid",
    "Hardswish",
    "Identity",
    "KLDivLoss",
    "L1Loss",
    "LSTMCell",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MSELoss",
    "MaxPool2d",
    "Mish",
    "Module",
    "ModuleDict",
    "ModuleList",
    "NLLLoss",
    "Parameter",
    "PointwiseConv2d",
    "RNNCell",
    "ReLU",
    "ReLU6",
    "Residual",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "SmoothL1Loss",
    "Softmax",
    "Softplus",
    "Swish",
    "Tanh",
    "Unflatten",
    "after_cat",
    "after_sum",
    "functional",
    "in_turn",
    "init",
    "utils",
]
