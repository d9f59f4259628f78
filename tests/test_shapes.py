"""Arithmetic on shapes, by counting, and the text of its errors."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinydl.shapes import (
    MAX_BYTES,
    Contract,
    at_least,
    check_size,
    conv_output_size,
    conv_transpose_output_size,
    normalize_dim,
    normalize_dims,
    pair,
    pool_output_size,
    same_padding,
)

small = st.integers(1, 6)


def test_pairs():
    assert pair(3, "stride") == pair([3, 3], "stride") == pair(np.int64(3), "stride") == (3, 3)
    assert pair((np.int32(1), 2), "stride") == (1, 2)
    assert all(type(n) is int for n in pair(np.array([1, 2]), "stride"))
    for bad in (1.5, "ab", (1,), (1, 2, 3), (1, 2.5), None, (1, None)):
        with pytest.raises(ValueError, match="stride must be an integer or a pair of integers, got"):
            pair(bad, "stride")


def test_lower_bounds():
    assert at_least((1, 2), 1, "stride", "conv2d") == (1, 2)
    with pytest.raises(ValueError, match=re.escape("conv2d: stride must be at least 1, got (1, 0)")):
        at_least((1, 0), 1, "stride", "conv2d")


def test_axes_from_the_front_and_from_the_back():
    assert [normalize_dim(d, 3) for d in (-3, -2, -1, 0, 1, 2)] == [0, 1, 2, 0, 1, 2]
    assert normalize_dim(0, 0) == normalize_dim(-1, 0) == 0
    assert normalize_dims(None, 3) == (0, 1, 2)
    assert normalize_dims(-1, 3) == normalize_dims(np.int64(2), 3) == (2,)
    assert normalize_dims((2, -3), 3) == normalize_dims([0, 2], 3) == (0, 2)
    assert normalize_dims((), 3) == ()
    for bad in (3, -4):
        with pytest.raises(IndexError, match=re.escape(f"sum: dim {bad} is out of range for 3 axes (needs -3…2)")):
            normalize_dims(bad, 3, "sum")
    with pytest.raises(ValueError, match=re.escape("sum: dim (0, -3) names an axis twice")):
        normalize_dims((0, -3), 3, "sum")


def test_sizes_beyond_any_machine():
    assert check_size((1 << 20, 1 << 10), 4, "conv2d") == (1 << 20, 1 << 10)
    assert check_size((1 << 60, 0), 4, "conv2d") == (1 << 60, 0)
    assert check_size((MAX_BYTES // 4,), 4, "zeros") == (MAX_BYTES // 4,)
    with pytest.raises(MemoryError, match=re.escape("zeros: the result (1048576, 1048576) would take 4,096 GiB")):
        check_size((1 << 20, 1 << 20), 4, "zeros")


@settings(deadline=None, max_examples=200)
@given(n=st.integers(1, 20), kernel=small, stride=small, padding=st.integers(0, 3), dilation=st.integers(1, 3))
def test_a_convolution_has_as_many_places_as_its_kernel_fits(n, kernel, stride, padding, dilation):
    starts = range(-padding, n + padding, stride)
    fitting = [start for start in starts if start + dilation * (kernel - 1) < n + padding]
    assert max(conv_output_size(n, kernel, stride, padding, dilation), 0) == len(fitting)


@settings(deadline=None, max_examples=200)
@given(n=st.integers(1, 20), kernel=small, stride=small, dilation=st.integers(1, 2), data=st.data())
def test_in_ceil_mode_a_window_may_hang_over_but_starts_inside(n, kernel, stride, dilation, data):
    padding = data.draw(st.integers(0, kernel // 2))
    size = pool_output_size(n, kernel, stride, padding, dilation, False)
    more = pool_output_size(n, kernel, stride, padding, dilation, True)
    assert size == conv_output_size(n, kernel, stride, padding, dilation)
    if size < 1:
        return
    assert size <= more <= size + 1
    assert (more - 1) * stride < n + padding, "the last window starts inside of x, or of its padding in front"
    end = (size - 1) * stride + dilation * (kernel - 1) + 1
    uncovered = end < n + 2 * padding
    assert (more > size) == (uncovered and size * stride < n + padding)


@settings(deadline=None, max_examples=200)
@given(n=st.integers(1, 12), kernel=small, stride=small, dilation=st.integers(1, 3), data=st.data())
def test_a_transposed_convolution_undoes_the_size(n, kernel, stride, dilation, data):
    padding = data.draw(st.integers(0, dilation * (kernel - 1) // 2))
    for rest in range(stride):
        large = conv_transpose_output_size(n, kernel, stride, padding, rest, dilation)
        assert conv_output_size(large, kernel, stride, padding, dilation) == n


@given(kernel=st.tuples(small, small), dilation=st.tuples(small, small), n=st.integers(1, 20))
def test_same_padding_keeps_the_size(kernel, dilation, n):
    for (before, after), k, d in zip(same_padding(kernel, dilation), kernel, dilation):
        assert after - before in (0, 1)
        assert conv_output_size(n + before + after, k, 1, 0, d) == n


LINEAR = Contract("... I, O I, O -> ... O")
CONV = Contract("N C H W, O C/groups kh kw, O")


def test_contracts_that_hold():
    names = ("x", "weight", "bias")
    LINEAR.check("linear", names, ((2, 5, 3), (4, 3), (4,)), {})
    LINEAR.check("linear", names, ((3,), (4, 3), None), {})
    CONV.check("conv2d", names, ((2, 6, 5, 5), (4, 2, 3, 3), (4,)), {"groups": 3})
    assert Contract("..., ...").trivial
    assert not LINEAR.trivial
    assert CONV.divisor == "groups"
    assert LINEAR.divisor is None


@pytest.mark.parametrize(
    "contract, shapes, options, message",
    [
        (LINEAR, ((2, 3), (4, 5), None), {}, "f: axis I is 3 in x (2, 3) but weight (4, 5) has 5"),
        (LINEAR, ((2, 3), (4, 3), (3,)), {}, "f: axis O is 4 in weight (4, 3) but bias (3,) has 3"),
        (LINEAR, ((2, 3), (4,), None), {}, "f: weight needs 2 axes (O I), got shape (4,)"),
        (LINEAR, ((), (4, 3), None), {}, "f: x needs at least 1 axes (… I), got ()"),
        (CONV, ((2, 6, 5), (4, 2, 3, 3), None), {"groups": 3}, "f: x needs 4 axes (N C H W), got shape (2, 6, 5)"),
        (
            CONV,
            ((2, 6, 5, 5), (4, 2, 3, 3), None),
            {"groups": 2},
            "f: axis C is 6 in x (2, 6, 5, 5) but weight (4, 2, 3, 3) wants 4",
        ),
    ],
)
def test_contracts_that_are_broken(contract, shapes, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        contract.check("f", ("x", "weight", "bias"), shapes, options)
