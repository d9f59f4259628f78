"""A layered layout for small directed graphs: columns, an order inside each with few crossings, heights.

Four steps: a column for each box by its longest way to the end; stand-ins where an edge passes a column by; an order in
each column by the barycentres of the neighbours; heights as near to the neighbours as the order allows.

Source: Sugiyama, Tagawa & Toda 1981, Methods for visual understanding of hierarchical system structures.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeAlias

Key: TypeAlias = Hashable
Point: TypeAlias = tuple[float, float]

_SWEEPS = 8


class Layout(NamedTuple):
    """Where everything goes, in the units of the sizes.

    Attributes:
        centres: the middle of each box.
        routes: for each edge its points, from the right side of one box to the left side of the other.
        width: of the whole.
        height: of the whole.
    """

    centres: dict[Key, Point]
    routes: list[list[Point]]
    width: float
    height: float


def layout(
    sizes: Mapping[Key, tuple[float, float]], edges: Sequence[tuple[Key, Key]], column_gap: float, row_gap: float
) -> Layout:
    """Place boxes of the given sizes (width, height) so that every edge (from, to) leads from left to right.

    Raises: ValueError when the edges form a circle.

    >>> layout({"a": (10, 4), "b": (10, 4), "c": (10, 4)}, [("a", "c"), ("b", "c")], 20, 2).centres
    {'a': (5.0, 2.0), 'b': (5.0, 8.0), 'c': (35.0, 5.0)}
    """
    columns = _columns(list(sizes), edges)
    chains = [_chain(i, edge, columns) for i, edge in enumerate(edges)]
    depth = 1 + max(columns.values())
    rows: list[list[Key]] = [[] for _ in range(depth)]
    for key in dict.fromkeys([*sizes, *(key for chain in chains for key in chain)]):
        rows[_column_of(key, columns)].append(key)
    links = list(dict.fromkeys(link for chain in chains for link in pairwise(chain)))
    rows = _order(rows, links)
    heights = {key: sizes[key][1] if key in sizes else 0.0 for row in rows for key in row}
    y = _heights(rows, links, heights, row_gap)
    top = min(y[key] - heights[key] / 2 for key in y)
    widths = [max((sizes[key][0] for key in row if key in sizes), default=0.0) for row in rows]
    right_edges = [sum(widths[: c + 1]) + c * column_gap for c in range(depth)]
    centres = {key: (right_edges[columns[key]] - sizes[key][0] / 2, y[key] - top) for key in sizes}
    routes = [_route(chain, sizes, centres, columns, right_edges, widths, y, top) for chain in chains]
    return Layout(centres, routes, right_edges[-1], max(y[key] + heights[key] / 2 for key in y) - top)


class _StandIn(NamedTuple):
    """Where edge number `edge` passes through a column."""

    edge: int
    column: int


def _column_of(key: Key, columns: Mapping[Key, int]) -> int:
    return key.column if isinstance(key, _StandIn) else columns[key]


def _columns(keys: list[Key], edges: Sequence[tuple[Key, Key]]) -> dict[Key, int]:
    """Return the column of each box: the last one is as far right as its longest way to an end is short."""
    waiting = dict.fromkeys(keys, 0)
    inputs: dict[Key, list[Key]] = {key: [] for key in keys}
    for start, end in edges:
        waiting[start] += 1
        inputs[end].append(start)
    steps_left = dict.fromkeys(keys, 0)
    ready = [key for key in keys if not waiting[key]]
    for key in ready:  # grows while it is read: a box is ready when everything it leads to has been seen
        for start in inputs[key]:
            steps_left[start] = max(steps_left[start], steps_left[key] + 1)
            waiting[start] -= 1
            if not waiting[start]:
                ready.append(start)
    if len(ready) < len(keys):
        raise ValueError("edges form a circle: a layered layout needs a graph without one")
    longest = max(steps_left.values())
    return {key: longest - steps for key, steps in steps_left.items()}


def _chain(number: int, edge: tuple[Key, Key], columns: Mapping[Key, int]) -> list[Key]:
    """Return the edge's ends with a stand-in for each column between them."""
    start, end = edge
    return [start, *(_StandIn(number, c) for c in range(columns[start] + 1, columns[end])), end]


# ---- the order inside each column


