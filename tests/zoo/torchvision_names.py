"""Names and shapes of torchvision's `state_dict`s, written down from the structure of its modules."""

import math

Shapes = dict[str, tuple[int, ...]]


def conv(name: str, outputs: int, inputs: int, kernel: int, bias: bool = False) -> Shapes:
    """A convolution, or with kernel 0 a linear layer."""
    weight = {f"{name}.weight": (outputs, inputs) + ((kernel, kernel) if kernel else ())}
    return {**weight, f"{name}.bias": (outputs,)} if bias else weight


def linear(name: str, outputs: int, inputs: int) -> Shapes:
    return conv(name, outputs, inputs, 0, bias=True)


def norm(name: str, channels: int) -> Shapes:
    vectors = {f"{name}.{part}": (channels,) for part in ("weight", "bias", "running_mean", "running_var")}
    return {**vectors, f"{name}.num_batches_tracked": ()}


def conv_norm(name: str, outputs: int, inputs: int, kernel: int) -> Shapes:
    return {**conv(f"{name}.0", outputs, inputs, kernel), **norm(f"{name}.1", outputs)}


def divisible(channels: float) -> int:
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def mobilenet_v2() -> Shapes:
    state, inputs, place = conv_norm("features.0", 32, 3, 3), 32, 1
    rows = (1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1)
    for expand, outputs, repeats in rows:
        for _ in range(repeats):
            block, hidden, i = f"features.{place}.conv", expand * inputs, int(expand > 1)
            if i:
                state |= conv_norm(f"{block}.0", hidden, inputs, 1)
            state |= conv_norm(f"{block}.{i}", hidden, 1, 3)
            state |= conv(f"{block}.{i + 1}", outputs, hidden, 1) | norm(f"{block}.{i + 2}", outputs)
            inputs, place = outputs, place + 1
    return state | conv_norm("features.18", 1280, 320, 1) | linear("classifier.1", 1000, 1280)


def mbconv(block: str, inputs: int, expanded: int, outputs: int, kernel: int, squeezed: int) -> Shapes:
    """The block of MobileNetV3 and EfficientNet; squeezed = 0 means no squeeze and excitation."""
    state: Shapes = {}
    if expanded != inputs:
        state |= conv_norm(f"{block}.0", expanded, inputs, 1)
    i = int(expanded != inputs)
    state |= conv_norm(f"{block}.{i}", expanded, 1, kernel)
    if squeezed:
        state |= conv(f"{block}.{i + 1}.fc1", squeezed, expanded, 1, bias=True)
        state |= conv(f"{block}.{i + 1}.fc2", expanded, squeezed, 1, bias=True)
    return state | conv_norm(f"{block}.{i + 1 + bool(squeezed)}", outputs, expanded, 1)


