"""Every derivative of every op against finite differences, in float64; and what holds of gradients in general."""

import numpy as np
import pytest
from op_case import flat, gradients, seed
from op_table import CASES, DIFFERENTIABLE, Case

from tinydl import gradcheck, gradgradcheck
from tinydl.autograd import grad
from tinydl.tensor import Tensor

every_case = pytest.mark.parametrize("case", CASES, ids=str)
every_differentiable_case = pytest.mark.parametrize("case", DIFFERENTIABLE, ids=str)
every_exact_case = pytest.mark.parametrize("case", [case for case in DIFFERENTIABLE if case.exact], ids=str)


def leaves(case: Case) -> list[Tensor]:
    return [Tensor(x, requires_grad=True) for x in case.inputs]


@every_exact_case
def test_first_derivatives(case):
    assert gradcheck(lambda *xs: flat(case.call(*xs)), leaves(case))


@every_exact_case
def test_second_derivatives(case):
    assert gradgradcheck(lambda *xs: flat(case.call(*xs)), leaves(case))


@pytest.mark.parametrize("case", [case for case in CASES if case.order == 0], ids=str)
def test_what_has_no_gradient_asks_for_none(case):
    results = case.call(*leaves(case))
    for y in results if isinstance(results, tuple) else (results,):
        assert not getattr(y, "requires_grad", False)


@every_differentiable_case
def test_one_input_at_a_time(case):
    """The rules that are skipped because nobody needs them do not change the others."""
    _, wanted = gradients(case, list(case.inputs))
    for i in range(len(case.inputs)):
        xs = [Tensor(x, requires_grad=i == j) for j, x in enumerate(case.inputs)]
        y = flat(case.call(*xs))
        found = grad(y, xs[i], seed(y.numel()), allow_unused=True)[0] if y.requires_grad else None
        assert np.array_equal(wanted[i], np.zeros_like(wanted[i]) if found is None else found.data)


@every_differentiable_case
def test_gradients_with_and_without_a_graph_agree(case):
    """One text serves both: fused kernels on arrays, compositions on Tensors."""
    _, plain = gradients(case, list(case.inputs))
    xs = leaves(case)
    y = flat(case.call(*xs))
    if y.requires_grad:
        y.backward(seed(y.numel()), create_graph=True)
    for x, g in zip(xs, plain):
        assert np.allclose(g, 0 if x.grad is None else x.grad.data, rtol=1e-12, atol=1e-13)


@every_differentiable_case
def test_gradients_share_no_memory(case):
    """Adding to one gradient in place, as a second backward does, must not change another, or an input."""
    inputs = [x.copy() for x in case.inputs]
    y, found = gradients(case, inputs)
    others = [*inputs, y]
    for i, g in enumerate(found):
        assert g.flags.writeable
        assert not any(np.shares_memory(g, other) for other in others + found[:i])


@every_differentiable_case
def test_the_upstream_gradient_is_left_alone(case):
    xs = leaves(case)
    y = flat(case.call(*xs))
    upstream = seed(y.numel())
    if y.requires_grad:
        y.backward(upstream)
        assert np.array_equal(upstream, seed(y.numel()))
        assert not any(x.grad is not None and np.shares_memory(x.grad.data, upstream) for x in xs)


@every_differentiable_case
def test_float32_stays_float32(case):
    if (case.op, case.label) == ("to", "float64"):
        return
    wanted, wanted_gradients = gradients(case, list(case.inputs))
    single = [x.astype(np.float32) for x in case.inputs]
    y, found = gradients(case, single)
    assert y.dtype == np.float32
    assert np.allclose(y, wanted, rtol=1e-4, atol=1e-4)
    for g, w in zip(found, wanted_gradients):
        assert g.dtype == np.float32
        assert np.allclose(g, w, rtol=1e-3, atol=1e-3)
    on_arrays = case.call(*single)
    assert flat(on_arrays).dtype == np.float32
