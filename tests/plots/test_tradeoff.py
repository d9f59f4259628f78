import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinydl import plots

NETS = {
    "small": {"params": 1e5, "macs": 1e7, "accuracy": 90.0, "ms": 1.0},
    "bad": {"params": 2e5, "macs": 5e6, "accuracy": 80.0, "ms": 2.0},
    "large": {"params": 3e6, "macs": 1e9, "accuracy": 95.0, "ms": 30.0},
    "unknown": {"params": 1e6, "macs": 1e8, "accuracy": None},
}


def drawn(panel):
    """Return the data of the front's steps, of the other points, of the front's points."""
    return [line.get_xydata().tolist() for line in panel.lines]


numbers = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=8)


@given(numbers, st.booleans())
def test_the_front_is_all_that_is_not_beaten(points, higher):
    cost, value = np.array(points).reshape(-1, 2).T
    front = plots.pareto_front(cost, value, higher).tolist()
    sign = 1 if higher else -1

    def beats(a, b):
        at_least = cost[a] <= cost[b] and sign * value[a] >= sign * value[b]
        return at_least and (cost[a] < cost[b] or sign * value[a] > sign * value[b])

    assert set(front) == {b for b in range(len(cost)) if not any(beats(a, b) for a in range(len(cost)))}
    assert np.all(np.diff(cost[front]) >= 0)


def test_both_costs_on_log_axes_with_the_front_in_steps():
    left, right = plots.pareto(NETS)
    assert (left.get_xscale(), right.get_xscale(), left.get_yscale()) == ("log", "log", "linear")
    steps, others, front = drawn(left)
    assert front == [[1e5, 90], [3e6, 95]]
    assert steps == [[1e5, 90], [3e6, 90], [3e6, 95]]
    assert others == [[2e5, 80]]
    assert drawn(right)[2] == [[5e6, 80], [1e7, 90], [1e9, 95]]
    assert left.get_title(loc="left") == "on the front: small, large"
    assert (left.get_xlabel(), left.get_ylabel(), right.get_xlabel()) == (
        "parameters",
        "accuracy (%)",
        "multiply-adds (MACs)",
    )
    assert [text.get_text() for text in left.texts if text.get_text()] == ["small", "bad", "large"]


def test_of_latency_less_is_better_on_a_log_axis():
    (panel,) = plots.pareto(NETS, "ms", "params")
    assert drawn(panel)[2] == [[1e5, 1.0]]
    assert panel.get_yscale() == "log"
    (panel,) = plots.pareto(NETS, "ms", "params", higher=True)
    assert len(drawn(panel)[2]) == 3
    assert panel.get_yscale() == "linear"


def test_a_long_front_is_counted():
    many = {f"network_{i}": {"params": 10.0**i, "accuracy": i} for i in range(1, 9)}
    assert plots.pareto(many, x="params")[0].get_title(loc="left") == "on the front: 8 of 8"


@pytest.mark.parametrize(
    ("points", "y", "x", "message"),
    [
        ({}, "accuracy", "params", "no network with both 'params' and 'accuracy'"),
        (NETS, "top1", "params", "no network with both 'params' and 'top1'"),
        (NETS, "accuracy", ["params", "seconds"], "no network with both 'seconds' and 'accuracy'"),
        ({"a": {"params": 0, "accuracy": 1}}, "accuracy", "params", r"'params' must be positive.*got \[0.0\]"),
        ({"a": {"params": 1, "accuracy": np.nan}}, "accuracy", "params", "'accuracy' finite"),
    ],
)
def test_refuses_by_name(points, y, x, message):
    with pytest.raises(ValueError, match=message):
        plots.pareto(points, y, x)


def test_a_front_needs_numbers_of_one_length():
    for cost, value in (([1, 2], [1]), ([np.inf], [1]), ([[1]], [[1]])):
        with pytest.raises(ValueError, match="equally many finite numbers"):
            plots.pareto_front(cost, value)
