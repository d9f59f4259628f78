"""LeNet-300-100 and LeNet-5 as the Caffe examples have them: the two that papers on compression begin with.

| LeNet-300-100 | out | parameters | | LeNet-5 | out | parameters |
|---|--:|--:|---|---|--:|--:|
| dense, ReLU | 300 | 235,500 | | conv 5×5, max 2 | 20 × 12 × 12 | 520 |
| dense, ReLU | 100 | 30,100 | | conv 5×5, max 2 | 50 × 4 × 4 | 25,050 |
| dense | 10 | 1,010 | | dense, ReLU | 500 | 400,500 |
| | | | | dense | 10 | 5,010 |
| | | 266,610 | | | | 431,080 |

The LeNet-5 of 1998 had fewer and partly connected maps, trained subsampling and squashing functions everywhere; Caffe's
has its one ReLU between the dense layers. Weights start from ±√(3 / fan_in), which Caffe calls xavier, biases from 0.

Source: LeCun et al. 1998, Gradient-based learning applied to document recognition, sections II and III; figures: Han et
al. 2016, Deep compression, arXiv:1510.00149, tables 1 to 3.
"""

from __future__ import annotations

from tinydl import nn
from tinydl.nn import init
from tinydl.zoo.registry import Paper, network
from tinydl.zoo.weights import Weights, loaded

_SOURCE = "Han et al. 2016, arXiv:1510.00149, table 1"
_DIGIT = (1, 28, 28)


def _caffe_start(model: nn.Sequential) -> nn.Sequential:
    """Draw every weight from ±√(3 / fan_in) and set every bias to 0."""
    for module in model:
        if isinstance(module, nn.Conv2d | nn.Linear):
            init.kaiming_uniform_(module.weight, nonlinearity="linear")
            if module.bias is not None:
                init.zeros_(module.bias)
    return model


@network(Paper(_SOURCE, _DIGIT, params=267e3, top1=98.36))
def lenet_300_100(
    num_classes: int = 10, in_channels: int = 1, dropout: float = 0.0, weights: Weights = None
) -> nn.Sequential:
    """Return LeNet-300-100, for 28×28.

    Args:
        num_classes: length of the result.
        in_channels: channels of the images.
        dropout: probability, before each of the later dense layers.
        weights: a safetensors file to load.

    >>> sum(p.numel() for p in lenet_300_100().parameters())
    266610
    """
    model = nn.Sequential(
        nn.Flatten(),
        nn.Linear(784 * in_channels, 300),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(300, 100),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(100, num_classes),
    )
    return loaded(_caffe_start(model), weights)


@network(Paper(_SOURCE, _DIGIT, params=431e3, top1=99.20))
def lenet5(num_classes: int = 10, in_channels: int = 1, dropout: float = 0.0, weights: Weights = None) -> nn.Sequential:
    """Return Caffe's LeNet-5, for 28×28.

    Args:
        num_classes: length of the result.
        in_channels: channels of the images.
        dropout: probability, before the last layer.
        weights: a safetensors file to load.

    >>> sum(p.numel() for p in lenet5().parameters())
    431080
    """
    model = nn.Sequential(
        nn.Conv2d(in_channels, 20, 5),
        nn.MaxPool2d(2),
        nn.Conv2d(20, 50, 5),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(50 * 4 * 4, 500),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.Linear(500, num_classes),
    )
    return loaded(_caffe_start(model), weights)
