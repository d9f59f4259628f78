"""Lightweight networks, each beside the table of its paper; by name with `build`, and reusable in `blocks`.

Constructors have torchvision's names where it has the network, and the weights of its `state_dict` then fit. What they
have in common: `num_classes`, `in_channels`, `width` (a factor on the channels), `dropout`, `small` (for images of
28×28 or 32×32: a stem of stride 1, and as many early downsamplings left out as bring the last map to about 4×4),
`weights` (a safetensors file to load).
"""

from tinydl.zoo import blocks
from tinydl.zoo.efficientnet import (
    EfficientNet,
    efficientnet_b0,
    efficientnet_b1,
    efficientnet_b2,
    efficientnet_b3,
    efficientnet_b4,
    efficientnet_b5,
    efficientnet_b6,
    efficientnet_b7,
)
from tinydl.zoo.lenet import lenet5, lenet_300_100
from tinydl.zoo.mobilenetv1 import MobileNetV1, mobilenet_v1
from tinydl.zoo.mobilenetv2 import MobileNetV2, mobilenet_v2
from tinydl.zoo.mobilenetv3 import MobileNetV3, mobilenet_v3_large, mobilenet_v3_small
from tinydl.zoo.registry import Paper, build, names, options, paper
from tinydl.zoo.resnet import ResNet18, resnet18
from tinydl.zoo.shufflenetv1 import ShuffleNetV1, shufflenet_v1
from tinydl.zoo.shufflenetv2 import (
    ShuffleNetV2,
    shufflenet_v2_x0_5,
    shufflenet_v2_x1_0,
    shufflenet_v2_x1_5,
    shufflenet_v2_x2_0,
)
from tinydl.zoo.small import cnn1, cnn3, convnet, lenetish, mlp, mobile
from tinydl.zoo.squeezenet import SqueezeNet, squeezenet1_0, squeezenet1_1
from tinydl.zoo.xceptionnet import Xception, xception

__all__ = [
    "EfficientNet",
    "MobileNetV1",
    "MobileNetV2",
    "MobileNetV3",
    "Paper",
    "ResNet18",
    "ShuffleNetV1",
    "ShuffleNetV2",
    "SqueezeNet",
    "Xception",
    "blocks",
    "build",
    "cnn1",
    "cnn3",
    "convnet",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
    "efficientnet_b5",
    "efficientnet_b6",
    "efficientnet_b7",
    "lenet5",
    "lenet_300_100",
    "lenetish",
    "mlp",
    "mobile",
    "mobilenet_v1",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "names",
    "options",
    "paper",
    "resnet18",
    "shufflenet_v1",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "shufflenet_v2_x1_5",
    "shufflenet_v2_x2_0",
    "squeezenet1_0",
    "squeezenet1_1",
    "xception",
]
