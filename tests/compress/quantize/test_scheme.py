import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tinydl.compress.quantize import ACTIVATIONS, FIXED, WEIGHTS, Quantizer, Scheme
from tinydl.tensor import Tensor

FLOATS = st.floats(-1e6, 1e6, width=32, allow_subnormal=False)
SCHEMES = [Scheme(bits, symmetric) for bits in range(2, 9) for symmetric in (False, True)]


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
def test_the_integers_are_those_of_the_bits(scheme):
    assert scheme.high == 2 ** (scheme.bits - 1) - 1
    assert scheme.high - scheme.low == (2**scheme.bits - 2 if scheme.symmetric else 2**scheme.bits - 1)


@given(st.sampled_from(SCHEMES), arrays(np.float32, array_shapes(max_dims=3, max_side=5), elements=FLOATS))
def test_the_error_is_at_most_half_a_step_and_zero_is_exact(scheme, x):
    quantizer = scheme.of(x)
    q = quantizer.quantize(x)
    assert q.dtype == np.int8
    assert q.min() >= scheme.low
    assert q.max() <= scheme.high
    back = quantizer.dequantize(q)
    assert back.dtype == np.float32
    # the zero point is rounded: the ends of an affine range may lie half a step outside, and are then clamped
    assert np.abs(back.astype(np.float64) - x).max() <= quantizer.scale * 0.5001 + 1e-6 * np.abs(x).max()
    assert not quantizer.dequantize(quantizer.quantize(np.zeros(1))).any()


@given(st.sampled_from(SCHEMES), arrays(np.float32, (3, 4), elements=FLOATS))
def test_fake_quantization_is_there_and_back(scheme, x):
    quantizer = scheme.of(x)
    assert np.array_equal(quantizer.fake(x), quantizer.dequantize(quantizer.quantize(x)))
    assert np.array_equal(quantizer.fake(Tensor(x)).data, quantizer.fake(x))


@given(st.sampled_from(SCHEMES), FLOATS)
def test_a_constant_array_quantizes_to_itself(scheme, value):
    x = np.full((2, 3), value, np.float32)
    quantizer = scheme.of(x)
    assert np.allclose(quantizer.fake(x), x, rtol=2e-7, atol=3e-36)  # but for what is too small for a scale


def test_the_conventions_of_eight_bits():
    q = ACTIVATIONS.covering(-1.0, 4.1)
    assert (q.scale, q.zero_point) == (np.float32(5.1 / 255), round(-128 + 1.0 / (5.1 / 255)))
    assert ACTIVATIONS.covering(2.0, 5.1).zero_point == -128, "the range is widened to contain 0"
    assert ACTIVATIONS.covering(-5.1, -2.0).zero_point == 127
    w = WEIGHTS.of(np.array([[1.0, -2.0], [0.5, 0.25]]))
    assert np.array_equal(w.scale, np.array([2.0, 0.5], np.float32) / np.float32(127))
    assert w.quantize(np.array([[9.0, -9.0], [9.0, -9.0]])).tolist() == [[127, -127]] * 2
    assert not w.zero_point.any()


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_a_scale_a_channel_is_a_scheme_for_each_channel(axis):
    x = np.random.default_rng(0).standard_normal((3, 4, 5)).astype(np.float32)
    for symmetric in (False, True):
        together = Scheme(5, symmetric, axis).of(x)
        q, fake = together.quantize(x), together.fake(x)
        for i in range(x.shape[axis]):
            alone = Scheme(5, symmetric).of(x.take(i, axis))
            assert np.array_equal(q.take(i, axis), alone.quantize(x.take(i, axis)))
            assert np.array_equal(fake.take(i, axis), alone.fake(x.take(i, axis)))


def test_ties_go_to_even_and_what_is_outside_is_clamped():
    quantizer = Quantizer(Scheme(8), np.float32(1), np.int32(10))
    x = np.array([0.5, 1.5, -0.5, 1e9, -np.inf], np.float32)
    assert quantizer.quantize(x).tolist() == [10, 12, 10, 127, -128]
    assert [float(end) for end in quantizer.real_range] == [-138.0, 117.0]


def test_the_four_fixed_outputs():
    assert {name: (float(q.scale), int(q.zero_point)) for name, q in FIXED.items()} == {
        "softmax": (1 / 256, -128),
        "sigmoid": (1 / 256, -128),
        "tanh": (1 / 128, 0),
        "log_softmax": (1 / 16, 127),
    }


def test_single_and_double_precision_keep_their_dtype():
    quantizer = WEIGHTS.of(np.ones((2, 3)))
    for dtype in (np.float32, np.float64):
        assert quantizer.fake(np.ones((2, 3), dtype)).dtype == dtype


def test_gradients_pass_where_nothing_is_clamped():
    quantizer = Quantizer(Scheme(4, symmetric=True, axis=0), np.array([1.0, 0.1]), np.zeros(2, int))
    x = Tensor([[6.0, -9.0], [0.5, 0.9]], requires_grad=True)
    quantizer.fake(x).sum().backward()
    assert x.grad.data.tolist() == [[1.0, 0.0], [1.0, 0.0]]


@pytest.mark.parametrize("bits", [1, 9, 0, -3])
def test_bits_outside_the_range_are_refused(bits):
    with pytest.raises(ValueError, match="bits must be"):
        Scheme(bits)


def test_what_is_no_number_of_bits_or_axis_is_refused():
    with pytest.raises(TypeError, match="bits must be an integer"):
        Scheme(4.0)
    with pytest.raises(TypeError, match="axis must be an integer or None"):
        Scheme(8, axis="C")
    with pytest.raises(IndexError):
        Scheme(8, axis=2).of(np.ones((2, 3)))


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf, 1e-60])
def test_a_scale_that_is_no_distance_is_refused(scale):
    with pytest.raises(ValueError, match="scale must be positive and finite"):
        Quantizer(Scheme(8), np.array(scale), np.array(0))


def test_zero_points_and_shapes_that_do_not_fit_are_refused():
    one = np.array(1.0)
    for scheme, zero in ((Scheme(8), 128), (Scheme(4), -9), (Scheme(8, symmetric=True), 1), (Scheme(8), 0.5)):
        with pytest.raises(ValueError, match="zero_point must be integers in"):
            Quantizer(scheme, one, np.array(zero))
    with pytest.raises(ValueError, match="must both have 1 axes"):
        Quantizer(Scheme(8, axis=0), one, np.array(0))
    with pytest.raises(ValueError, match=r"axis 0 of x \(3, 2\) must be 2"):
        Scheme(8, axis=0).of(np.ones((2, 2))).quantize(np.ones((3, 2)))


@pytest.mark.parametrize("bounds", [(np.nan, 1.0), (0.0, np.inf), (2.0, 1.0)])
def test_a_range_that_is_none_is_refused(bounds):
    with pytest.raises(ValueError, match="a range must be finite"):
        Scheme(8).covering(*bounds)


def test_nothing_and_nan_are_refused():
    with pytest.raises(ValueError, match="has no range"):
        Scheme(8).of(np.ones((0, 3)))
    with pytest.raises(ValueError, match="x holds NaN"):
        Scheme(8).covering(0, 1).quantize(np.array([np.nan]))


def test_the_rounding_of_numbers_too_small_for_a_scale():
    assert Scheme(8).covering(0, 1e-44).scale == 1.0
