"""The linear layer's kernels against sums written out, twins against each other, in every layout."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinydl.kernels import threads
from tinydl.kernels.compiled import dot_chain, plan
from tinydl.kernels.compiled import linear as compiled
from tinydl.kernels.reference import linear as reference

TWINS = {"reference": reference, "compiled": compiled}
FLOATS = [np.float32, np.float64]
sizes = st.integers(0, 21)


@pytest.fixture(scope="module", autouse=True, params=[0, compiled.SMALL])
def small(request):
    """Run each test with the tiles for every size, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "SMALL", request.param)
        yield


def operands(m, i, o, dtype, seed=0):
    draw = np.random.default_rng(seed)
    shapes = (m, i), (o, i), (o,), (m, o)
    return [draw.standard_normal(shape).astype(dtype) for shape in shapes]


@pytest.mark.parametrize("twin", TWINS)
def test_sums_written_out(twin):
    x, weight, bias, g = operands(5, 3, 4, np.float64)
    kernels = TWINS[twin]
    y, gx, gw = np.zeros((5, 4)), np.zeros((5, 3)), np.zeros((4, 3))
    for m in range(5):
        for o in range(4):
            y[m, o] = bias[o] + sum(x[m, i] * weight[o, i] for i in range(3))
            for i in range(3):
                gx[m, i] += g[m, o] * weight[o, i]
                gw[o, i] += g[m, o] * x[m, i]
    np.testing.assert_allclose(kernels.linear(x, weight, bias), y, rtol=1e-12)
    np.testing.assert_allclose(kernels.linear(x, weight, None), y - bias, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(kernels.linear_input_grad(g, weight), gx, rtol=1e-12)
    np.testing.assert_allclose(kernels.linear_weight_grad(g, x), gw, rtol=1e-12)


@settings(max_examples=40, deadline=None)
@given(m=sizes, i=sizes, o=sizes, dtype=st.sampled_from(FLOATS), with_bias=st.booleans())
def test_twins_agree(m, i, o, dtype, with_bias):
    x, weight, bias, g = operands(m, i, o, dtype)
    tolerance = {"rtol": 1e-5, "atol": 1e-5} if dtype == np.float32 else {"rtol": 1e-12, "atol": 1e-12}
    for name, arguments in (
        ("linear", (x, weight, bias if with_bias else None)),
        ("linear_input_grad", (g, weight)),
        ("linear_weight_grad", (g, x)),
    ):
        ours, defined = getattr(compiled, name)(*arguments), getattr(reference, name)(*arguments)
        assert ours.dtype == defined.dtype == dtype
        assert ours.shape == defined.shape
        np.testing.assert_allclose(ours, defined, **tolerance)


@pytest.mark.parametrize("m, i, o", [(1, 3000, 40), (5, 2049, 7), (130, 1025, 3), (3, 1040, 130)])
def test_long_sums_are_added_up_in_pieces(m, i, o, monkeypatch):
    monkeypatch.setattr("tinydl.kernels.compiled.dot.GRAIN", 1000)
    x, weight, bias, _ = operands(m, i, o, np.float32)
    exact = x.astype(np.float64) @ weight.astype(np.float64).T + bias
    np.testing.assert_allclose(compiled.linear(x, weight, bias), exact, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("m", [29, 32])
def test_gradients_of_many_rows_are_added_up_in_pieces(m, monkeypatch):
    monkeypatch.setattr(plan, "LONG", 8)
    sweeps = []
    whole = plan.for_whole_gw
    monkeypatch.setattr(plan, "for_whole_gw", lambda *some: sweeps.append(whole(*some)) or sweeps[-1])
    g, x = (np.random.default_rng(0).integers(-4, 5, (m, n)).astype(np.float32) for n in (61, 67))
    np.testing.assert_array_equal(compiled.linear_weight_grad(g, x), g.T @ x)
    for some in sweeps:  # small ones are left to BLAS
        assert [sweep.accumulate for sweep in some] == [0, 1, 1, 1]
    assert len(sweeps) == (compiled.SMALL == 0)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(dtype=st.sampled_from(FLOATS))
def test_every_layout(lay_out, dtype):
    arrays = operands(9, 6, 7, dtype)
    x, weight, bias, g = (lay_out(a) for a in arrays)
    kept = [a.copy() for a in (x, weight, bias, g)]
    np.testing.assert_allclose(compiled.linear(x, weight, bias), reference.linear(*arrays[:3]), rtol=1e-4, atol=1e-5)
    wanted = reference.linear_input_grad(arrays[3], arrays[1])
    np.testing.assert_allclose(compiled.linear_input_grad(g, weight), wanted, rtol=1e-4, atol=1e-5)
    wanted = reference.linear_weight_grad(arrays[3], arrays[0])
    np.testing.assert_allclose(compiled.linear_weight_grad(g, x), wanted, rtol=1e-4, atol=1e-5)
    for before, after in zip(kept, (x, weight, bias, g)):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_inf_propagate(bad):
    x, weight, bias, g = operands(8, 5, 6, np.float32)
    x[2, 1] = g[3, 2] = bad
    assert not np.isfinite(compiled.linear(x, weight, bias)[2]).any()
    assert np.isfinite(np.delete(compiled.linear(x, weight, bias), 2, 0)).all()
    assert not np.isfinite(compiled.linear_input_grad(g, weight)[3]).any()
    assert not np.isfinite(compiled.linear_weight_grad(g, x)[2]).any()


def test_same_bits_each_time_and_close_with_other_threads():
    x, weight, bias, g = operands(128, 300, 200, np.float32)
    before = threads.num_threads()
    found = []
    try:
        for n in (2, 2, 1):
            threads.set_num_threads(n)
            found.append([compiled.linear(x, weight, bias), compiled.linear_weight_grad(g, x)])
    finally:
        threads.set_num_threads(before)
    for first, second, other in zip(*found):
        np.testing.assert_array_equal(first, second)
        np.testing.assert_allclose(first, other, rtol=1e-4, atol=1e-3)


def layers(rng, dtype, *widths):
    """Return a layer for each pair of neighbouring widths: every second one has no bias, or is clamped."""
    made = []
    for k, (i, o) in enumerate(pairwise(widths)):
        bias = None if k % 2 else rng.standard_normal(o).astype(dtype)
        bounds = (-math.inf, math.inf) if k % 3 else (0.0, 5.0)
        made.append((rng.standard_normal((o, i)).astype(dtype), bias, *bounds))
    return made


@settings(max_examples=40, deadline=None)
@given(
    m=st.integers(0, 40),
    widths=st.lists(st.integers(1, 30), min_size=2, max_size=6),
    dtype=st.sampled_from(FLOATS),
    n_threads=st.integers(1, 3),
)
def test_layers_in_a_row_are_one_after_the_other(m, widths, dtype, n_threads):
    rng = np.random.default_rng(0)
    x, chain = rng.standard_normal((m, widths[0])).astype(dtype), layers(rng, dtype, *widths)
    before = threads.num_threads()
    threads.set_num_threads(n_threads)
    try:
        ours, one_by_one = compiled.linear_chain(x, chain), x
        for layer in chain:
            one_by_one = compiled.linear(one_by_one, *layer)
    finally:
        threads.set_num_threads(before)
    np.testing.assert_array_equal(ours, one_by_one)
    np.testing.assert_allclose(ours, reference.linear_chain(x, chain), rtol=1e-3, atol=1e-3)


def test_layers_in_a_row_that_threads_share(monkeypatch):
    monkeypatch.setattr("tinydl.kernels.compiled.dot_chain.GRAIN", 100)
    rng = np.random.default_rng(0)
    x, chain = rng.standard_normal((37, 20), np.float32), layers(rng, np.float32, 20, 40, 7, 30)
    assert len(dot_chain._job.__wrapped__(37, (20, 40, 7, 30), x.dtype, 2).shares) == min(2, threads.num_threads())
    assert dot_chain.pays(37, chain)
    dot_chain._job.cache_clear()
    np.testing.assert_allclose(dot_chain.chain(x, chain), reference.linear_chain(x, chain), rtol=1e-4, atol=1e-4)
    dot_chain._job.cache_clear()


def test_one_kernel_only_for_rows_enough_and_weights_that_fit_into_the_cache():
    def pays(m, *widths):
        return dot_chain.pays(m, layers(np.random.default_rng(0), np.float32, *widths))

    assert pays(32, 784, 256, 128, 10)
    assert not pays(3, 784, 256, 128, 10)
    assert not pays(32, 784, 256)
    assert not pays(32, 784, 512, 10)


def test_layers_in_a_row_of_any_layout(lay_out):
    rng = np.random.default_rng(0)
    x, chain = rng.standard_normal((20, 12), np.float32), layers(rng, np.float32, 12, 9, 8)
    laid_out = [(lay_out(w), None if b is None else lay_out(b), *bounds) for w, b, *bounds in chain]
    found = dot_chain.chain(lay_out(x), laid_out)
    np.testing.assert_allclose(found, reference.linear_chain(x, chain), rtol=1e-4, atol=1e-4)
