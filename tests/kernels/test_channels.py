"""Channel shuffle against its equation, twins against each other, in every layout."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinydl.kernels.reference import channels as reference

compiled = pytest.importorskip("tinydl.kernels.compiled.channels")
TWINS = {"reference": reference, "compiled": compiled}


@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize("shape", [(2, 6), (2, 6, 3), (2, 6, 3, 2)])
def test_every_channel_lands_where_the_equation_says(twin, shape, rng):
    x = rng.normal(size=shape).astype(np.float32)
    y = TWINS[twin].channel_shuffle(x, 2)
    for i in range(2):
        for j in range(3):
            np.testing.assert_array_equal(y[:, j * 2 + i], x[:, i * 3 + j])
    np.testing.assert_array_equal(TWINS[twin].channel_shuffle(y, 3), x)


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(0, 3),
    groups=st.integers(1, 5),
    size=st.integers(1, 20),
    side=st.integers(0, 4),
    dtype=st.sampled_from(["float32", "float64", "int64"]),
)
def test_twins_agree(n, groups, size, side, dtype):
    x = np.random.default_rng(0).integers(0, 99, (n, groups * size, side, 3)).astype(dtype)
    ours, defined = compiled.channel_shuffle(x, groups), reference.channel_shuffle(x, groups)
    np.testing.assert_array_equal(ours, defined)
    assert ours.dtype == defined.dtype


def test_layouts(lay_out, rng, n_threads, monkeypatch):
    monkeypatch.setattr("tinydl.kernels.compiled.memory.FEW", 50)
    x = rng.normal(size=(5, 8, 4, 3)).astype(np.float32)
    given_x = lay_out(x)
    y = compiled.channel_shuffle(given_x, 4)
    np.testing.assert_array_equal(y, reference.channel_shuffle(x, 4))
    assert y.transpose(0, 2, 3, 1).flags.c_contiguous
    np.testing.assert_array_equal(given_x, x)


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_joined_images_of_any_layout(lay_out, rng, n_threads, monkeypatch, dim):
    monkeypatch.setattr(compiled, "FEW", 4)
    monkeypatch.setattr("tinydl.kernels.compiled.memory.FEW", 50)
    x = rng.normal(size=(5, 8, 4, 3)).astype(np.float32)
    pieces = [x, lay_out(x), np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1)]
    np.testing.assert_array_equal(compiled.cat(pieces, dim), np.concatenate(pieces, dim))


def test_joined_channels_are_views_of_wider_images(rng, monkeypatch):
    """A part of the channels lies with gaps between the pixels; its copy has none."""
    monkeypatch.setattr(compiled, "FEW", 4)
    monkeypatch.setattr(reference, "cat", None)
    x = rng.normal(size=(2, 4, 3, 12)).astype(np.float32).transpose(0, 3, 1, 2)
    y = compiled.cat([x[:, 5:], x[:, :1], x[:, 3:4]], 1)
    np.testing.assert_array_equal(y, np.concatenate([x[:, 5:], x[:, :1], x[:, 3:4]], 1))
    assert y.transpose(0, 2, 3, 1).flags.c_contiguous


def test_joined_arrays_that_are_no_images(rng):
    for shape in ((3,), (2, 6), (0, 3, 2, 2)):
        x = rng.normal(size=shape)
        np.testing.assert_array_equal(compiled.cat([x, x], 0), np.concatenate([x, x], 0))


@pytest.mark.parametrize("shape", [(5, 8, 4, 3), (1, 1, 1, 1), (0, 3, 2, 2), (2, 6), (3, 7, 2)])
def test_a_pair_whose_channels_are_dealt_out(shape, lay_out, rng, n_threads, monkeypatch):
    monkeypatch.setattr("tinydl.kernels.compiled.memory.FEW", 50)
    a, b = (rng.normal(size=shape).astype(np.float32) for _ in range(2))
    last = np.moveaxis(np.moveaxis(b, 1, -1).copy(), -1, 1)
    wide = np.repeat(last, 3, axis=1)[:, shape[1] :][:, : shape[1]]
    for first, second in ((lay_out(a), last), (lay_out(a), wide), (a, b), (last, last.astype("f8"))):
        y = compiled.shuffled_pair(first, second)
        np.testing.assert_array_equal(y[:, 0::2], first)
        np.testing.assert_array_equal(y[:, 1::2], second)
        assert y.dtype == np.result_type(first, second)
