import inspect

import numpy as np
import pytest

import tinydl.nn.functional as F
from tinydl import ops
from tinydl.tensor import Tensor

rng = np.random.default_rng(0)
X = rng.standard_normal((2, 4, 6, 5))
LOGITS, TARGET, SOFT = rng.standard_normal((5, 3)), np.array([0, 2, 1, 1, 0]), rng.random((5, 3))
W, B = rng.standard_normal((6, 2, 3, 2)), rng.standard_normal(6)
C = np.arange(1.0, 5.0)

CALLS = [
    ("relu", (X, True), (X,)),
    ("relu6", (3 * X, True), (3 * X,)),
    ("leaky_relu", (X, 0.3, True), (X, 0.3)),
    ("elu", (X, 0.3, True), (X, 0.3)),
    ("gelu", (X, "tanh"), (X, "tanh")),
    ("sigmoid", (X,), (X,)),
    ("tanh", (X,), (X,)),
    ("silu", (X, True), (X,)),
    ("hardsigmoid", (X, True), (X,)),
    ("hardswish", (X, True), (X,)),
    ("softplus", (X, 2.0, 1.0), (X, 2.0, 1.0)),
    ("mish", (X, True), (X,)),
    ("softmax", (X, 1), (X, 1)),
    ("log_softmax", (X, 2), (X, 2)),
    ("linear", (LOGITS, np.ones((2, 3)), np.ones(2)), (LOGITS, np.ones((2, 3)), np.ones(2))),
    ("conv2d", (X, W, B, (2, 1), (1, 0), (1, 2), 2), (X, W, B, (2, 1), (1, 0), (1, 2), 2)),
    ("conv_transpose2d", (X, np.ones((4, 3, 2, 2)), B, 2, 1, 1, 2, 2), (X, np.ones((4, 3, 2, 2)), B, 2, 1, 1, 2, 2)),
    ("embedding", (TARGET, LOGITS, 1), (TARGET, LOGITS)),
    ("max_pool2d", (X, 3, 2, 1, 1, True), (X, 3, 2, 1, 1, True)),
    ("avg_pool2d", (X, 3, 2, 1, True, False), (X, 3, 2, 1, True, False)),
    ("adaptive_avg_pool2d", (X, (2, 3)), (X, (2, 3))),
    ("adaptive_max_pool2d", (X, (2, 3)), (X, (2, 3))),
    ("batch_norm", (X, C, 2 * C, 3 * C, 4 * C, False, 0.2, 0.1), (X, C, 2 * C, 3 * C, 4 * C, False, 0.2, 0.1)),
    ("layer_norm", (X, 5, B[:5], B[1:], 0.1), (X, 5, B[:5], B[1:], 0.1)),
    ("group_norm", (X, 2, C, -C, 0.1), (X, 2, C, -C, 0.1)),
    ("pad", (X, (1, 2), "replicate"), (X, (1, 2), "replicate")),
    ("one_hot", (TARGET, 4), (TARGET, 4)),
    ("channel_shuffle", (X, 2), (X, 2)),
    ("cross_entropy", (LOGITS, TARGET, C[:3], 1, "sum", 0.1), (LOGITS, TARGET, C[:3], 1, "sum", 0.1)),
    ("nll_loss", (LOGITS, TARGET, C[:3], 1, "sum"), (LOGITS, TARGET, C[:3], 1, "sum")),
    ("mse_loss", (LOGITS, SOFT, "sum"), (LOGITS, SOFT, "sum")),
    ("l1_loss", (LOGITS, SOFT, "sum"), (LOGITS, SOFT, "sum")),
    ("smooth_l1_loss", (LOGITS, SOFT, "sum", 0.3), (LOGITS, SOFT, "sum", 0.3)),
    ("binary_cross_entropy_with_logits", (LOGITS, SOFT, C[:3], "sum", SOFT), (LOGITS, SOFT, C[:3], "sum", SOFT)),
    ("kl_div", (LOGITS, SOFT, "sum", True), (LOGITS, SOFT, "sum", True)),
]
HERE = {"normalize", "dropout", "dropout2d"}


def public():
    return {n for n, f in vars(F).items() if inspect.isfunction(f) and f.__module__ == F.__name__}


def test_every_function_is_tested():
    assert {name for name, *_ in CALLS} | HERE == public()


@pytest.mark.parametrize("name, arguments, to_op", CALLS, ids=[call[0] for call in CALLS])
def test_every_argument_reaches_the_op(name, arguments, to_op):
    np.testing.assert_array_equal(getattr(F, name)(*arguments), getattr(ops, name)(*to_op))
    names = list(inspect.signature(getattr(F, name)).parameters)
    assert names[0] in ("input", "tensor")
    by_name = getattr(F, name)(Tensor(arguments[0]), **dict(zip(names[1:], arguments[1:])))
    assert isinstance(by_name, Tensor) or name == "embedding"  # whose operand is the table


def test_inplace_leaves_the_input_alone():
    x = X.copy()
    F.relu(x, inplace=True)
    F.dropout(x, 0.5, inplace=True)
    np.testing.assert_array_equal(x, X)


@pytest.mark.parametrize("p, dim", [(2.0, 1), (1.0, 0), (3.0, -1), (np.inf, 1)])
def test_normalize(p, dim):
    norms = np.linalg.norm(X, p, dim, keepdims=True)
    np.testing.assert_allclose(F.normalize(X, p, dim), X / norms)
    np.testing.assert_allclose(F.normalize(X, p, dim, eps=100.0), X / 100)


def test_normalize_of_nothing_is_nothing():
    x = Tensor(np.array([[3.0, 4.0], [0.0, 0.0]]), requires_grad=True)
    y = F.normalize(x)
    (y * np.array([1.0, 0.0])).sum().backward()
    assert y.data[1].tolist() == [0, 0]
    np.testing.assert_allclose(x.grad.data[0], [16 / 125, -12 / 125])
    assert np.isfinite(x.grad.data).all()


def test_dropout_outside_training_is_the_input():
    assert F.dropout(X, training=False) is X
    assert F.dropout2d(X, training=False) is X


def test_generators_decide():
    for drop in (F.dropout, F.dropout2d):
        one, two = (drop(X, 0.5, generator=np.random.default_rng(1)) for _ in range(2))
        np.testing.assert_array_equal(one, two)


def test_pad_without_a_value_pads_zeros():
    assert F.pad(X, (1, 0)).sum() == pytest.approx(X.sum())
    assert (F.pad(X, (1, 0), value=2.0)[..., 0] == 2).all()
