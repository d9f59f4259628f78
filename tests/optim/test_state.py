import numpy as np
import pytest

from tinydl.optim.state import differences, refuse, spec


def test_differences_lists_all_of_them():
    lines = differences({"a": 1, "b": 2, "c": 3}, {"c": 3, "b": 4, 0: 5})
    assert lines == ["a: missing from the state", "b: 2 here, 4 in the state", "0: not known here"]
    assert differences({"a": 1}, {"a": 1}) == []


def test_spec_tells_dtypes_and_shapes_apart():
    arrays = [np.zeros(2), np.zeros((2, 1)), np.zeros(2, np.float32), np.zeros(())]
    assert len({spec(a) for a in arrays}) == 4


def test_refuse():
    refuse("SGD", [])
    with pytest.raises(ValueError, match="SGD: the state does not fit:\n  one\n  two"):
        refuse("SGD", ["one", "two"])
