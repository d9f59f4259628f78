import heapq

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinydl.compress.coding import huffman

counts = st.lists(st.integers(0, 1000), min_size=1, max_size=40).map(lambda c: np.array(c, np.int64))


def textbook_cost(counts):
    """Return the bits of an unlimited Huffman code: the sums of all merges of the two rarest."""
    heap = [int(c) for c in counts if c]
    heapq.heapify(heap)
    total = 0
    while len(heap) > 1:
        merged = heapq.heappop(heap) + heapq.heappop(heap)
        total += merged
        heapq.heappush(heap, merged)
    return total or int(counts.sum())


@settings(max_examples=200, deadline=None)
@given(counts)
def test_lengths_are_as_good_as_the_textbooks(counts):
    lengths = huffman.code_lengths(counts)
    assert ((lengths > 0) == (counts > 0)).all()
    assert int((lengths * counts).sum()) == textbook_cost(counts)


@settings(max_examples=100, deadline=None)
@given(counts, st.integers(1, 8))
def test_no_word_is_longer_than_the_limit(counts, limit):
    if (counts > 0).sum() > 1 << limit:
        with pytest.raises(ValueError, match="limit must be at least"):
            huffman.code_lengths(counts, limit)
    else:
        lengths = huffman.code_lengths(counts, limit)
        assert lengths.max() <= limit
        assert not counts.any() or huffman.is_complete(lengths)


def test_the_limited_code_is_the_best_of_all():
    """Compare with every set of lengths up to 4 whose Kraft sum is 1."""
    from itertools import product

    counts = np.array([40, 20, 11, 5, 2, 1])
    allowed = (ns for ns in product(range(1, 5), repeat=6) if sum(2.0**-n for n in ns) <= 1)
    best = min(sum(n * c for n, c in zip(ns, counts)) for ns in allowed)
    assert int((huffman.code_lengths(counts, 4) * counts).sum()) == best


def test_fibonacci_counts_would_need_long_words():
    fibonacci = [1, 1]
    while len(fibonacci) < 30:
        fibonacci.append(fibonacci[-1] + fibonacci[-2])
    lengths = huffman.code_lengths(np.array(fibonacci))
    assert lengths.max() == huffman.LIMIT
    assert huffman.is_complete(lengths)


@given(counts)
def test_no_word_begins_another(counts):
    lengths = huffman.code_lengths(counts)
    words = [f"{w:0{n}b}" for w, n in zip(huffman.canonical(lengths), lengths) if n]
    assert not any(a != b and b.startswith(a) for a in words for b in words)
    assert [len(w) for w in words] == [n for n in lengths if n]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 19), max_size=200))
def test_symbols_come_back(symbols):
    array = np.array(symbols, np.int64)
    lengths = huffman.code_lengths(np.bincount(array, minlength=20))
    data = huffman.encode(array, lengths)
    assert huffman.decode(data, len(symbols), lengths).tolist() == symbols


@pytest.mark.parametrize("chunk", [8, 16, 64])
def test_words_across_chunks(chunk, monkeypatch):
    monkeypatch.setattr(huffman, "_CHUNK", chunk)
    symbols = np.random.default_rng(0).geometric(0.2, 500) % 60
    lengths = huffman.code_lengths(np.bincount(symbols, minlength=60))
    assert lengths.max() > 8
    assert (huffman.decode(huffman.encode(symbols, lengths), 500, lengths) == symbols).all()


def test_within_one_percent_of_the_entropy_for_smooth_counts():
    symbols = np.abs(np.random.default_rng(0).standard_normal(50_000) * 10).astype(int)
    counts = np.bincount(symbols)
    p = counts[counts > 0] / 50_000
    entropy = -(p * np.log2(p)).sum()
    assert entropy <= 8 * len(huffman.encode(symbols, huffman.code_lengths(counts))) / 50_000 <= 1.01 * entropy


def test_data_that_ends_too_early_is_refused():
    lengths = np.array([1, 2, 2])
    data = huffman.encode(np.array([1] * 50), lengths)
    for cut in range(len(data)):
        with pytest.raises(ValueError, match="Huffman data"):
            huffman.decode(data[:cut], 50, lengths)
    with pytest.raises(ValueError, match="of 2 bytes cannot hold 4611686018427387904 symbols"):
        huffman.decode(b"ab", 1 << 62, lengths)


@pytest.mark.parametrize(
    "lengths, complete",
    [([1, 1], True), ([1], True), ([2], False), ([1, 2], False), ([1, 1, 1], False), ([0, 0], False), ([16, 1], False)],
)
def test_is_complete(lengths, complete):
    assert huffman.is_complete(np.array(lengths)) is complete
