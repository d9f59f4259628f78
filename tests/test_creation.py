"""Tensors out of nothing: shapes, dtypes, ranges, random numbers."""

import re

import numpy as np
import pytest

import tinydl
from tinydl.random import manual_seed


@pytest.mark.parametrize("name", ["zeros", "ones", "rand", "randn"])
def test_sizes_one_by_one_or_as_a_sequence(name):
    make = getattr(tinydl, name)
    assert make(2, 3).shape == make((2, 3)).shape == make([2, 3]).shape == (2, 3)
    assert make().shape == make(()).shape == ()
    assert make(0, 3).shape == (0, 3)
    assert make(np.int64(2)).shape == (2,)
    assert make(2).dtype == make(2, dtype=None).dtype == np.float32
    assert make(2, dtype="float64").dtype == np.float64
    assert make(2, requires_grad=True).requires_grad


def test_values():
    assert tinydl.zeros(2, dtype=int).tolist() == [0, 0]
    assert tinydl.ones(2, dtype=bool).tolist() == [True, True]
    assert tinydl.full((1, 2), 7.5).tolist() == [[7.5, 7.5]]
    assert tinydl.full(2, 7).dtype == np.int64
    assert tinydl.full(2, True).dtype == bool
    assert tinydl.full(2, 7, dtype=np.float32).dtype == np.float32
    assert tinydl.eye(3).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    like = tinydl.Tensor(np.full((2, 3), 5.0))
    assert tinydl.zeros_like(like).tolist() == [[0] * 3] * 2
    assert tinydl.ones_like(like).dtype == np.float64


def test_ranges():
    assert tinydl.arange(4).tolist() == [0, 1, 2, 3]
    assert tinydl.arange(4).dtype == np.int64
    assert tinydl.arange(1, 7, 2).tolist() == [1, 3, 5]
    assert tinydl.arange(3, 0, -1).tolist() == [3, 2, 1]
    assert tinydl.arange(3, 0).tolist() == []
    assert tinydl.arange(0, 1, 0.25).tolist() == [0, 0.25, 0.5, 0.75]
    assert tinydl.arange(0, 1, 0.25).dtype == tinydl.arange(2.0).dtype == np.float32
    assert tinydl.arange(3, dtype="float64").dtype == np.float64
    assert tinydl.linspace(0, 1, 5).tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert tinydl.linspace(2, 3, 1).tolist() == [2]


def test_random_numbers_come_from_the_generator_given_or_the_default_one():
    for make in (
        lambda **g: tinydl.rand(3, 4, **g),
        lambda **g: tinydl.randn(3, 4, **g),
        lambda **g: tinydl.randint(0, 1000, (3, 4), **g),
        lambda **g: tinydl.randperm(20, **g),
    ):
        first, second = (make(generator=np.random.default_rng(1)).tolist() for _ in range(2))
        assert first == second
        seeded = []
        for _ in range(2):
            manual_seed(5)
            seeded.append(make().tolist())
        assert seeded[0] == seeded[1] != first
        assert make().tolist() != make().tolist()


def test_random_numbers_are_what_they_say():
    rng = np.random.default_rng(0)
    uniform, normal = tinydl.rand(10_000, generator=rng).data, tinydl.randn(10_000, generator=rng).data
    assert 0 <= uniform.min() < 0.01
    assert 0.99 < uniform.max() < 1
    assert abs(uniform.mean() - 0.5) < 0.01
    assert abs(normal.mean()) < 0.03
    assert abs(normal.std() - 1) < 0.03
    whole = tinydl.randint(-2, 3, (1000,), generator=rng)
    assert set(whole.tolist()) == {-2, -1, 0, 1, 2}
    assert whole.dtype == np.int64
    assert sorted(tinydl.randperm(10, generator=rng).tolist()) == list(range(10))


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: tinydl.zeros(-1), ValueError, "zeros: sizes must not be negative, got (-1,)"),
        (lambda: tinydl.ones(2.5), TypeError, "ones: sizes must be integers, got (2.5,)"),
        (lambda: tinydl.zeros("ab"), TypeError, "zeros: sizes must be integers"),
        (lambda: tinydl.zeros(2, dtype="float16"), TypeError, "dtype 'float16' is not supported"),
        (lambda: tinydl.full((2, -1), 0), ValueError, "full: sizes must not be negative"),
        (lambda: tinydl.full(2, "a"), TypeError, "has dtype"),
        (lambda: tinydl.randn(2, dtype=int), TypeError, "randn: dtype must be floating, got int64"),
        (lambda: tinydl.rand(2, dtype=bool), TypeError, "rand: dtype must be floating"),
        (lambda: tinydl.ones(2, dtype=int, requires_grad=True), TypeError, "requires_grad needs a float Tensor"),
        (lambda: tinydl.arange(0, 1, 0), ValueError, "arange: step must not be 0"),
        (lambda: tinydl.randint(3, 3, 2), ValueError, "low >= high"),
        (lambda: tinydl.zeros(1 << 40), MemoryError, "zeros: the result (1099511627776,) would take 4,096 GiB"),
        (lambda: tinydl.ones(1 << 20, 1 << 20), MemoryError, "ones: the result"),
        (lambda: tinydl.full((1 << 40,), 1.0), MemoryError, "full: the result"),
        (lambda: tinydl.eye(1 << 20), MemoryError, "eye: the result (1048576, 1048576)"),
        (lambda: tinydl.arange(1 << 40), MemoryError, "arange: the result"),
        (lambda: tinydl.arange(0, 1, 1e-13), MemoryError, "arange: the result"),
        (lambda: tinydl.linspace(0, 1, 1 << 40), MemoryError, "linspace: the result"),
        (lambda: tinydl.randn(1 << 40), MemoryError, "randn: the result"),
        (lambda: tinydl.randint(0, 2, (1 << 40,)), MemoryError, "randint: the result"),
        (lambda: tinydl.randperm(1 << 40), MemoryError, "randperm: the result"),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=re.escape(message)):
        call()
