"""What the walk back computes: sums over paths, gradients of gradients, from where and by what."""

import numpy as np
import pytest

from tinydl.autograd import backward, grad
from tinydl.modes import enable_grad, no_grad
from tinydl.tensor import Tensor


@pytest.fixture
def x():
    return Tensor([1.0, 2.0, 3.0], requires_grad=True)


# ---- sums over paths


def test_a_diamond_sums_its_two_paths(x):
    y = x * x
    (y * 2 + y * y).sum().backward()
    assert x.grad.tolist() == [2 * v * 2 + 2 * v * v * 2 * v for v in (1, 2, 3)]


def test_diamonds_in_a_row_are_walked_once_each():
    """2^60 paths, 60 sums."""
    x = Tensor(1.0, requires_grad=True)
    y = x
    for _ in range(60):
        y = y + y
    y.backward()
    assert x.grad.item() == 2.0**60


def test_a_parameter_used_twice_gets_the_sum(x):
    (x * 2).sum().backward()
    (x.exp() + x * 3).sum().backward()
    assert np.allclose(x.grad.data, 2 + np.exp(x.data) + 3)


def test_many_uses_are_summed_exactly_once():
    w = Tensor(np.ones((2, 2)), requires_grad=True)
    total = sum((w * float(k)).sum() for k in range(20))
    total.backward()
    assert w.grad.tolist() == [[190, 190], [190, 190]]


def test_an_unused_parameter_has_no_gradient(x):
    unused = Tensor([1.0], requires_grad=True)
    (x * 2).sum().backward()
    assert unused.grad is None
    assert grad((x * 2).sum(), [x, unused], allow_unused=True)[1] is None
    with pytest.raises(RuntimeError, match="input 1 does not matter"):
        grad((x * 2).sum(), [x, unused])


@pytest.mark.parametrize("shape", [(), (1,), (4,), (3, 1), (1, 4), (2, 3, 4)])
def test_a_stretched_operand_gets_a_gradient_of_its_own_shape(shape):
    big = np.arange(24.0).reshape(2, 3, 4)
    small = Tensor(np.ones(shape), requires_grad=True)
    (small * big).sum().backward()
    counts = np.zeros(shape)
    for place in np.ndindex(big.shape):
        short = tuple(0 if n == 1 else i for n, i in zip(shape[::-1], place[::-1]))[::-1]
        counts[short] += big[place]
    assert small.grad.shape == shape
    assert np.array_equal(small.grad.data, counts)


def test_constants_and_detached_results_stop_the_gradient(x):
    constant = Tensor([1.0, 1.0, 1.0])
    y = x * 2
    (y.detach() * x + constant).sum().backward()
    assert x.grad.tolist() == [2, 4, 6]
    assert constant.grad is None
    assert not y.detach().requires_grad
    assert y.detach().data is y.data


# ---- where to start


def test_a_scalar_needs_no_gradient_others_do(x):
    with pytest.raises(RuntimeError, match=r"backward: the result has shape \(3,\); only a scalar needs no `gradient`"):
        (x * 2).backward()
    (x * 2).backward(Tensor([1.0, 10.0, 100.0]))
    assert x.grad.tolist() == [2, 20, 200]
    x.grad = None
    (x * 2).backward([1.0, 10.0, 100.0])
    assert x.grad.tolist() == [2, 20, 200]
    y = Tensor([[2.0]], requires_grad=True)
    y.backward()
    assert y.grad.tolist() == [[1]]


def test_an_upstream_gradient_of_another_shape_is_refused(x):
    with pytest.raises(ValueError, match=r"gradient has shape \(2,\), the Tensor \(3,\)"):
        (x * 2).backward(np.ones(2))
    with pytest.raises(TypeError, match="gradient has dtype"):
        (x * 2).backward(np.array(["a", "b", "c"]))


def test_what_depends_on_no_parameter_is_refused():
    for start in (Tensor([1.0]), Tensor([1.0]) * 2, 3.0):
        with pytest.raises(RuntimeError, match="a Tensor that requires a gradient is needed"):
            backward(start)
    with no_grad():
        y = Tensor(1.0, requires_grad=True) * 2
    with pytest.raises(RuntimeError, match="a Tensor that requires a gradient is needed"):
        y.backward()


def test_a_leaf_is_its_own_gradient():
    x = Tensor(2.0, requires_grad=True)
    x.backward()
    assert x.grad.item() == 1
    upstream = np.array([1.0, 2.0])
    y = Tensor(np.zeros(2), requires_grad=True)
    y.backward(upstream)
    y.backward(upstream)
    assert y.grad.tolist() == [2, 4]
    assert upstream.tolist() == [1, 2]


def test_gradients_have_the_leafs_dtype():
    x = Tensor(np.ones(2, np.float32), requires_grad=True)
    (x * 2).backward(np.array([1.0, 2.0]))
    assert x.grad.dtype == np.float32
    (x.double() * 2).sum().backward()
    assert x.grad.dtype == np.float32
    seen = []
    for create_graph in (False, True):
        y = x * 2
        y.register_hook(lambda g: seen.append(g.dtype))
        y.backward(Tensor(np.ones(2)), create_graph=create_graph)
    assert seen == [np.float32, np.float32]


# ---- gradients of gradients


def test_gradients_of_gradients_of_gradients():
    x = Tensor(2.0, requires_grad=True)
    wanted = [4 * 8.0, 12 * 4.0, 24 * 2.0, 24.0, 0.0]
    y = x**4
    for value in wanted:
        (y,) = grad(y, x, create_graph=True)
        assert y.item() == value


def test_a_penalty_on_the_gradient(x):
    """d/dx Σ (d/dx x³)² = 36 x³."""
    y = (x * x * x).sum()
    y.backward(create_graph=True)
    g, x.grad = x.grad, None
    (g * g).sum().backward()
    assert np.allclose(x.grad.data, 36 * x.data**3)


def test_create_graph_retains_the_graph_unless_told_otherwise(x):
    y = (x * x).sum()
    y.backward(create_graph=True)
    y.backward()
    z = (x * x).sum()
    z.backward(create_graph=True, retain_graph=False)
    with pytest.raises(RuntimeError, match="freed"):
        z.backward()


def test_without_create_graph_gradients_are_constants(x):
    (x * x).sum().backward()
    assert not x.grad.requires_grad
    with enable_grad():
        (g,) = grad((x * x).sum(), x)
    assert not g.requires_grad


# ---- grad()


def test_grad_leaves_every_grad_untouched(x):
    y = (x * 2).sum()
    assert grad(y, x)[0].tolist() == [2, 2, 2]
    assert x.grad is None


def test_grad_by_an_intermediate_result(x):
    middle = x * x
    y = (middle * 3).sum()
    by_middle, by_x = grad(y, [middle, x])
    assert by_middle.tolist() == [3, 3, 3]
    assert by_x.tolist() == [6, 12, 18]


def test_grad_of_several_outputs(x):
    (g,) = grad([x * 2, x.sum()], x, [np.array([1.0, 0, 0], np.float32), None])
    assert g.tolist() == [3, 1, 1]
    with pytest.raises(ValueError, match="2 outputs need as many grad_outputs, got 1"):
        grad([x * 2, x.sum()], x, [None])


def test_grad_of_itself(x):
    upstream = Tensor([1.0, 2.0, 3.0])
    y = x * 2
    (g,) = grad(y, y, upstream)
    assert g.tolist() == [1, 2, 3]
    assert not np.shares_memory(g.data, upstream.data)
