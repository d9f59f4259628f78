import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinydl.compress.coding.arithmetic import Decoder, Encoder, decode, encode, fresh


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 2)), max_size=400))
def test_decisions_come_back(decisions):
    encoder, models = Encoder(), fresh(3)
    for bit, kind in decisions:
        encoder.put(bit, models[kind])
    decoder, models = Decoder(encoder.finish()), fresh(3)
    assert [decoder.get(models[kind]) for _, kind in decisions] == [bit for bit, _ in decisions]


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 70).flatmap(lambda k: st.tuples(st.just(k), st.lists(st.integers(0, k - 1), max_size=100))))
def test_symbols_come_back(drawn):
    alphabet, symbols = drawn
    assert decode(encode(np.array(symbols, np.int64), alphabet), len(symbols), alphabet).tolist() == symbols


@pytest.mark.parametrize("p", [0.5, 0.1, 0.01, 0.001])
def test_costs_the_entropy_and_a_few_bytes_of_learning(p):
    bits = (np.random.default_rng(0).random(20_000) < p).astype(int)
    share = bits.mean()
    entropy = -20_000 * (share * np.log2(share) + (1 - share) * np.log2(1 - share)) / 8
    assert entropy - 1 <= len(encode(bits, 2)) <= 1.005 * entropy + 4


@pytest.mark.parametrize("first, second", [(1, 0), (0, 1)])
def test_carries_and_halved_counts(first, second):
    """Long runs move the interval to its ends, where a carry passes through many bytes, and fill the counts."""
    r = np.random.default_rng(0)
    runs = [np.full(40_000, first), np.full(100, second), r.integers(0, 2, 1000), np.full(40_000, second)]
    bits = np.concatenate(runs)
    assert (decode(encode(bits, 2), len(bits), 2) == bits).all()


def test_a_message_that_changes_is_followed():
    """Counts that were never halved would cost 10,000 bytes: half of these bits are 1."""
    assert len(encode(np.repeat([0, 1], 40_000), 2)) < 6000


def test_many_messages_that_end_at_every_state():
    r = np.random.default_rng(1)
    for n in range(300):
        bits = (r.random(n) < r.random()).astype(int)
        data = encode(bits, 2)
        assert (decode(data, n, 2) == bits).all()
        assert not data.endswith(b"\0")


def test_other_bytes_give_some_symbols_or_are_refused():
    r = np.random.default_rng(2)
    outside = 0
    for _ in range(100):
        try:
            assert decode(r.bytes(20), 50, 5).max() < 5
        except ValueError:
            outside += 1
    assert outside