def mobilenet_v3(rows: list[tuple[int, int, int, bool]], last: int) -> Shapes:
    state, inputs = conv_norm("features.0", 16, 3, 3), 16
    for place, (kernel, expanded, outputs, excite) in enumerate(rows, 1):
        squeezed = divisible(expanded // 4) if excite else 0
        state |= mbconv(f"features.{place}.block", inputs, expanded, outputs, kernel, squeezed)
        inputs = outputs
    state |= conv_norm(f"features.{len(rows) + 1}", 6 * inputs, inputs, 1)
    return state | linear("classifier.0", last, 6 * inputs) | linear("classifier.3", 1000, last)


def mobilenet_v3_large() -> Shapes:
    early = [(3, 16, 16, False), (3, 64, 24, False), (3, 72, 24, False), (5, 72, 40, True), *[(5, 120, 40, True)] * 2]
    middle = [(3, 240, 80, False), (3, 200, 80, False), *[(3, 184, 80, False)] * 2]
    late = [(3, 480, 112, True), (3, 672, 112, True), (5, 672, 160, True), *[(5, 960, 160, True)] * 2]
    return mobilenet_v3(early + middle + late, 1280)


def mobilenet_v3_small() -> Shapes:
    early = [(3, 16, 16, True), (3, 72, 24, False), (3, 88, 24, False), (5, 96, 40, True), *[(5, 240, 40, True)] * 2]
    late = [(5, 120, 48, True), (5, 144, 48, True), (5, 288, 96, True), *[(5, 576, 96, True)] * 2]
    return mobilenet_v3(early + late, 1024)


def efficientnet(width: float, depth: float) -> Shapes:
    rows = [(3, 1, 16, 1), (3, 6, 24, 2), (5, 6, 40, 2), (3, 6, 80, 3), (5, 6, 112, 3), (5, 6, 192, 4), (3, 6, 320, 1)]
    inputs = divisible(32 * width)
    state = conv_norm("features.0", inputs, 3, 3)
    for place, (kernel, expand, channels, repeats) in enumerate(rows, 1):
        outputs = divisible(channels * width)
        for i in range(math.ceil(repeats * depth)):
            block = f"features.{place}.{i}.block"
            state |= mbconv(block, inputs, inputs * expand, outputs, kernel, max(1, inputs // 4))
            inputs = outputs
    return state | conv_norm("features.8", 4 * inputs, inputs, 1) | linear("classifier.1", 1000, 4 * inputs)


def shufflenet_v2(channels: tuple[int, ...]) -> Shapes:
    inputs, *stages, last = channels
    state = conv_norm("conv1", inputs, 3, 3)
    for stage, outputs, repeats in zip((2, 3, 4), stages, (4, 8, 4)):
        half = outputs // 2
        for i in range(repeats):
            branch1, branch2 = (f"stage{stage}.{i}.branch{n}" for n in (1, 2))
            if i == 0:
                state |= conv(f"{branch1}.0", inputs, 1, 3) | norm(f"{branch1}.1", inputs)
                state |= conv(f"{branch1}.2", half, inputs, 1) | norm(f"{branch1}.3", half)
            state |= conv(f"{branch2}.0", half, half if i else inputs, 1) | norm(f"{branch2}.1", half)
            state |= conv(f"{branch2}.3", half, 1, 3) | norm(f"{branch2}.4", half)
            state |= conv(f"{branch2}.5", half, half, 1) | norm(f"{branch2}.6", half)
        inputs = outputs
    return state | conv_norm("conv5", last, inputs, 1) | linear("fc", 1000, last)


def squeezenet(stem: tuple[int, int], places: tuple[int, ...]) -> Shapes:
    inputs, kernel = stem
    state = conv("features.0", inputs, 3, kernel, bias=True)
    for place, i in zip(places, (1, 1, 2, 2, 3, 3, 4, 4)):
        fire = f"features.{place}"
        state |= conv(f"{fire}.squeeze", 16 * i, inputs, 1, bias=True)
        state |= conv(f"{fire}.expand1x1", 64 * i, 16 * i, 1, bias=True)
        state |= conv(f"{fire}.expand3x3", 64 * i, 16 * i, 3, bias=True)
        inputs = 128 * i
    return state | conv("classifier.1", 1000, 512, 1, bias=True)


def resnet18() -> Shapes:
    state, inputs = conv("conv1", 64, 3, 7) | norm("bn1", 64), 64
    for layer, outputs in zip((1, 2, 3, 4), (64, 128, 256, 512)):
        for i in range(2):
            block = f"layer{layer}.{i}"
            state |= conv(f"{block}.conv1", outputs, inputs, 3) | norm(f"{block}.bn1", outputs)
            state |= conv(f"{block}.conv2", outputs, outputs, 3) | norm(f"{block}.bn2", outputs)
            if inputs != outputs:
                state |= conv_norm(f"{block}.downsample", outputs, inputs, 1)
            inputs = outputs
    return state | linear("fc", 1000, 512)


STATES = {
    "mobilenet_v2": mobilenet_v2(),
    "mobilenet_v3_large": mobilenet_v3_large(),
    "mobilenet_v3_small": mobilenet_v3_small(),
    "shufflenet_v2_x0_5": shufflenet_v2((24, 48, 96, 192, 1024)),
    "shufflenet_v2_x1_0": shufflenet_v2((24, 116, 232, 464, 1024)),
    "shufflenet_v2_x1_5": shufflenet_v2((24, 176, 352, 704, 1024)),
    "shufflenet_v2_x2_0": shufflenet_v2((24, 244, 488, 976, 2048)),
    "squeezenet1_0": squeezenet((96, 7), (3, 4, 5, 7, 8, 9, 10, 12)),
    "squeezenet1_1": squeezenet((64, 3), (3, 4, 6, 7, 9, 10, 11, 12)),
    "resnet18": resnet18(),
    "efficientnet_b0": efficientnet(1.0, 1.0),
    "efficientnet_b1": efficientnet(1.0, 1.1),
    "efficientnet_b2": efficientnet(1.1, 1.2),
    "efficientnet_b3": efficientnet(1.2, 1.4),
}
"""By constructor. B4 to B7 follow from the same two factors."""
