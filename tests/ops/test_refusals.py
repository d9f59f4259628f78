"""What ops refuse: with an error that names the argument, what came and what is needed, before anything is done."""

import re

import numpy as np
import pytest

from tinydl import ops
from tinydl.tensor import Tensor

X = np.ones((2, 4, 5, 6))
W = np.ones((6, 4, 3, 2))
HUGE = 1 << 40

REFUSED = {
    "conv2d": [
        (lambda: ops.conv2d(np.ones((4, 5)), W), "conv2d: x must have axes (N, C, H, W)"),
        (lambda: ops.conv2d(X, np.ones((6, 4, 3))), "conv2d: x must have axes (N, C, H, W)"),
        (lambda: ops.conv2d(X, np.ones((6, 3, 3, 2))), "axis C is 4 in x (2, 4, 5, 6) but weight (6, 3, 3, 2) wants 3"),
        (lambda: ops.conv2d(X, np.ones((6, 2, 3, 2))), "axis C is 4 in x (2, 4, 5, 6) but weight (6, 2, 3, 2) wants 2"),
        (lambda: ops.conv2d(X, np.ones((5, 2, 3, 2)), groups=2), "groups 2 must divide axis O"),
        (lambda: ops.conv2d(X, np.ones((6, 2, 3, 2)), groups=3), "wants 6 with groups=3"),
        (lambda: ops.conv2d(X, W, groups=0), "groups must be an integer of at least 1, got 0"),
        (lambda: ops.conv2d(X, W, groups=1.5), "groups must be an integer of at least 1, got 1.5"),
        (lambda: ops.conv2d(X, W, np.ones(5)), "axis O is 6 in weight (6, 4, 3, 2) but bias (5,) has 5"),
        (lambda: ops.conv2d(X, W, np.ones((6, 1))), "bias needs 1 axes"),
        (
            lambda: ops.conv2d(X, np.ones((6, 4, 7, 2))),
            "kernel (7, 2) (dilation (1, 1)) does not fit into x (2, 4, 5, 6)",
        ),
        (lambda: ops.conv2d(X, W, dilation=3), "does not fit into x"),
        (lambda: ops.conv2d(X, np.ones((6, 4, 0, 2))), "weight 4 axes of at least 1"),
        (lambda: ops.conv2d(X, W, stride=0), "conv2d: stride must be at least 1, got (0, 0)"),
        (lambda: ops.conv2d(X, W, stride=(1, -1)), "conv2d: stride must be at least 1, got (1, -1)"),
        (lambda: ops.conv2d(X, W, stride=(1, 2, 3)), "stride must be an integer or a pair of integers, got (1, 2, 3)"),
        (lambda: ops.conv2d(X, W, stride=1.5), "stride must be an integer or a pair of integers"),
        (lambda: ops.conv2d(X, W, padding=-1), "conv2d: padding must be at least 0, got (-1, -1)"),
        (lambda: ops.conv2d(X, W, dilation=0), "conv2d: dilation must be at least 1, got (0, 0)"),
        (lambda: ops.conv2d(X, W, padding="full"), 'padding must be numbers, "valid" or "same", got \'full\''),
        (lambda: ops.conv2d(X, W, padding="same", stride=2), 'padding="same" needs stride 1, got (2, 2)'),
    ],
    "conv_transpose2d": [
        (lambda: ops.conv_transpose2d(X, np.ones((3, 4, 3, 2))), "must share axis C"),
        (lambda: ops.conv_transpose2d(X, np.ones((4, 4, 3))), "weight 4 axes"),
        (lambda: ops.conv_transpose2d(X, np.ones((4, 4, 3, 2)), groups=3), "groups 3 divide it"),
        (lambda: ops.conv_transpose2d(X, np.ones((4, 4, 3, 2)), np.ones(3)), "bias (3,) must have axis O, 4"),
        (lambda: ops.conv_transpose2d(X, np.ones((4, 4, 3, 2)), stride=2, output_padding=2), "must be below stride"),
        (lambda: ops.conv_transpose2d(X, np.ones((4, 4, 3, 2)), padding=5), "leaves no output"),
        (lambda: ops.conv_transpose2d(X, np.ones((4, 4, 3, 2)), stride=0), "stride must be at least 1"),
    ],
    "pooling": [
        (lambda: ops.max_pool2d(np.ones((4, 5)), 2), "max_pool2d: x needs axes (N, C, H, W) or (C, H, W)"),
        (lambda: ops.max_pool2d(X, 0), "kernel_size must be at least 1, got (0, 0)"),
        (lambda: ops.max_pool2d(X, 2, 0), "max_pool2d: stride must be at least 1"),
        (lambda: ops.max_pool2d(X, 2, -1), "max_pool2d: stride must be at least 1"),
        (lambda: ops.max_pool2d(X, 2, padding=-1), "padding must be at least 0"),
        (lambda: ops.max_pool2d(X, 3, padding=2), "padding (2, 2) must be at most half of kernel_size (3, 3)"),
        (lambda: ops.max_pool2d(X, 2, dilation=0), "dilation must be at least 1"),
        (lambda: ops.max_pool2d(X, 7), "kernel_size (7, 7) does not fit into x (2, 4, 5, 6)"),
        (lambda: ops.avg_pool2d(X, 7), "avg_pool2d: kernel_size (7, 7) does not fit"),
        (lambda: ops.avg_pool2d(X, (1, 2, 3)), "kernel_size must be an integer or a pair of integers"),
        (lambda: ops.avg_pool2d(X, 3, padding=2), "must be at most half"),
        (lambda: ops.max_pool2d(np.ones((1, 1, 0, 3)), 2), "does not fit"),
        (lambda: ops.adaptive_avg_pool2d(X, 0), "output_size must be at least 1"),
        (lambda: ops.adaptive_avg_pool2d(X, (1, 2, 3)), "output_size must be an integer or a pair"),
        (lambda: ops.adaptive_max_pool2d(np.ones((2, 3)), 1), "adaptive_max_pool2d: x needs axes"),
        (lambda: ops.adaptive_avg_pool2d(np.ones((2, 3, 0, 1)), 1), "with elements to pool"),
    ],
    "normalization": [
        (lambda: ops.batch_norm(np.ones(3), training=True), "batch_norm: x needs axes (N, C, …)"),
        (lambda: ops.batch_norm(X, np.ones(3), np.ones(4)), "running_mean has shape (3,), but axis C is 4"),
        (lambda: ops.batch_norm(X, weight=np.ones(5), training=True), "weight has shape (5,), but axis C is 4"),
        (lambda: ops.batch_norm(X), "evaluation needs running_mean and running_var"),
        (lambda: ops.batch_norm(np.ones((1, 4)), training=True), "training needs more than 1 value a channel"),
        (lambda: ops.batch_norm(np.ones((1, 4, 1, 1)), training=True), "training needs more than 1 value a channel"),
        (lambda: ops.batch_norm(np.ones((0, 4, 5)), training=True), "training needs more than 1 value a channel"),
        (lambda: ops.layer_norm(X, 5), "the last axes of x (2, 4, 5, 6) must be normalized_shape (5,)"),
        (lambda: ops.layer_norm(X, ()), "normalized_shape ()"),
        (lambda: ops.layer_norm(X, 6, np.ones(5)), "layer_norm: weight has shape (5,), needed (6,)"),
        (lambda: ops.group_norm(X, 3), "num_groups 3 must divide axis C of x (2, 4, 5, 6)"),
        (lambda: ops.group_norm(X, 0), "num_groups 0 must divide"),
        (lambda: ops.group_norm(X, 2, np.ones(3)), "weight has shape (3,), but axis C is 4"),
    ],
    "losses": [
        (lambda: ops.cross_entropy(np.ones((2, 3)), np.array([0])), "target (1,) must be (2,) for input (2, 3)"),
        (lambda: ops.cross_entropy(np.ones((2, 3)), np.array([0.0, 1.0])), "target probabilities (2,)"),
        (lambda: ops.cross_entropy(np.ones((2, 3, 4)), np.zeros((2, 3), int)), "target (2, 3) must be (2, 4)"),
        (lambda: ops.cross_entropy(np.ones((2, 3)), np.array([0, 1]), np.ones(2)), "weight (2,) must have one entry"),
        (lambda: ops.cross_entropy(np.ones((2, 3)), np.array([0, 1]), reduction="avg"), "reduction must be one of"),
        (lambda: ops.cross_entropy(np.ones((2, 3)), np.array([0, 1]), label_smoothing=1.5), "label_smoothing must lie"),
        (lambda: ops.cross_entropy(np.ones((2, 3)), np.array([0, 1]), label_smoothing=np.nan), "label_smoothing"),
        (lambda: ops.cross_entropy(np.array(1.0), np.array(0)), "input needs axes"),
        (
            lambda: ops.mse_loss(np.ones((2, 3)), np.ones(3)),
            "mse_loss: target (3,) must have the shape of input (2, 3)",
        ),
        (lambda: ops.l1_loss(np.ones((2, 1)), np.ones(2)), "l1_loss: target (2,) must have the shape"),
        (lambda: ops.smooth_l1_loss(np.ones(2), np.ones(2), beta=-1), "beta must not be negative, got -1"),
        (lambda: ops.binary_cross_entropy_with_logits(np.ones(2), np.ones((2, 1))), "must have the shape of input"),
        (lambda: ops.kl_div(np.ones(2), np.ones(2), "median"), "kl_div: reduction must be one of"),
    ],
    "matrices": [
        (
            lambda: ops.linear(np.ones((2, 3)), np.ones((4, 5))),
            "linear: axis I is 3 in x (2, 3) but weight (4, 5) has 5",
        ),
        (
            lambda: ops.linear(np.ones((2, 3)), np.ones((4, 3)), np.ones(3)),
            "axis O is 4 in weight (4, 3) but bias (3,)",
        ),
        (lambda: ops.linear(np.ones((2, 3)), np.ones(3)), "linear: weight needs 2 axes (O I), got shape (3,)"),
        (lambda: ops.matmul(np.ones((2, 3)), np.ones((2, 3))), "bmm: axis K is 3 in a (2, 3) but b (2, 3) has 2"),
        (lambda: ops.matmul(np.ones(()), np.ones(3)), "both operands need at least one axis"),
        (lambda: ops.matmul(np.ones((2, 2, 3)), np.ones((3, 3, 2))), "do not broadcast together"),
    ],
    "elements": [
        (lambda: ops.add(np.ones(3), np.ones(4)), "add: the shapes (3,) and (4,) do not broadcast together"),
        (lambda: ops.where(np.ones(3, bool), np.ones(2), 0.0), "where: the shapes (3,) and (2,) and ()"),
        (lambda: ops.clamp(np.ones(3)), "clamp: at least one of min and max is needed"),
        (lambda: ops.gelu(np.ones(3), "erf"), 'approximate must be "none" or "tanh", got \'erf\''),
    ],
    "movement": [
        (lambda: ops.reshape(np.ones(6), (4, -1)), "reshape: x (6,) has 6 elements, which do not fill (4, -1)"),
        (lambda: ops.reshape(np.ones(6), (-1, -1)), "do not fill (-1, -1)"),
        (lambda: ops.permute(X, (0, 1, 2)), "permute: dims (0, 1, 2) must name each axis of x (2, 4, 5, 6) once"),
        (lambda: ops.permute(X, (0, 1, 2, 2)), "must name each axis"),
        (lambda: ops.permute(X, (0, 1, 2, 4)), "must name each axis"),
        (lambda: ops.expand(np.ones((2, 3)), (4, 3)), "expand: x (2, 3) cannot be stretched to (4, 3)"),
        (lambda: ops.expand(np.ones(3), (-1, 3)), "cannot be stretched to (-1, 3)"),
        (lambda: ops.flatten(X, 2, 1), "start_dim 2 lies behind end_dim 1"),
        (lambda: ops.cat([]), "cat: a sequence of at least one Tensor is needed"),
        (lambda: ops.cat([np.ones((2, 3)), np.ones((3, 2))]), "all sizes but that of dim 0 must agree"),
        (lambda: ops.cat([np.ones((2, 3)), np.ones(3)]), "must agree, got (2, 3) and (3,)"),
        (lambda: ops.stack([np.ones(2), np.ones(3)]), "all of one shape"),
        (lambda: ops.stack([]), "at least one Tensor"),
        (lambda: ops.split(np.ones(5), 0), "split_size must be at least 1, got 0"),
        (lambda: ops.split(np.ones(5), [2, 2]), "must add up to 5"),
        (lambda: ops.split(np.ones(5), [7, -2]), "must add up to 5"),
        (lambda: ops.chunk(np.ones(5), 0), "chunks must be at least 1, got 0"),
        (lambda: ops.channel_shuffle(X, 3), "groups 3 must divide axis C of x (2, 4, 5, 6)"),
        (lambda: Tensor(np.ones((2, 3, 4))).t(), "at most 2 axes"),
    ],
    "indexing": [
        (lambda: ops.pad(X, (1,)), "two numbers an axis"),
        (lambda: ops.pad(np.ones(2), (1, 1, 1, 1)), "for at most 1 axes"),
        (lambda: ops.pad(X, (1, 1), "circular"), "pad: mode must be one of"),
        (lambda: ops.pad(np.ones(3), (3, 0), "reflect"), "reflect of an axis of size 3 allows 0…2, got (3, 0)"),
        (lambda: ops.pad(np.ones(3), (-1, 0), "replicate"), "replicate of an axis of size 3 allows"),
        (lambda: ops.pad(np.ones(3), (-4, 5)), "crops more than x (3,) has"),
        (lambda: ops.gather(np.ones((2, 3)), 1, np.array([0])), "must have the axes of x (2, 3)"),
        (lambda: ops.gather(np.ones((2, 3)), 1, np.zeros((3, 1), int)), "none larger but dim 1"),
        (lambda: ops.embedding(np.array([0]), np.ones(3)), "weight must have 2 axes (V, D), got shape (3,)"),
        (lambda: ops.one_hot(np.zeros(0, int)), "num_classes is needed for an empty index"),
    ],
    "noise": [
        (lambda: ops.dropout(X, -0.1), "dropout: p must lie in [0, 1], got -0.1"),
        (lambda: ops.dropout(X, 1.1), "dropout: p must lie in [0, 1], got 1.1"),
        (lambda: ops.dropout(X, np.nan), "dropout: p must lie in [0, 1], got nan"),
        (lambda: ops.drop_path(X, 2.0, training=False), "drop_path: p must lie in [0, 1], got 2.0"),
    ],
}
OUT_OF_RANGE = [
    (lambda: ops.cross_entropy(np.ones((2, 3)), np.array([0, 3])), "cross_entropy: target must lie in 0…2, got 0…3"),
    (lambda: ops.cross_entropy(np.ones((2, 3)), np.array([-1, 0])), "target must lie in 0…2, got -1…0"),
    (lambda: ops.cross_entropy(np.ones((2, 3)), np.array([5, -100])), "target must lie in 0…2, got 5…5"),
    (lambda: ops.cross_entropy(np.ones((2, 3)), np.array([-100, 0]), ignore_index=0), "got -100…-100"),
    (lambda: ops.nll_loss(np.ones((2, 3)), np.array([0, 3], np.uint8)), "nll_loss: target must lie in 0…2, got 0…3"),
    (lambda: ops.gather(np.ones((2, 3)), 1, np.array([[3]])), "gather: index must lie in 0…2, got 3…3"),
    (lambda: ops.gather(np.ones((2, 3)), 1, np.array([[-1]])), "gather: index must lie in 0…2, got -1…-1"),
    (lambda: ops.index_select(np.ones(3), 0, np.array([3])), "index_select: index must lie in 0…2"),
    (lambda: ops.embedding(np.array([4]), np.ones((4, 2))), "embedding: index must lie in 0…3, got 4…4"),
    (lambda: ops.one_hot(np.array([0, 3]), 3), "one_hot: index must lie in 0…2, got 0…3"),
    (lambda: ops.one_hot(np.array([-1])), "one_hot: index must lie in"),
    (lambda: Tensor(np.ones(3))[3], "out of bounds"),
    (lambda: Tensor(np.ones(3))[np.array([3])], "out of bounds"),
    (lambda: ops.transpose(X, 0, 4), "transpose: dim 4 is out of range for 4 axes"),
    (lambda: ops.unsqueeze(X, 6), "unsqueeze: dim 6 is out of range"),
    (lambda: ops.cat([X, X], 4), "cat: dim 4 is out of range"),
    (lambda: ops.softmax(X, 4), "softmax: dim 4 is out of range"),
]
WRONG_TYPE = [
    (lambda: ops.nll_loss(np.ones((2, 3)), np.array([0.0, 1.0])), "target must hold integer class indices, got dtype"),
    (lambda: ops.cross_entropy(np.ones((2, 3)), np.array([True, False])), "target must hold integer class indices"),
    (lambda: ops.cross_entropy(np.ones((2, 3)), np.array(["a", "b"])), "cross_entropy: target has dtype <U1"),
    (lambda: ops.embedding(np.array([1.0]), np.ones((4, 2))), "embedding: index must hold integers, got dtype float64"),
    (lambda: ops.gather(np.ones((2, 3)), 1, np.array([[0.0]])), "gather: index must hold integers"),
    (lambda: ops.one_hot(np.array([0.5])), "one_hot: index must hold integers"),
    (lambda: ops.add(np.ones(2)), "add misses the argument(s) b"),
    (lambda: ops.add(np.ones(2), 1, 2), "add takes at most 2 arguments, got 3"),
    (lambda: ops.sum(np.ones(2), axis=0), "sum got an unexpected or repeated argument 'axis'"),
    (lambda: ops.sum(np.ones(2), 0, dim=0), "sum got an unexpected or repeated argument 'dim'"),
    (lambda: ops.to(np.ones(2), "float16"), "dtype 'float16' is not supported"),
    (lambda: ops.to(np.ones(2), None), "dtype None is not supported"),
]
TOO_LARGE = [
    (lambda: ops.conv2d(X, W, padding=1 << 20), "conv2d: the result (2, 6, 2097155, 2097157) would take"),
    (lambda: ops.conv_transpose2d(X, np.ones((4, 4, 3, 2)), stride=1 << 20), "conv_transpose2d: the result"),
    (lambda: ops.pad(X, (HUGE, HUGE)), "pad: the result"),
    (lambda: ops.pad(X, (HUGE, HUGE), "replicate"), "pad: the result"),
    (lambda: ops.adaptive_avg_pool2d(X, 1 << 20), "adaptive_avg_pool2d: the result"),
    (lambda: ops.adaptive_max_pool2d(X, 1 << 20), "adaptive_max_pool2d: the result"),
    (lambda: ops.one_hot(np.array([HUGE])), "one_hot: the result"),
    (lambda: ops.add(np.ones((1 << 20, 1)), np.ones(1 << 20)), "add: Unable to allocate 8.00 TiB"),
    (lambda: ops.where(np.ones((1 << 20, 1), bool), np.ones(1 << 20), 0.0), "where: Unable to allocate 8.00 TiB"),
    (lambda: ops.bmm(np.ones((1 << 20, 1)), np.ones((1, 1 << 20))), "bmm: Unable to allocate 8.00 TiB"),
    (lambda: ops.linear(np.ones((1 << 20, 1)), np.ones((1 << 20, 1))), "linear: Unable to allocate 8.00 TiB"),
]


