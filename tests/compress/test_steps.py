import numpy as np

from tinydl.compress.steps import Constant, Given, Made, Stored, frozen, option


def test_sources_print_and_compare():
    assert [str(s) for s in (Made(3), Given(0), Stored("a.weight"), Constant(2.0), Constant(np.ones((2, 3))))] == [
        *("%3", "input 0", "a.weight", "2.0", "constant 2×3")
    ]
    assert Made(1) == Made(1) != Made(2)
    assert Constant(1.0) != Constant(1.0)


def test_frozen_tells_what_differs():
    same = {"index": (slice(1, None), np.array([1, 2])), "eps": float("nan"), "none": None}
    assert frozen(same) == frozen({"index": (slice(1, None), np.array([1, 2])), "eps": float("nan"), "none": None})
    others = [np.array([1, 3]), np.array([1.0, 2.0]), np.array([[1, 2]])]
    assert all(frozen(np.array([1, 2])) != frozen(other) for other in others)
    assert frozen(slice(1)) != frozen(slice(2))
    assert frozen(Constant(np.ones(2))) == frozen(Constant(np.ones(2)))
    assert frozen([Made(1), 2]) == frozen((Made(1), 2))


def test_options_are_short():
    assert option((slice(None), None, Ellipsis, slice(None, -1))) == "[:, None, Ellipsis, :-1]"
    assert option(np.zeros((2, 3))) == "array 2×3"
    assert option("none") == "none"
