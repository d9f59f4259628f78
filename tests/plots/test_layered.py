from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinydl.plots.layered import _crossings, _neighbours, _spread, layout

GAP, SPACE = 20.0, 4.0


@st.composite
def graphs(draw):
    """Boxes of any size with edges from lower to higher numbers, some of them twice."""
    n = draw(st.integers(1, 9))
    pairs = st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)).filter(lambda pair: pair[0] < pair[1])
    edges = draw(st.lists(pairs, max_size=14)) if n > 1 else []
    size = st.floats(1, 50)
    return {i: (draw(size), draw(size)) for i in range(n)}, edges


def extent(sizes, centres, key):
    (x, y), (width, height) = centres[key], sizes[key]
    return x - width / 2, x + width / 2, y - height / 2, y + height / 2


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_boxes_stay_apart_inside_the_frame_and_edges_lead_right(graph):
    sizes, edges = graph
    plan = layout(sizes, edges, GAP, SPACE)
    boxes = {key: extent(sizes, plan.centres, key) for key in sizes}
    for key, (left, right, top, bottom) in boxes.items():
        assert min(left, top) >= -1e-6
        assert right <= plan.width + 1e-6
        assert bottom <= plan.height + 1e-6
        for other in sizes:
            if other != key:
                a = boxes[other]
                assert a[0] > right or a[1] < left or a[2] > bottom + SPACE - 1e-6 or a[3] < top - SPACE + 1e-6
    for start, end in edges:
        assert boxes[start][1] + GAP <= boxes[end][0] + 1e-6


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_routes_join_their_boxes_and_run_through_none(graph):
    sizes, edges = graph
    plan = layout(sizes, edges, GAP, SPACE)
    assert len(plan.routes) == len(edges)
    for (start, end), route in zip(edges, plan.routes):
        first, last = extent(sizes, plan.centres, start), extent(sizes, plan.centres, end)
        assert route[0] == pytest.approx((first[1], plan.centres[start][1]))
        assert route[-1] == pytest.approx((last[0], plan.centres[end][1]))
        assert all(a[0] <= b[0] + 1e-6 for a, b in pairwise(route))
        for x, y in route[1:-1]:
            for key in sizes:
                left, right, top, bottom = extent(sizes, plan.centres, key)
                assert not (left + 1e-6 < x < right - 1e-6 and top < y < bottom)


def test_two_parallel_lines_do_not_cross():
    sizes = dict.fromkeys("abcdef", (10.0, 10.0))
    plan = layout(sizes, [("b", "d"), ("a", "c"), ("c", "e"), ("d", "f")], GAP, SPACE)
    order = {key: plan.centres[key][1] for key in sizes}
    assert (order["a"] < order["b"]) == (order["c"] < order["d"]) == (order["e"] < order["f"])


def test_a_leaf_stands_right_before_what_uses_it():
    plan = layout(dict.fromkeys("abcd", (10.0, 10.0)), [("a", "b"), ("b", "c"), ("d", "c")], GAP, SPACE)
    assert plan.centres["d"][0] == plan.centres["b"][0]


def test_a_chain_is_straight():
    plan = layout({"a": (10, 30), "b": (10, 4), "c": (10, 8)}, [("a", "b"), ("b", "c")], GAP, SPACE)
    assert {y for _, y in plan.centres.values()} == {15.0}


def test_a_circle_is_refused():
    with pytest.raises(ValueError, match="edges form a circle"):
        layout({"a": (1, 1), "b": (1, 1)}, [("a", "b"), ("b", "a")], GAP, SPACE)


def test_crossings_are_counted():
    assert _crossings([["a", "b"], ["x", "y"]], _neighbours([("a", "y"), ("b", "x")])) == 1
    assert _crossings([["a", "b"], ["x", "y"]], _neighbours([("a", "x"), ("b", "y"), ("a", "y")])) == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(-100, 100), st.floats(1, 20)), min_size=1, max_size=7))
def test_spread_is_the_nearest_place_that_keeps_order_and_gaps(rows):
    """No small feasible move of any group of neighbours comes nearer to what is wanted (the problem is convex)."""
    wanted, heights = [w for w, _ in rows], [h for _, h in rows]
    y = _spread(wanted, heights, SPACE)
    least = [(a + b) / 2 + SPACE for a, b in pairwise(heights)]
    assert all(b - a >= gap - 1e-6 for a, b, gap in zip(y, y[1:], least))
    cost = sum((a - w) ** 2 for a, w in zip(y, wanted))
    for start in range(len(y)):
        for stop in range(start + 1, len(y) + 1):
            for step in (-0.01, 0.01):
                moved = [a + step if start <= i < stop else a for i, a in enumerate(y)]
                if all(b - a >= gap for a, b, gap in zip(moved, moved[1:], least)):
                    assert sum((a - w) ** 2 for a, w in zip(moved, wanted)) >= cost - 1e-6