def all_of(table):
    return [pytest.param(*row, id=f"{name} {i}") for name, rows in table.items() for i, row in enumerate(rows)]


@pytest.mark.parametrize("call, message", all_of(REFUSED))
def test_values_that_do_not_fit(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


@pytest.mark.parametrize("call, message", all_of({"index": OUT_OF_RANGE}))
def test_indices_out_of_range(call, message):
    with pytest.raises(IndexError, match=re.escape(message)):
        call()


@pytest.mark.parametrize("call, message", all_of({"type": WRONG_TYPE}))
def test_wrong_types(call, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        call()


@pytest.mark.parametrize("call, message", all_of({"size": TOO_LARGE}))
def test_results_that_no_machine_could_hold(call, message):
    with pytest.raises(MemoryError, match=re.escape(message)):
        call()


def test_a_refused_call_changes_nothing():
    mean, var = Tensor(np.zeros(4)), Tensor(np.ones(4))
    with pytest.raises(ValueError, match="training needs"):
        ops.batch_norm(np.ones((1, 4)), mean, var, training=True)
    with pytest.raises(TypeError):
        ops.batch_norm(np.ones((2, 4), int), mean, var, training=True)
    assert mean.tolist() == [0, 0, 0, 0]
    assert var.tolist() == [1, 1, 1, 1]


def test_empty_batches_go_through():
    """(0, …) in, (0, …) out, and zero gradients of the parameters."""
    x = np.zeros((0, 4, 5, 6), np.float32)
    weight = Tensor(np.ones((6, 4, 3, 2), np.float32), requires_grad=True)
    bias = Tensor(np.ones(6, np.float32), requires_grad=True)
    y = ops.conv2d(Tensor(x, requires_grad=True), weight, bias, padding=1)
    assert y.shape == (0, 6, 5, 7)
    for pooled in (ops.max_pool2d(y, 2), ops.avg_pool2d(y, 2), ops.adaptive_avg_pool2d(y, 1)):
        assert pooled.shape[0] == 0
        pooled.sum().backward(retain_graph=True)
    assert not weight.grad.data.any()
    assert not bias.grad.data.any()
    assert ops.batch_norm(y, np.zeros(6), np.ones(6)).shape == y.shape
    assert ops.linear(ops.flatten(y, 1), np.ones((3, 210))).shape == (0, 3)
    assert ops.softmax(np.zeros((0, 3)), 1).shape == (0, 3)
    assert ops.layer_norm(np.zeros((0, 3)), 3).shape == (0, 3)
