"""Lesson 10, a conv net you can look inside: its exercises and how they are checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeAlias

import numpy as np

from tinydl import nn, random
from tinydl.callbacks import Schedule
from tinydl.data import DataLoader, Dataset, Subset, load
from tinydl.lessons.exercise import Arguments, Wrong, ask, compare, difference, exercise, need_function
from tinydl.lessons.search import Pick
from tinydl.modes import no_grad
from tinydl.optim import Adam
from tinydl.optim.lr_scheduler import OneCycleLR
from tinydl.shapes import Pair, Shape, conv_output_size
from tinydl.tensor import Tensor
from tinydl.train import evaluate, fit

Layer: TypeAlias = tuple[int, int, int, int]
"""What a layer makes: channels, height, width; and its knobs."""

_MOST_KNOBS = 10_000
_LEAST_RIGHT = 0.985
_SEED = 10


def _conv_layer(shape: Shape, channels: int, kernel: int, stride: int, padding: int) -> Layer:
    height, width = (conv_output_size(n, kernel, stride, padding, 1) for n in shape[1:])
    return channels, height, width, channels * (shape[0] * kernel**2 + 1)


def _sized(size: Callable[[int, int, int, int], int]) -> Callable[..., Layer]:
    """Return a function of a case that finds height and width in another way."""

    def layer(shape: Shape, channels: int, kernel: int, stride: int, padding: int) -> Layer:
        height, width = (size(n, kernel, stride, padding) for n in shape[1:])
        return channels, height, width, channels * (shape[0] * kernel**2 + 1)

    return layer


def _counted(knobs: Callable[[int, int, int, int], int]) -> Callable[..., Layer]:
    """Return a function of a case that counts from (input channels, channels, kernel, places) in another way."""

    def layer(shape: Shape, channels: int, kernel: int, stride: int, padding: int) -> Layer:
        _, height, width, _ = _conv_layer(shape, channels, kernel, stride, padding)
        return channels, height, width, knobs(shape[0], channels, kernel, height * width)

    return layer


def _turned(*case: Any) -> Layer:
    channels, height, width, knobs = _conv_layer(*case)
    return channels, width, height, knobs


_LAYER_MISTAKES: dict[str, Callable[..., Any]] = {
    "each kernel has a bias, too: one knob more for each channel of the result": _counted(
        lambda c, o, k, places: o * c * k**2
    ),
    "one bias serves the whole layer in yours; each kernel has its own": _counted(
        lambda c, o, k, places: o * c * k**2 + 1
    ),
    "a kernel reaches through all channels of its input: it has C · kernel² weights": _counted(
        lambda c, o, k, places: o * (k**2 + 1)
    ),
    "kernel stands for a side: a square of it has kernel² weights a channel": _counted(
        lambda c, o, k, places: o * (c * k + 1)
    ),
    "the same weights serve in every place: the knobs do not depend on height and width": _counted(
        lambda c, o, k, places: o * places * (c * k**2 + 1)
    ),
    "padding stands on both sides: the padded axis has n + 2 · padding pixels": _sized(
        lambda n, k, s, p: (n + p - k) // s + 1
    ),
    "the padding is left out": _sized(lambda n, k, s, p: (n - k) // s + 1),
    "count the place at the start, too: the + 1 is missing": _sized(lambda n, k, s, p: (n + 2 * p - k) // s),
    "the + 1 belongs behind the division: first how many moves fit, then one place more": _sized(
        lambda n, k, s, p: (n + 2 * p - k + 1) // s
    ),
    "a last move that does not fit whole is not made: round down, with //": _sized(
        lambda n, k, s, p: -((k - n - 2 * p) // s) + 1
    ),
    "the stride is left out: the kernel moves by stride": _sized(lambda n, k, s, p: n + 2 * p - k + 1),
    "width stands before height; it is channels, height, width": _turned,
    "the result has as many channels as there are kernels; yours keeps those of the input": lambda shape, *a: (
        shape[0],
        *_conv_layer(shape, *a)[1:],
    ),
    "the knobs are missing: four numbers are wanted": lambda *a: _conv_layer(*a)[:3],
}


def _one_layer(pick: Pick) -> Arguments:
    kernel, stride, padding = pick.integer(1, 5), pick.integer(1, 3), pick.integer(0, 2)
    height, width = (max(1, kernel - 2 * padding) + pick.integer(0, 9) for _ in range(2))
    return {
        "shape": (pick.integer(1, 4), height, width),
        "channels": pick.integer(1, 6),
        "kernel": kernel,
        "stride": stride,
        "padding": padding,
    }


@exercise(
    "10.1",
    "channels, height, width and knobs of every convolution",
    solution="conv_layer",
    hints=[
        "Channels: as many as there are kernels. Height and width: how often can the kernel move before it hits the "
        "end of the padded axis? Knobs: all weights of all kernels, and the biases.",
        "A padded axis has n + 2·padding pixels, so the kernel has (n + 2·padding − kernel) // stride moves and one "
        "place more.",
        "One kernel has c·kernel·kernel weights, where c is the number of channels of the input, and one bias.",
    ],
)
def conv_layer(answer: Any) -> None:
    """Hold the four numbers against those of the library's formula."""
    compare(answer, _conv_layer, _one_layer, _LAYER_MISTAKES)


