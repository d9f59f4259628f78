import numpy as np
import pytest

from tinydl.compress.quantize import (
    ACTIVATIONS,
    OBSERVERS,
    Entropy,
    MeanSquare,
    MinMax,
    MovingAverage,
    Percentile,
    Scheme,
)
from tinydl.tensor import Tensor

every_observer = pytest.mark.parametrize("kind", OBSERVERS.values(), ids=OBSERVERS)


def seen_by(observer, *batches):
    for batch in batches:
        observer.observe(np.asarray(batch, np.float32))
    return observer.quantizer()


def outliers(share=1e-3, size=20, n=20_000):
    """Return normal numbers of which a few are as large as `size`."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(n)
    x[: int(share * n)] = size
    return x.astype(np.float32)


def top(quantizer):
    return float(quantizer.real_range[1])


@every_observer
def test_nothing_seen_is_refused(kind):
    observer = kind()
    with pytest.raises(ValueError, match="has seen no numbers: calibration needs at least one batch"):
        observer.quantizer()
    observer.observe(np.ones((0, 3)))
    with pytest.raises(ValueError, match="has seen no numbers"):
        observer.quantizer()


@every_observer
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused_and_not_remembered(kind, bad):
    observer = kind()
    observer.observe(np.ones(3))
    with pytest.raises(ValueError, match=r"batch 1 of shape \(2,\) holds infinities or NaN"):
        observer.observe(np.array([1.0, bad]))
    assert top(observer.quantizer()) == pytest.approx(1.0, rel=0.02)


@every_observer
@pytest.mark.parametrize("value", [0.0, 2.5, -0.3])
def test_a_constant_is_given_back(kind, value):
    x = np.full((2, 3), value, np.float32)
    assert np.allclose(seen_by(kind(), x).fake(x), x, rtol=1e-3)


@every_observer
def test_tensors_count_as_their_arrays(kind):
    x = outliers()
    a, b = kind(), kind()
    a.observe(x)
    b.observe(Tensor(x, requires_grad=True))
    assert a.quantizer().scale == b.quantizer().scale


@pytest.mark.parametrize("kind", [MinMax, Percentile, MeanSquare, Entropy])
def test_batches_in_any_order_make_one_whole(kind):
    x = outliers()
    pieces = np.array_split(x, 7)
    one, other = seen_by(kind(), *pieces), seen_by(kind(), *pieces[::-1])
    assert one.scale == other.scale
    assert one.zero_point == other.zero_point
    assert one.scale == seen_by(kind(), x).scale


def test_min_max_spans_all_and_each_channel():
    x = outliers()
    q = seen_by(MinMax(), x[:10_000], x[10_000:])
    assert q.scale == ACTIVATIONS.of(x).scale
    rows = seen_by(MinMax(Scheme(8, axis=0)), [[1.0, -2.0], [4.0, 0.0]], [[3.0, 0.0], [0.0, -1.0]])
    assert np.allclose(rows.scale * 255, [5.0, 5.0])


def test_a_moving_average_follows_slowly():
    q = seen_by(MovingAverage(decay=0.9), [0.0, 1.0], [-1.0, 11.0])
    assert np.allclose(q.scale * 255, 0.9 * 1 + 0.1 * 11 + 0.1 * 1)
    assert top(seen_by(MovingAverage(), [0.0, 1.0], [0.0, 100.0])) < 2.1


@pytest.mark.parametrize("percent", [50.0, 90.0, 99.0, 100.0])
def test_a_percentile_is_numpys_to_a_bin(percent):
    x = outliers(share=0)
    wanted = np.percentile(np.abs(x), percent)
    q = seen_by(Percentile(Scheme(8, symmetric=True), percent), *np.array_split(x, 3))
    assert q.scale * 127 == pytest.approx(wanted, abs=4.1 / 1024)


def test_zeros_count_in_percentiles():
    x = np.concatenate([np.zeros(900), np.linspace(0.01, 1, 100)])
    assert top(seen_by(Percentile(percent=95), x)) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("kind", [Percentile, MeanSquare, Entropy])
def test_outliers_are_clamped_where_few_integers_make_them_dear(kind):
    x = outliers(share=1e-4, size=20)
    options = {"percent": 99.9} if kind is Percentile else {}
    assert top(seen_by(kind(Scheme(4), **options), x)) < 8
    assert top(seen_by(MinMax(Scheme(4)), x)) > 19


@pytest.mark.parametrize("bits", [3, 4, 6, 8])
def test_the_mean_square_is_the_least_of_a_plain_search(bits):
    x = np.random.default_rng(1).laplace(size=20_000).astype(np.float32)
    scheme = Scheme(bits)
    peak = np.abs(x).max()
    ranges = [(max(x.min(), -t), min(x.max(), t)) for t in np.linspace(0.02, 1, 200) * peak]
    best = min(np.mean((x - scheme.covering(*r).fake(x)) ** 2) for r in ranges)
    found = np.mean((x - seen_by(MeanSquare(scheme), x).fake(x)) ** 2)
    assert found <= 1.02 * best
    assert found < 0.999 * np.mean((x - scheme.of(x).fake(x)) ** 2)


def test_entropy_of_few_numbers_by_hand():
    """Four bins a side, two bits: ranges of 4 bins only, so all is kept; and P = Q where integers are bins."""
    observer = Entropy(Scheme(2, symmetric=True), bins=4)
    observer.observe(np.array([0.5, 1.5, 2.5, -0.5]))
    every = Scheme(2, symmetric=True).covering(-0.5, 2.5)
    # integers −1, 0, 1 with scale 2.5: bins −0.5, 0.5 -> 0; 1.5, 2.5 -> 1; two bins of one number each in both
    assert observer._cost(every) == pytest.approx(0.0)
    observer.observe(np.array([0.5, 0.5]))
    p, q = np.array([1, 3, 1, 1]) / 6, np.array([2, 2, 1, 1]) / 6
    assert observer._cost(every) == pytest.approx(np.sum(p * np.log(p / q)))


def test_entropy_keeps_a_uniform_range_whole_and_cuts_a_long_tail():
    uniform = np.random.default_rng(0).uniform(0, 1, 50_000)
    assert top(seen_by(Entropy(), uniform)) > 0.95
    tail = np.random.default_rng(0).standard_t(2, 50_000)
    assert top(seen_by(Entropy(), tail)) < 0.5 * np.abs(tail).max()


def test_arguments_out_of_range_are_refused():
    for percent in (0.0, 100.1, np.nan):
        with pytest.raises(ValueError, match="percent must be in"):
            Percentile(percent=percent)
    with pytest.raises(ValueError, match="decay must be in"):
        MovingAverage(decay=1.0)
    with pytest.raises(ValueError, match="must be None, got Scheme"):
        Entropy(Scheme(8, axis=0))
    with pytest.raises(ValueError, match="tries must be at least 1"):
        MeanSquare(tries=0)