def _order(rows: list[list[Key]], links: list[tuple[Key, Key]]) -> list[list[Key]]:
    """Sort each column by where its neighbours stand, back and forth; return the order with the fewest crossings."""
    after, before = _neighbours(links), _neighbours([(b, a) for a, b in links])
    best, fewest = rows, _crossings(rows, after)
    for sweep in range(_SWEEPS):
        backwards = sweep % 2 == 0
        rows = _sweep(rows[::-1], after)[::-1] if backwards else _sweep(rows, before)
        crossings = _crossings(rows, after)
        if crossings < fewest or sweep == 0:
            best, fewest = rows, crossings
    return best


def _neighbours(links: list[tuple[Key, Key]]) -> Callable[[Key], list[Key]]:
    table: dict[Key, list[Key]] = {}
    for a, b in links:
        table.setdefault(a, []).append(b)
    return lambda key: table.get(key, [])


def _sweep(rows: list[list[Key]], fixed: Callable[[Key], list[Key]]) -> list[list[Key]]:
    """Return the columns, each sorted by the mean place of its neighbours in the one before; ties keep their order."""
    result = rows[:1]
    for row in rows[1:]:
        place = {key: i for i, key in enumerate(result[-1])}
        mean = {}
        for i, key in enumerate(row):
            near = [place[other] for other in fixed(key)]
            mean[key] = sum(near) / len(near) if near else float(i)
        result.append(sorted(row, key=mean.__getitem__))
    return result


def _crossings(rows: list[list[Key]], after: Callable[[Key], list[Key]]) -> int:
    """Count pairs of links that cross: those whose ends stand in the opposite order."""
    total = 0
    for row, following in pairwise(rows):
        place = {key: i for i, key in enumerate(following)}
        ends = [sorted(place[other] for other in after(key)) for key in row]
        total += sum(a > b for i, upper in enumerate(ends) for lower in ends[i + 1 :] for a in upper for b in lower)
    return total


# ---- heights


def _heights(
    rows: list[list[Key]], links: list[tuple[Key, Key]], heights: Mapping[Key, float], gap: float
) -> dict[Key, float]:
    """Return a height for each key: as near to the mean of its neighbours as order and sizes allow."""
    both = _neighbours(links + [(b, a) for a, b in links])
    y: dict[Key, float] = {}
    for row in rows:
        y.update(zip(row, _spread([0.0] * len(row), [heights[key] for key in row], gap)))
    for sweep in range(2 * _SWEEPS):
        for row in rows if sweep % 2 else reversed(rows):
            wanted = []
            for key in row:
                near = [y[other] for other in both(key)] or [y[key]]
                wanted.append(sum(near) / len(near))
            y.update(zip(row, _spread(wanted, [heights[key] for key in row], gap)))
    return y


def _spread(wanted: list[float], heights: list[float], gap: float) -> list[float]:
    """Return the places nearest to `wanted` (least squares) that keep the order and `gap` between neighbours.

    With y[i] = z[i] + offset[i], the offsets being the places of a tight stack, z only has to be non-decreasing:
    isotonic regression by pooling adjacent violators.

    Source: Barlow et al. 1972, Statistical Inference under Order Restrictions.

    >>> _spread([0.0, 0.0], [4.0, 4.0], 2.0)
    [-3.0, 3.0]
    """
    offsets = [0.0]
    for upper, lower in pairwise(heights):
        offsets.append(offsets[-1] + (upper + lower) / 2 + gap)
    pools: list[tuple[float, int]] = []  # (mean, how many)
    for want, offset in zip(wanted, offsets):
        mean, count = want - offset, 1
        while pools and pools[-1][0] > mean:
            other, many = pools.pop()
            mean, count = (mean * count + other * many) / (count + many), count + many
        pools.append((mean, count))
    z = [mean for mean, count in pools for _ in range(count)]
    return [a + b for a, b in zip(z, offsets)]


def _route(
    chain: list[Key],
    sizes: Mapping[Key, tuple[float, float]],
    centres: Mapping[Key, Point],
    columns: Mapping[Key, int],
    right_edges: list[float],
    widths: list[float],
    y: Mapping[Key, float],
    top: float,
) -> list[Point]:
    """Return the points of an edge: out at the right, straight through each column on the way, in at the left."""
    (x0, y0), (x1, y1) = centres[chain[0]], centres[chain[-1]]
    points = [(x0 + sizes[chain[0]][0] / 2, y0)]
    for key in chain[1:-1]:
        right = right_edges[_column_of(key, columns)]
        points += [(right - widths[_column_of(key, columns)], y[key] - top), (right, y[key] - top)]
    return [*points, (x1 - sizes[chain[-1]][0] / 2, y1)]
