import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinydl.compress.coding import tensor
from tinydl.compress.coding.places import FULL
from tinydl.compress.coding.wire import FormatError, Reader, number

CODERS = [[], ["huffman"], ["huffman", "arithmetic"]]
shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=6)
arrays = st.sampled_from(tensor.DTYPES).flatmap(lambda dtype: hnp.arrays(dtype, shapes))
palettes = hnp.arrays(np.float32, shapes, elements=st.sampled_from([0.0, 0.0, 0.0, 0.5, -0.5, 0.1, -0.0]))


def round_trip(array, coders=("huffman", "arithmetic"), limit=1 << 20):
    reader = Reader(tensor.encode(array, coders))
    back, left = tensor.decode(reader, limit)
    assert reader.left == 0
    assert left == limit - array.nbytes
    return back


def identical(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@settings(max_examples=200, deadline=None)
@given(arrays | palettes, st.sampled_from(CODERS))
def test_every_bit_comes_back(array, coders):
    assert identical(round_trip(array, coders), array)


@pytest.mark.parametrize("coders", CODERS)
@pytest.mark.parametrize("share", [0.0, 0.001, 0.03, 0.3, 0.97, 1.0])
def test_every_density_comes_back_and_is_small(share, coders):
    r = np.random.default_rng(0)
    array = np.where(r.random((50, 4, 5, 5)) < share, r.choice([0.25, -0.25, 0.1, 2.0], (50, 4, 5, 5)), 0)
    array = array.astype(np.float32)
    assert identical(round_trip(array, coders), array)
    assert len(tensor.encode(array, coders)) <= 40 + array.size * (1 + 2 * share) / 8


def test_sizes_are_those_of_the_format():
    assert len(tensor.encode(np.zeros((100, 100), np.float32), [])) < 20
    noise = np.random.default_rng(0).standard_normal((10, 10)).astype(np.float32)
    assert len(tensor.encode(noise, [])) == 400 + 6
    assert len(tensor.encode(noise.astype(np.float16).astype(np.float32), [])) == 200 + 6
    assert len(tensor.encode(noise.astype(np.float64), [])) == 400 + 6


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.int64, np.uint16, np.uint32, np.uint64])
def test_integers_that_fit_half_the_width_take_half_the_bytes(dtype):
    limits = np.iinfo(np.dtype(f"{np.dtype(dtype).kind}{np.dtype(dtype).itemsize // 2}"))
    odd = np.linspace(limits.min, limits.max, 50, dtype=np.float64)[1:-1].astype(dtype)
    fits = np.concatenate([[limits.min, limits.max], odd]).astype(dtype)
    too_large = fits.copy()
    too_large[7] = int(limits.max) + 1
    for array, size in ((fits, fits.nbytes // 2), (too_large, fits.nbytes)):
        assert identical(round_trip(array), array)
        assert len(tensor.encode(array, [])) <= size + 12
    assert len(tensor.encode(too_large, [])) > fits.nbytes // 2 + 12


def test_layout_and_byte_order_do_not_matter():
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    for other in (array[::-1, :, ::2], np.asfortranarray(array), array.transpose(2, 0, 1), array.astype(">f4")):
        assert identical(round_trip(other), np.ascontiguousarray(other, "=f4"))


def test_the_result_can_be_written_to():
    for array in (np.zeros(9, np.float32), np.ones(9, np.float32), np.arange(9.0)):
        round_trip(array)[...] = 1


def test_special_numbers():
    array = np.array([np.nan, -np.inf, np.inf, -0.0, 0.0, 1e-45, 65520.0, 3.4e38], np.float32)
    assert identical(round_trip(array), array)
    payload = np.array([0x7FC01234, 0xFFC00001], np.uint32).view(np.float32)
    assert identical(round_trip(payload), payload)


HEAD = bytes([0]) + number(1)


@pytest.mark.parametrize(
    "data, words",
    [
        (bytes([11]) + number(0), "dtype number 11"),
        (bytes([0]) + number(33), "33 axes"),
        (HEAD + number(1 << 40), "larger than the 1000 bytes"),
        (bytes([0]) + number(3) + 3 * number(1 << 62), "larger than"),
        (bytes([0]) + number(3) + number(0) + 2 * number(1 << 62), "larger than"),
        (HEAD + number(10) + bytes([FULL, 4]), "no kind of float32 numbers is 4"),
        (bytes([2]) + number(1) + number(10) + bytes([FULL, 2]), "no kind of int8 numbers is 2"),
        (HEAD + number(10) + bytes([FULL, 1]) + number(0), "a palette of no numbers serves 10 places"),
        (HEAD + number(10) + bytes([FULL, 1]) + number(1 << 60), "are announced where 0"),
        (HEAD + number(10) + bytes([FULL, 0]) + b"abc", "40 bytes are announced where 3"),
    ],
)
def test_hostile_bytes_are_refused_before_anything_is_allocated(data, words):
    with pytest.raises(FormatError, match=words):
        tensor.decode(Reader(data), 1000)
