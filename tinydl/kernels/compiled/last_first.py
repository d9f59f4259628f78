"""The kernels of a training step in float32, called once each, those first that a network asks for last: see ahead.py.

What every network needs comes first, then the gradients of what the other process is seen to have compiled by then: of
batch norm, say, only where the network has one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tinydl.kernels.compiled import conv, conv_pool, elementwise, linear, norm, optim, pool, softmax
from tinydl.kernels.compiled.folder import cache_folder

__all__: list[str] = []


class Task(NamedTuple):
    """Some kernels, and the name of a file that tells that they will be asked for."""

    sign: str
    call: Callable[[], object]


ALWAYS = "*"
"""The sign of what every network needs."""

X, ROW, WIDE = np.ones((8, 32, 8, 8), np.float32), np.ones(32, np.float32), np.ones((16, 64, 16, 16), np.float32)
LOGITS, LABELS = np.ones((8, 10), np.float32), np.zeros(8, np.int64)
HALF, PLACES, THREE = X[:, :, ::2, ::2], np.zeros((8, 32, 4, 4), np.int32), np.ones((32, 32, 3, 3), np.float32)
"""Arrays as small as take the usual paths."""

SAME = (1, 1), (1, 1), (1, 1), 1
"""Stride, padding, dilation and groups."""


def _cross_entropy() -> None:
    """Compile both ways in one process, for they have formulas in common."""
    softmax.cross_entropy(LOGITS, LABELS, None, -100, 0.0)
    softmax.cross_entropy_grad(LOGITS[:, 0], LOGITS, LABELS, None, -100, 0.0)


TASKS = (
    Task(ALWAYS, lambda: optim.adam_step(ROW.copy(), ROW, ROW.copy(), ROW.copy(), 0.01, 0.9, 0.9, 1e-8, 0.0, False, 1)),
    Task(ALWAYS, _cross_entropy),
    Task("pool._max*", lambda: conv.conv2d_gradients(WIDE, WIDE, np.ones((64, 64, 3, 3), np.float32), *SAME)),
    Task("conv_pool.*", lambda: conv_pool.conv2d_max_pool_grad(HALF, PLACES, X, THREE, False, *SAME)),
    Task(ALWAYS, lambda: conv.conv2d_bias_grad(X)),
    Task("sweep.*", lambda: linear.linear(np.ones((64, 576), np.float32), np.ones((64, 576), np.float32), None)),
    Task("winograd._convolve*", lambda: conv.conv2d_gradients(WIDE, WIDE, np.ones((64, 64, 3, 3), np.float32), *SAME)),
    Task("pool._max*", lambda: pool.max_pool2d_grad(HALF, PLACES, X.shape, True)),
    Task("elementwise.relu-*", lambda: elementwise.relu_grad(X, X)),
    Task("norm.*", lambda: pool.adaptive_avg_pool2d_grad(X[:, :, :1, :1], X.shape)),
    Task("norm.*", lambda: norm.batch_norm_grad(X, X, ROW, ROW, ROW)),
)
"""Those with no sign so far are done in this order: most networks have what stands first.

Networks of convolutions (sweep.py) end with a linear layer, those with max pooling have wide 3×3 convolutions, too, and
those with batch norm end with a mean over all pixels.
"""


def compile_all() -> None:
    """Call the kernels."""
    left = list(TASKS)
    while left:
        task = next((task for task in left if _is_there(task.sign)), left[0])
        left.remove(task)
        task.call()


def _is_there(sign: str) -> bool:
    folder = cache_folder()
    return sign == ALWAYS or (folder is not None and any(folder.rglob(sign)))
