"""With ones everywhere and no padding, a result of ops that multiply and add is the number of products in it."""

import numpy as np
import pytest

from tinydl import Tensor, ops
from tinydl.cost.macs import _RULES, macs
from tinydl.modes import observe
from tinydl.op import FUSED, OPS
from tinydl.ops.inference import conv2d_clamped, linear_clamped

GEOMETRY = {"stride": (2, 1), "padding": (0, 0), "dilation": (1, 2), "groups": 2}


def ones(*shape):
    return Tensor(np.ones(shape))


CALLS = {
    "cross_correlation": lambda: ops.cross_correlation(ones(2, 4, 7, 8), ones(6, 2, 3, 2), None, **GEOMETRY),
    "conv2d_input_grad": lambda: ops.conv2d_input_grad(ones(2, 6, 3, 6), ones(6, 2, 3, 2), (2, 4, 7, 8), **GEOMETRY),
    "conv2d_weight_grad": lambda: ops.conv2d_weight_grad(ones(2, 6, 3, 6), ones(2, 4, 7, 8), (6, 2, 3, 2), **GEOMETRY),
    "conv2d_clamped": lambda: conv2d_clamped(
        ones(2, 4, 7, 8), ones(6, 2, 3, 2), None, None, *GEOMETRY.values(), 0.0, np.inf
    ),
    "linear_clamped": lambda: linear_clamped(ones(5, 3), ones(4, 3), None, 0.0, np.inf),
    "linear": lambda: ops.linear(ones(2, 5, 3), ones(4, 3)),
    "linear_input_grad": lambda: ops.linear_input_grad(ones(2, 5, 4), ones(4, 3)),
    "linear_weight_grad": lambda: ops.linear_weight_grad(ones(2, 5, 4), ones(2, 5, 3)),
    "bmm": lambda: ops.bmm(ones(2, 1, 5, 3), ones(4, 3, 6)),
}


def counted(call):
    seen = []
    with observe(lambda op, arrays, options, y, kept: seen.append(macs(op, arrays, options, y.data))):
        y = call()
    return sum(seen), y


@pytest.mark.parametrize("name", CALLS)
def test_every_product_counts_once(name, backend):
    found, y = counted(CALLS[name])
    assert found == y.sum().item() > 0


def test_every_rule_is_checked_and_belongs_to_an_op():
    assert CALLS.keys() == _RULES.keys() <= OPS.keys() | FUSED.keys()


def test_padding_counts_and_the_rest_does_not():
    x, weight = ones(1, 2, 4, 4), ones(3, 2, 3, 3)
    assert counted(lambda: ops.conv2d(x, weight, ones(3), padding=1))[0] == 3 * 4 * 4 * 2 * 9
    assert counted(lambda: ops.conv_transpose2d(x, ones(2, 3, 2, 2), stride=2))[0] == 2 * 4 * 4 * 3 * 4
    assert counted(lambda: ops.avg_pool2d(ops.relu(x * 2.0 + 1.0), 2).sum())[0] == 0
    assert counted(lambda: ones(3) @ ones(3))[0] == 3
    assert counted(lambda: ops.linear(ones(0, 3), ones(4, 3)))[0] == 0
