"""The kernels of a training step in float32, called once each, those first that a network asks for last: see ahead.py.

Winograd's gradient contains the convolution's tiles: by its turn, the other process has compiled these.
"""

from __future__ import annotations

import numpy as np

from tinydl.kernels.compiled import conv, elementwise, linear, norm, optim, pool, softmax
from tinydl.shapes import Array

__all__: list[str] = []


def compile_all() -> None:
    """Call the kernels, on arrays as small as take the usual paths."""
    x, row, labels = np.ones((8, 32, 8, 8), np.float32), np.ones(32, np.float32), np.zeros(8, np.int64)
    one: tuple[int, int] = (1, 1)
    optim.adam_step(row.copy(), row, row.copy(), row.copy(), 0.001, 0.9, 0.999, 1e-8, 0.0, False, 1)
    norm.batch_norm_grad(x, x, row, row, row)
    conv.conv2d_bias_grad(x)
    pool.max_pool2d_grad(x[:, :, ::2, ::2], np.zeros((8, 32, 4, 4), np.int32), x.shape)
    conv.conv2d_weight_grad(x, x, (32, 32, 3, 3), one, one, one, 1)
    elementwise.relu_grad(x, x)
    _loss(np.ones((8, 10), np.float32), labels)
    linear.linear(np.ones((64, 576), np.float32), np.ones((64, 576), np.float32), None)


def _loss(logits: Array, labels: Array) -> None:
    """Compile the cross entropy, from its gradient to its first part."""
    softmax.nll_grad(logits[:, 0], labels, None, -100, 10)
    softmax.log_softmax_grad(logits, logits, 1)
    softmax.nll(logits, labels, None, -100)
    softmax.log_softmax(logits, 1)
