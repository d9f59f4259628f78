import numpy as np
import pytest

from tinydl.nn.state import LoadResult, compare, misfits, plain_arrays
from tinydl.tensor import Tensor


def test_plain_arrays():
    arrays = plain_arrays({"a": Tensor([1.0]), "b": [1, 2], "c": np.float64(3)})
    assert {name: (a.dtype.kind, a.shape) for name, a in arrays.items()} == {
        "a": ("f", (1,)),
        "b": ("i", (2,)),
        "c": ("f", ()),
    }


@pytest.mark.parametrize("state", [None, [("a", 1)], {1: np.zeros(1)}, "abc"])
def test_what_is_no_mapping_from_names_is_refused(state):
    with pytest.raises(TypeError, match="state_dict must map names"):
        plain_arrays(state)


def test_compare():
    own, given = {"a": Tensor([1.0]), "b": Tensor([1.0])}, {"b": np.zeros(1), "c": np.zeros(1)}
    assert compare(own, given) == LoadResult(["a"], ["c"])


def test_misfits_lists_shapes_and_kinds_of_dtype():
    own = {"f": Tensor(np.zeros(2, np.float32)), "i": Tensor(np.zeros((), np.int64)), "b": Tensor(np.zeros(1, bool))}
    fitting = {"f": np.zeros(2, np.float64), "i": np.int32(3), "b": np.ones(1, bool), "other": np.zeros(9)}
    assert misfits(own, {name: np.asarray(v) for name, v in fitting.items()}) == []
    lines = misfits(own, {"f": np.zeros((1, 2), np.complex64), "i": np.zeros(()), "b": np.zeros(1, int)})
    assert lines == [
        "f: shape (1, 2) in the state, (2,) here",
        "f: dtype complex64 in the state, float32 here",
        "i: dtype float64 in the state, int64 here",
        "b: dtype int64 in the state, bool here",
    ]


def test_misfits_sees_read_only_memory():
    array = np.zeros(2)
    array.flags.writeable = False
    assert misfits({"w": Tensor(array)}, {"w": np.ones(2)}) == ["w: read-only here"]


def test_result_reads_like_pytorchs():
    assert repr(LoadResult([], [])) == "<All keys matched successfully>"
    assert "missing_keys=['a']" in repr(LoadResult(["a"], []))