def _sees(layers: Sequence[Pair]) -> int:
    size, jump = 1, 1
    for kernel, stride in layers:
        size, jump = size + (kernel - 1) * jump, jump * stride
    return size


def _jump_too_early(layers: Sequence[Pair]) -> int:
    size, jump = 1, 1
    for kernel, stride in layers:
        jump *= stride
        size += (kernel - 1) * jump
    return size


def _only_the_last_stride(layers: Sequence[Pair]) -> int:
    before = [1, *(stride for _, stride in layers)]
    return 1 + sum((kernel - 1) * jump for (kernel, _), jump in zip(layers, before))


def _whole_kernels(layers: Sequence[Pair]) -> int:
    """Add kernel · jump in the place of (kernel − 1) · jump."""
    jumps = [math.prod(stride for _, stride in layers[:i]) for i in range(len(layers))]
    return 1 + sum(kernel * jump for (kernel, _), jump in zip(layers, jumps))


_SEES_MISTAKES: dict[str, Callable[..., Any]] = {
    "the strides are left out: behind a stride of 2, neighbours look at places two pixels apart": lambda layers: (
        1 + sum(kernel - 1 for kernel, _ in layers)
    ),
    "a layer's stride spreads the numbers of its result: multiply jump by it after the layer, not before": (
        _jump_too_early
    ),
    "only the stride of the layer before counts in yours; the strides of all earlier layers multiply": (
        _only_the_last_stride
    ),
    "a kernel adds kernel − 1 steps: its first place is seen already": _whole_kernels,
    "size must begin at 1: before any layer, a number sees its own pixel": lambda layers: _sees(layers) - 1,
    "the layers are taken from the last to the first; begin at the image": lambda layers: _sees(layers[::-1]),
    "kernels do not multiply: patches overlap, so each layer adds to what the one before sees": lambda layers: (
        math.prod(kernel for kernel, _ in layers)
    ),
    "that is how far apart neighbours look, not how much each of them sees": lambda layers: math.prod(
        stride for _, stride in layers
    ),
    "that is the last layer alone; it looks at numbers that have seen patches themselves": lambda layers: layers[-1][0],
    "that is the first layer alone: is the `return` inside the loop?": lambda layers: layers[0][0],
    "that is the area; the side of the patch is wanted": lambda layers: _sees(layers) ** 2,
}


def _some_layers(pick: Pick) -> Arguments:
    return {"layers": [(pick.integer(1, 5), pick.integer(1, 3)) for _ in range(pick.integer(1, 4))]}


@exercise(
    "10.2",
    "how wide a patch a number sees, behind any layers",
    solution="sees",
    hints=[
        "Keep two numbers while you go through the layers: size, how much one number sees; and jump, how many pixels "
        "lie between what two neighbours see. Both begin at 1.",
        "A kernel looks at `kernel` neighbours. The first sees size pixels; each further one adds jump.",
        "size += (kernel - 1) * jump, and then jump *= stride. In this order.",
    ],
)
def sees(answer: Any) -> None:
    """Hold the side of the patch against the one followed layer by layer."""
    compare(answer, _sees, _some_layers, _SEES_MISTAKES)


@cache
def _piles() -> tuple[Dataset, Dataset]:
    """Return what the lesson trains on and what it chooses by."""
    train, _ = load(say=lambda line: None)
    return Subset(train, range(55_000)), Subset(train, range(55_000, 60_000))


