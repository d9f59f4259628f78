import json
import math
from collections import OrderedDict, namedtuple
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinydl.packing import MAX_DEPTH, pack, unpack
from tinydl.tensor import Tensor

DTYPES = "? int8 int16 int32 int64 uint8 uint16 uint32 uint64 float32 float64".split()


def through_json(state):
    tree, arrays = pack(state)
    return unpack(json.loads(json.dumps(tree, allow_nan=False)), arrays)


def identical(a, b):
    """Equal in type, value, order and bits; NaN equals NaN."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return [*map(repr, a)] == [*map(repr, b)] and all(identical(x, y) for x, y in zip(a.values(), b.values()))
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(identical, a, b))
    if isinstance(a, float):
        return repr(a) == repr(b)
    return a == b


arrays = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
)
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | arrays
states = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(states)
def test_everything_comes_back(state):
    assert identical(through_json(state), state)


@pytest.mark.parametrize(
    "state",
    [
        {0: "int", "0": "text"},
        {"dict": [1], "array": {"array": "state['w']"}, "tuple": ({"tuple": ()},), "float": {"float": "nan"}},
        [math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308, 0.1],
        [1, 1.0, True, False, 0, 0.0, 10**40, -(2**127)],
        ["", "\0", "\ud800", "é", '"\\', "nan"],
        {"a": {}, "b": [], "c": (), "d": None, "": [[()]]},
        np.array(3.0),
        [np.zeros((0, 3), np.float32), np.zeros((), bool), np.array([math.nan, math.inf, -0.0])],
        {"x'] [0": np.ones(1), "x": {"y": np.ones(2)}, "x']['y": np.ones(3)},
    ],
)
def test_edges_come_back(state):
    assert identical(through_json(state), state)


def test_the_trees_arrays_are_named_by_the_expression_that_leads_to_them():
    state = {"optimizer": {"state": {0: {"exp_avg": np.ones(1)}}}, "masks": [(np.zeros(2),)]}
    _, arrays = pack(state)
    assert set(arrays) == {"state['optimizer']['state'][0]['exp_avg']", "state['masks'][0][0]"}
    for name, array in arrays.items():
        assert eval(name, {"state": state}) is array


def test_a_foreign_byte_order_becomes_native():
    back = through_json(np.arange(3, dtype=">f4"))
    assert back.dtype == np.dtype("float32")
    assert back.tolist() == [0, 1, 2]


def test_tensors_numpy_numbers_and_subclasses_become_plain():
    Point = namedtuple("Point", "x y")
    state = [Tensor([1.0, 2.0]), np.float32(0.1), np.int8(-3), np.bool_(True), OrderedDict(a=1), Point(1, 2)]
    expected = [np.array([1, 2], np.float32), float(np.float32(0.1)), -3, True, {"a": 1}, (1, 2)]
    assert identical(through_json(state), expected)


@pytest.mark.parametrize(
    "value, words",
    [
        (np.array([None]), r"state\['a'\]\[1\] has dtype object"),
        (np.array(["text"]), "dtype <U4"),
        (np.ones(2, np.complex128), "complex128"),
        (np.ones(2, np.float16), "float16"),
        (np.array([1], "M8[s]"), "datetime64"),
        (np.zeros(2, [("x", "f4")]), "dtype"),
        (1j, r"state\['a'\]\[1\] is a complex"),
        (np.complex64(1), "complex64"),
        (b"bytes", "bytes"),
        ({1, 2}, "set"),
        (Fraction(1, 2), "Fraction"),
        (lambda: None, "function"),
        (object(), "object"),
        ({True: 1}, r"has the key True"),
        ({1.5: 1}, "has the key 1.5"),
        ({(1, 2): 1}, "has the key"),
    ],
)
def test_refuses_and_names_the_place(value, words):
    with pytest.raises(TypeError, match=words):
        pack({"a": [0, value]})


def test_a_state_within_itself_is_refused():
    state = {}
    state["self"] = [state]
    with pytest.raises(ValueError, match=f"deeper than {MAX_DEPTH} levels, or contains itself"):
        pack(state)
    deep = 1
    for _ in range(MAX_DEPTH - 1):
        deep = (deep,)
    assert identical(through_json(deep), deep)
