"""Reductions against loops over the axes they reduce, and what they do with ties, NaN and nothing."""

import itertools
import math

import numpy as np
import pytest

from tinydl import ops
from tinydl.tensor import Tensor

SHAPE = (2, 3, 4)
DIMS = [None, 0, 1, -1, (0, 2), [1, -3], (0, 1, 2)]


@pytest.fixture
def x():
    return np.random.default_rng(0).standard_normal(SHAPE)


def by_loops(formula, x, dim, keepdim):
    """Gather each result's elements in a list and apply the formula to it."""
    dims = {d % 3 for d in (range(3) if dim is None else [dim] if isinstance(dim, int) else dim)}
    groups = {}
    for place in np.ndindex(x.shape):
        kept = tuple(0 if d in dims else i for d, i in enumerate(place))
        groups.setdefault(kept, []).append(float(x[place]))
    shape = tuple(1 if d in dims else n for d, n in enumerate(x.shape))
    y = np.zeros(shape)
    for place, elements in groups.items():
        y[place] = formula(elements)
    return y if keepdim else y.reshape([n for d, n in enumerate(shape) if d not in dims])


def variance(v, correction=1):
    mean = math.fsum(v) / len(v)
    return math.fsum((e - mean) ** 2 for e in v) / (len(v) - correction)


FORMULAS = {
    "sum": math.fsum,
    "mean": lambda v: math.fsum(v) / len(v),
    "amax": max,
    "amin": min,
    "logsumexp": lambda v: math.log(math.fsum(math.exp(e) for e in v)),
    "var": variance,
    "std": lambda v: math.sqrt(variance(v)),
    "norm": lambda v: math.sqrt(math.fsum(e * e for e in v)),
}


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("keepdim", [False, True])
@pytest.mark.parametrize("dim", DIMS, ids=str)
def test_values(x, name, dim, keepdim):
    found = getattr(ops, name)(x, dim=dim, keepdim=keepdim)
    wanted = by_loops(FORMULAS[name], x, dim, keepdim)
    assert np.shape(found) == wanted.shape
    assert np.allclose(found, wanted, rtol=1e-13, atol=1e-13)
    assert np.allclose(getattr(Tensor(x), name)(dim=dim, keepdim=keepdim).data, wanted, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("p", [1, 3, 2.5])
def test_norms(x, p):
    found = ops.norm(x, p, 1)
    assert np.allclose(found, by_loops(lambda v: sum(abs(e) ** p for e in v) ** (1 / p), x, 1, False))
    assert ops.norm(x, math.inf) == np.abs(x).max()


def test_the_slope_of_a_norm_at_0_is_0():
    for p in (1, 2, 3, 1.5, math.inf):
        x = Tensor(np.zeros((2, 3)), requires_grad=True)
        ops.norm(x, p, 1).sum().backward()
        assert np.array_equal(x.grad.data, np.zeros((2, 3)))


def test_correction_and_its_older_name(x):
    for correction in (0, 1, 2):
        wanted = by_loops(lambda v, c=correction: variance(v, c), x, 2, False)
        assert np.allclose(ops.var(x, 2, correction), wanted)
    assert np.allclose(ops.var(x, 2, unbiased=False), ops.var(x, 2, 0))
    assert np.allclose(ops.std(x, 2, unbiased=True), ops.std(x, 2))
    assert np.isnan(ops.var(x[..., :1], 2)).all()


def test_places_of_extremes(x):
    for dim, keepdim in itertools.product((0, 1, -1), (False, True)):
        values, places = Tensor(x).max(dim, keepdim)
        assert np.array_equal(values.data, x.max(dim, keepdims=keepdim))
        assert np.array_equal(places.data, x.argmax(dim, keepdims=keepdim))
        assert places.dtype == np.int64
        values, places = Tensor(x).min(dim, keepdim)
        assert np.array_equal(values.data, x.min(dim, keepdims=keepdim))
        assert np.array_equal(places.data, x.argmin(dim, keepdims=keepdim))
    assert Tensor(x).argmax().item() == x.argmax()
    assert Tensor(x).max().item() == x.max()


def test_ties_share_the_gradient_or_the_first_takes_it():
    x = Tensor([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]], requires_grad=True)
    x.amax(1).backward(Tensor([6.0, 6.0]))
    assert x.grad.tolist() == [[0, 3, 3], [2, 2, 2]]
    x.grad = None
    x.max(1)[0].backward(Tensor([6.0, 6.0]))
    assert x.grad.tolist() == [[0, 6, 0], [6, 0, 0]]
    x.grad = None
    x.max().backward()
    assert x.grad.tolist() == [[0, 0.5, 0.5], [0, 0, 0]]


