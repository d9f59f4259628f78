"""The checker itself: right derivatives pass, every kind of wrong one is found and shown."""

import numpy as np
import pytest

from tinydl import gradcheck, gradgradcheck
from tinydl.gradcheck import GradcheckError, analytic_jacobian, numeric_jacobian
from tinydl.op import Op
from tinydl.tensor import Tensor


def square(factor=2.0, second=None):
    """Return x² as an op whose derivative is `factor`·x, and whose second derivative is wrong if `second` is given."""
    made = Op(lambda x: x * x, "...", keeps=(), view=False, variadic=False, kernel=False)

    @made.vjp()
    def vjp(g, x):
        return g * x * factor if second is None else g * (x * second + x.detach() * (factor - second))

    return made


@pytest.fixture
def x():
    return Tensor([0.5, -1.0, 2.0], requires_grad=True)


def test_right_derivatives_pass(x):
    assert gradcheck(square(), [x])
    assert gradgradcheck(square(), [x])
    assert gradcheck(square(), x), "one Tensor needs no list"


@pytest.mark.parametrize("factor", [1.0, -2.0, 2.001, 0.0])
def test_a_wrong_factor_is_found(x, factor):
    with pytest.raises(GradcheckError, match=r"by input 0: worst entry ∂y\[2\]/∂x\[2\]: analytic .*, numeric 4"):
        gradcheck(square(factor), [x])


def test_a_nan_is_found_wherever_it_is(x):
    made = Op(lambda x: x * 1.0, "...", keeps=(), view=False, variadic=False, kernel=False)

    @made.vjp()
    def vjp(g):
        return g * np.array([1.0, np.nan, 1.0])

    with pytest.raises(GradcheckError, match=r"analytic nan"):
        gradcheck(made, [x])


def test_a_wrong_second_derivative_is_found_by_the_second_check_only(x):
    with pytest.raises(AttributeError):
        gradcheck(square(second=1.0), [x])  # arrays have no detach: this rule is for recorded passes
    made = Op(lambda x: x * x, "...", keeps=(), view=False, variadic=False, kernel=False)

    @made.vjp()
    def vjp(g, x):
        return g * 2.0 * (x.detach() if isinstance(x, Tensor) else x)

    assert gradcheck(made, [x])
    with pytest.raises(GradcheckError, match="gradcheck by input 1"):
        gradgradcheck(made, [x])


def test_a_gradient_that_is_missing_is_found(x):
    with pytest.raises(GradcheckError, match="analytic 0, numeric 1"):
        gradcheck(lambda x: x.detach() * 1.0, [x])


def test_a_gradient_to_the_wrong_element_is_found(x):
    """A sum of all entries, or a random projection of few, could miss it."""
    made = Op(lambda x: x * 3.0, "...", keeps=(), view=False, variadic=False, kernel=False)

    @made.vjp()
    def vjp(g):
        return g[::-1] * 3.0

    with pytest.raises(GradcheckError, match="4 of 9 entries are off"):
        gradcheck(made, [x])


def test_every_input_is_checked(x):
    w = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    with pytest.raises(GradcheckError, match="gradcheck by input 1"):
        gradcheck(lambda a, b: a * b + b.detach() * a, [x, w])
    assert gradcheck(lambda a, k, b: a * b * k, [x, 2.0, w])
    assert gradcheck(lambda a, b: a * b, [x, w.detach()])


def test_inputs_are_taken_as_float64_and_left_alone(x):
    seen = []
    assert gradcheck(lambda a: (seen.append(a.dtype), a * a)[1], [x])
    assert set(seen) == {np.dtype(np.float64)}
    assert x.dtype == np.float32
    assert x.grad is None


def test_what_cannot_be_checked(x):
    for check in (gradcheck, gradgradcheck):
        with pytest.raises(ValueError, match="at least one input must be a Tensor that requires a gradient"):
            check(lambda a: a, [x.detach()])
        with pytest.raises(TypeError, match="f must return one Tensor, got tuple"):
            check(lambda a: (a, a), [x])


def test_jacobians():
    matrix = np.arange(6.0).reshape(2, 3)
    x = Tensor(np.ones(3), requires_grad=True)
    assert np.allclose(numeric_jacobian(lambda v: matrix @ v, x.data), matrix)
    assert np.array_equal(analytic_jacobian(Tensor(matrix) @ x, x), matrix)
    assert numeric_jacobian(lambda v: np.ones(2), np.zeros((0, 3))).shape == (2, 0)
    large = numeric_jacobian(lambda v: v**2, np.array([1e6]))
    assert large.item() == pytest.approx(2e6, rel=1e-6)