def _practise(net: nn.Module, data: Dataset) -> None:
    """Train as the lesson does."""
    loader = DataLoader(data, batch_size=100, shuffle=True, generator=_SEED)
    optimizer = Adam(net.parameters())
    schedule = OneCycleLR(optimizer, max_lr=0.005, total_steps=2 * len(loader))
    fit(net, loader, epochs=2, optimizer=optimizer, callbacks=[Schedule(schedule, "step")])


def _fitting(answer: Any) -> nn.Module:
    """Return the network, when it maps digits to ten logits and has few enough knobs."""
    net = ask(answer)
    if net is None:
        raise Wrong(difference(net, 0))
    if not isinstance(net, nn.Module):
        raise Wrong("a network is needed, made of the layers of nn", yours=net)
    with no_grad():
        digits = Tensor(np.random.default_rng(_SEED).normal(size=(2, 1, 28, 28)).astype(np.float32))
        logits = _run(net, digits)
    if logits.shape != (2, 10):
        likely = "nn.Flatten() makes rows of maps, for nn.Linear(…, 10)" if logits.ndim == 4 else ""
        raise Wrong("two digits must give logits of the shape (2, 10)", likely, yours=str(logits.shape))
    if np.allclose(logits.sum(1), 1, atol=1e-3) and logits.min() >= 0:
        raise Wrong("it gives chances, not logits", "leave out the softmax: cross_entropy has one inside")
    knobs = {name: p.numel() for name, p in net.named_parameters()}
    if (total := sum(knobs.values())) > _MOST_KNOBS:
        name = max(knobs, key=lambda name: knobs[name])
        advice = f"{knobs[name]:,} of them are in {name}; fewer channels, or one pooling more before it, save most"
        raise Wrong(f"it has {total:,} knobs, {_MOST_KNOBS:,} are allowed", advice)
    return net


def _run(net: nn.Module, digits: Tensor) -> Any:
    """Return the logits of some digits; a layer that does not fit is the likely reason for an error."""
    try:
        y = ask(net, digits)
    except Wrong as trouble:
        said = trouble.details.get("error", "")
        if "linear: axis I" in said:
            likely = "nn.Linear needs as many inputs as nn.Flatten gives: channels · height · width of the last maps"
        elif "conv2d: axis C" in said:
            likely = "a layer's channels going in must be those that come out of the layer before"
        else:
            raise
        raise Wrong("two digits do not get through it", likely, error=said) from None
    if not isinstance(y, Tensor):
        raise Wrong("it gives something else than logits", yours=type(y).__name__)
    return y.numpy()


def _too_weak(net: nn.Module, knobs: int) -> str:
    """Return why a network may not learn enough, or what to do with the knobs that are left."""
    kinds = [type(module) for module in net.modules()]
    if nn.Conv2d not in kinds:
        return "there is no convolution in it: a dense layer must learn a stroke anew in each place"
    if isinstance(net, nn.Sequential) and not any(kind.__module__ == nn.ReLU.__module__ for kind in kinds):
        return "nothing bends between the layers: put nn.ReLU() behind each convolution"
    if kinds[-1] is nn.ReLU:
        return "the last layer is a ReLU: it cuts off every logit below 0"
    left = _MOST_KNOBS - knobs
    return f"{left:,} knobs are left: more channels, a further convolution, or less pooling before the last layer"


@exercise(
    "10.3",
    "at most 10,000 knobs, and after two epochs at least 98.5 % of the validation images right",
    solution="small_net",
    hints=[
        "Begin with lenet() from above and make it smaller. Where do most of its knobs sit?",
        "The first dense layer is the largest. Leave it out: from Flatten straight to ten logits.",
        "Conv2d(1, 8, 5), MaxPool2d(2), ReLU(), Conv2d(8, 16, 5), MaxPool2d(2), ReLU(), Flatten(), Linear(…, 10): how "
        "many inputs has the last? 16 maps of 4 × 4.",
    ],
)
def small_net(answer: Any) -> None:
    """Count its knobs, train it as the lesson does, and count what it gets right."""
    need_function(answer)
    random.manual_seed(_SEED)
    net = _fitting(answer)
    learn, choose = _piles()
    _practise(net, learn)
    right = evaluate(net, DataLoader(choose, 1_000)).accuracy
    if right < _LEAST_RIGHT:
        knobs = sum(p.numel() for p in net.parameters())
        text = f"{100 * right:.1f} % of the validation images are right, {100 * _LEAST_RIGHT:g} % are wanted"
        raise Wrong(text, _too_weak(net, knobs), knobs=f"{knobs:,}")