def test_nan_wins():
    x = Tensor([1.0, np.nan, 3.0], requires_grad=True)
    for y in (x.max(), x.min(), x.amax(0), x.sum(), x.mean(), x.logsumexp(0)):
        assert math.isnan(y.item())
    assert x.argmax().item() == 1
    x.max().backward()
    assert x.grad.tolist() == [0, 1, 0]


def test_reductions_of_nothing():
    nothing = np.zeros((0, 3))
    assert ops.sum(nothing) == 0
    assert ops.sum(nothing, 0).tolist() == [0, 0, 0]
    assert math.isnan(ops.mean(nothing))
    assert ops.logsumexp(nothing, 0).tolist() == [-math.inf] * 3
    assert not ops.any(nothing)
    assert ops.all(nothing)
    for name in ("amax", "amin", "argmax", "argmin", "max", "min"):
        with pytest.raises(ValueError, match="nothing"):
            getattr(ops, name)(nothing)


def test_logsumexp_does_not_overflow():
    x = Tensor(np.array([[1e4, 1e4], [-1e4, 0.0], [-np.inf, -np.inf], [np.inf, 0.0]]), requires_grad=True)
    y = x.logsumexp(1)
    assert np.allclose(y.data[:2], [1e4 + math.log(2), 0.0])
    assert y.data[2:].tolist() == [-math.inf, math.inf]
    y[:2].sum().backward()
    assert np.allclose(x.grad.data[:2], [[0.5, 0.5], [0.0, 1.0]])


def test_softmax_and_its_logarithm(x):
    for dim in (0, 1, -1):
        probabilities = np.exp(x) / np.exp(x).sum(dim, keepdims=True)
        assert np.allclose(ops.softmax(x, dim), probabilities, rtol=1e-13)
        assert np.allclose(ops.log_softmax(x, dim), np.log(probabilities), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_of_large_logits(dtype):
    x = Tensor(np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4]], dtype), requires_grad=True)
    y, logarithm = x.softmax(1), x.log_softmax(1)
    assert np.allclose(y.data, [[1, 0, 0], [1 / 3, 1 / 3, 1 / 3]])
    assert np.allclose(logarithm.data, [[0, -2e4, -1e4], [-math.log(3)] * 3])
    (y * logarithm).sum().backward()
    assert np.isfinite(x.grad.data).all()


def test_softmax_lets_nan_through_to_its_row_only():
    y = ops.softmax(np.array([[0.0, np.nan], [0.0, 0.0]]), 1)
    assert np.isnan(y[0]).all()
    assert y[1].tolist() == [0.5, 0.5]


def test_truth():
    x = Tensor([[0.0, 2.0], [0.0, 0.0]])
    assert x.any(1).tolist() == [True, False]
    assert x.all(1, keepdim=True).tolist() == [[False], [False]]
    assert x.any().item() is True


def test_integers_add_up_to_int64_and_have_no_mean():
    for dtype in (bool, np.uint8, np.int32):
        assert Tensor(np.ones(300, dtype)).sum().dtype == np.int64
        assert Tensor(np.ones(300, dtype)).sum().item() == 300
        with pytest.raises(TypeError, match="mean: x must be floating"):
            Tensor(np.ones(3, dtype)).mean()


def test_float32_sums_keep_their_accuracy():
    x = np.full((100, 1000), 0.1, np.float32)
    assert ops.sum(x) == pytest.approx(1e4, rel=1e-6)
    assert ops.mean(x).dtype == np.float32


@pytest.mark.parametrize("name", [*FORMULAS, "softmax", "argmax", "max", "any"])
def test_wrong_axes(x, name):
    function = getattr(ops, name)
    for dim in (3, -4):
        with pytest.raises(IndexError, match=f"dim {dim} is out of range"):
            function(x, dim=dim)
    if name not in ("softmax", "argmax", "max"):
        with pytest.raises(ValueError, match="names an axis twice"):
            function(x, dim=(0, -3))


def test_norm_of_no_order(x):
    for p in (0, -1, math.nan):
        with pytest.raises(ValueError, match="norm: p must be positive"):
            ops.norm(x, p)
