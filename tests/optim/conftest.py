"""Trajectories: an optimizer against its textbook rule, written for one number at a time in plain Python."""

from __future__ import annotations

import numpy as np
import pytest

from tinydl import kernels
from tinydl.tensor import Tensor

STEPS = 30
GRADIENT_MISSING = 4  # every so many steps the second parameter has no gradient


@pytest.fixture(params=["reference", "compiled"])
def backend(request):
    if request.param == "compiled":
        pytest.importorskip("numba")
    with kernels.use(request.param):
        yield request.param


def channels_last(array):
    return np.ascontiguousarray(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


@pytest.fixture
def follows(backend):
    """Check 30 steps: two parameters, one of them channels-last, gradients in another layout, some missing."""

    def check(optimizer_class, rule, **options):
        for dtype, tolerance in ((np.float32, 2e-4), (np.float64, 1e-11)):
            rng = np.random.default_rng(7)
            starts = [
                channels_last(rng.standard_normal((3, 2, 2, 3))).astype(dtype),
                rng.standard_normal(5).astype(dtype),
            ]
            gradients = [rng.standard_normal((STEPS, *start.shape)).astype(dtype) for start in starts]
            parameters = [Tensor(start.copy(order="K"), requires_grad=True) for start in starts]
            strides = [p.data.strides for p in parameters]
            optimizer = optimizer_class(parameters, **options)
            expected = []
            for i, (start, grads) in enumerate(zip(starts, gradients)):
                used = [None if i and t % GRADIENT_MISSING == 2 else grads[t].ravel() for t in range(STEPS)]
                columns = [
                    rule(float(x), [None if g is None else float(g[j]) for g in used], **options)
                    for j, x in enumerate(start.ravel())
                ]
                expected.append(np.array(columns).T.reshape(STEPS, *start.shape))
            for t in range(STEPS):
                for i, p in enumerate(parameters):
                    p.grad = None if i and t % GRADIENT_MISSING == 2 else Tensor(gradients[i][t])
                optimizer.step()
                for p, want in zip(parameters, expected):
                    np.testing.assert_allclose(p.data, want[t], rtol=tolerance, atol=tolerance)
            for p, stride in zip(parameters, strides):
                assert p.dtype == dtype
                assert p.data.strides == stride
                for name, value in optimizer.state[p].items():
                    assert name == "step" or (value.dtype == dtype and value.strides == stride)

    return check


@pytest.fixture
def ends_at(backend):
    """Check where 30 steps on three quadratics end, against committed numbers of PyTorch.

    They were made with PyTorch 2.13.0 (CPU, float64): p = [1, -2, 0.5], and at the steps t = 0…29
    p.grad = p * [1, 3, 0.2] + [0.1, -0.2, 0.3] * t before optimizer.step().
    """

    def check(optimizer_class, options, expected):
        p = Tensor(np.array([1.0, -2.0, 0.5]), requires_grad=True)
        optimizer = optimizer_class([p], **options)
        for t in range(STEPS):
            p.grad = Tensor(p.data * [1.0, 3.0, 0.2] + np.array([0.1, -0.2, 0.3]) * t)
            optimizer.step()
        np.testing.assert_allclose(p.data, expected, rtol=1e-11)

    return check
