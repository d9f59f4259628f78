"""One default generator: seeded, saved as JSON, restored, never half changed."""

import json

import numpy as np
import pytest

from tinydl.random import default_generator, get_state, manual_seed, set_state


@pytest.fixture(autouse=True)
def keep_the_state():
    state = get_state()
    yield
    set_state(state)


def test_the_same_seed_gives_the_same_numbers():
    generator = manual_seed(3)
    first = generator.random(5)
    assert manual_seed(3) is generator is default_generator()
    assert np.array_equal(generator.random(5), first)
    assert not np.array_equal(manual_seed(4).random(5), first)
    assert np.array_equal(np.random.Generator(np.random.PCG64(3)).random(5), first)


def test_the_state_goes_through_json():
    manual_seed(0)
    default_generator().integers(0, 10, 3, dtype=np.uint32)  # leaves half a draw in the state
    text = json.dumps(get_state())
    first = default_generator().integers(0, 1000, 5, dtype=np.uint32)
    set_state(json.loads(text))
    assert np.array_equal(default_generator().integers(0, 1000, 5, dtype=np.uint32), first)


@pytest.mark.parametrize("seed", [1.5, "1", None, True])
def test_a_seed_is_an_integer(seed):
    with pytest.raises(TypeError, match="seed must be an integer"):
        manual_seed(seed)


def test_a_seed_is_not_negative():
    with pytest.raises(ValueError, match="seed must not be negative, got -1"):
        manual_seed(-1)


def test_other_states_are_refused_and_change_nothing():
    before = get_state()
    incomplete = dict(get_state())
    del incomplete["has_uint32"]
    others = [
        {},
        incomplete,
        {**before, "bit_generator": "MT19937"},
        {**before, "state": {"state": -1, "inc": 1}},
        {**before, "state": {"state": "a", "inc": 1}},
        np.random.MT19937(0).state,
        3,
    ]
    for state in others:
        with pytest.raises(ValueError, match="state is not a PCG64 generator's state"):
            set_state(state)
        assert get_state() == before
