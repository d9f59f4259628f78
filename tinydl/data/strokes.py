"""Skeletons of handwritten digits: the paths that a pen follows, several ways of writing each.

A skeleton is written as strokes with " / " between them, a stroke as joints "x,y" in hundredths of the digit's box, y
pointing down. The pen draws a Catmull-Rom spline through the joints of a stroke: a smooth curve that passes through
every one of them. Where the pen turns sharply, one stroke ends and the next begins at the same joint; such a joint is
shared, so that the corner stays closed when joints are moved about.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np

from tinydl.shapes import Array

Joint: TypeAlias = tuple[float, float]
Skeleton: TypeAlias = list[list[Joint]]

SKELETONS: dict[int, tuple[str, ...]] = {
    0: (
        "55,0 20,14 4,50 20,87 52,100 82,86 96,50 82,14 50,1",
        "72,8 40,2 12,24 3,60 20,94 55,97 86,70 93,34 70,7 42,12",
        "30,10 6,45 16,86 50,100 84,84 94,45 72,8 34,5",
    ),
    1: (
        "50,0 50,50 50,100",
        "52,0 47,33 50,66 48,100",
        "30,26 42,16 54,0 / 54,0 53,50 52,100",
        "26,24 55,0 / 55,0 54,50 53,98 / 22,100 53,98 86,99",
    ),
    2: (
        "10,26 30,4 66,3 85,26 70,56 36,84 6,98 / 6,98 50,96 96,97",
        "8,20 38,0 76,12 72,45 40,82 14,96 5,84 26,76 58,92 100,90",
        "12,14 45,0 82,16 78,46 45,74 10,93 / 10,93 36,86 64,98 95,90",
    ),
    3: (
        "10,14 44,0 82,13 74,36 36,46 / 36,46 78,54 92,78 60,99 6,90",
        "10,3 50,4 86,2 / 86,2 62,22 42,40 / 42,40 84,50 92,78 52,100 6,90",
        "12,10 46,0 80,16 66,40 36,50 42,43 78,54 88,80 50,100 8,88",
    ),
    4: (
        "24,0 14,28 6,56 / 6,56 48,55 96,50 / 78,6 72,50 66,100",
        "70,0 36,34 2,66 / 2,66 50,66 98,64 / 70,0 69,50 68,100",
        "14,2 8,36 34,54 82,42 / 88,0 82,42 72,100",
    ),
    5: (
        "92,2 56,3 26,3 / 26,3 22,24 18,46 / 18,46 50,36 87,56 82,87 46,100 4,90",
        "92,2 46,4 20,24 44,46 82,62 80,88 44,100 4,92",
        "24,8 20,28 20,44 / 20,44 60,40 86,66 66,95 30,100 6,90 / 26,7 60,5 98,0",
    ),
    6: (
        "78,0 36,24 10,62 22,93 60,98 88,76 68,53 34,58 12,78",
        "50,0 20,36 8,72 30,98 68,94 84,72 60,54 28,66 20,86",
        "90,14 66,0 28,20 8,60 24,94 64,98 88,72 62,50 26,56 10,68",
    ),
    7: (
        "4,6 48,5 92,2 / 92,2 64,44 42,100",
        "6,20 8,5 / 8,5 50,6 94,3 / 94,3 70,50 60,100",
        "4,5 48,5 90,2 / 90,2 66,46 44,100 / 34,52 62,50 90,46",
        "2,14 30,2 62,10 92,2 / 92,2 74,30 60,62 56,100",
    ),
    8: (
        "80,12 46,0 16,16 36,42 72,62 84,84 50,100 14,84 30,58 68,34 80,10",
        "50,2 22,10 20,34 50,46 78,34 76,10 48,1 / 50,46 16,60 14,88 50,100 86,88 84,60 50,46",
        "62,2 28,8 24,30 60,50 80,78 46,100 10,82 30,56 72,30 86,8 60,3",
    ),
    9: (
        "86,16 54,0 16,12 12,40 46,50 78,36 88,14 / 88,14 86,56 78,100",
        "86,14 50,0 14,16 16,42 50,50 84,30 / 86,14 88,52 74,90 40,100 12,92",
        "84,20 50,2 12,20 30,46 72,36 88,8 82,50 56,100",
    ),
}
"""How people write 0 … 9, drawn for this project by eye."""


class Pen(NamedTuple):
    """Every skeleton as arrays, padded to one size: V skeletons, at most K joints, P + 1 points along the path."""

    digit: Array  # (V,) int64: what skeleton v says
    joints: Array  # (V, K, 2) float32: its distinct joints
    spline: Array  # (V, P + 1, K) float32: point p of the path is Σ_k spline[v, p, k] · joints[v, k]
    down: Array  # (V, P) float32: 1 where the pen draws from point p to p + 1, 0 where it is lifted


def pen(points: int = 65) -> Pen:
    """Return all skeletons of `SKELETONS` as arrays whose paths have `points` points each.

    >>> pen(65).spline.shape[1], sorted(set(pen(65).digit.tolist())) == list(range(10))
    (65, True)
    """
    skeletons = [(digit, _parse(text)) for digit, ways in SKELETONS.items() for text in ways]
    most = max(len(_distinct(skeleton)) for _, skeleton in skeletons)
    rows = [_path(skeleton, points, most) for _, skeleton in skeletons]
    joints, spline, down = (np.stack(column).astype(np.float32) for column in zip(*rows))
    return Pen(np.array([digit for digit, _ in skeletons]), joints, spline, down)


def _parse(text: str) -> Skeleton:
    """Return the joints of each stroke of a skeleton, in the unit square."""
    strokes = [[joint.split(",") for joint in stroke.split()] for stroke in text.split("/")]
    return [[(int(x) / 100, int(y) / 100) for x, y in stroke] for stroke in strokes]


def _distinct(skeleton: Skeleton) -> list[Joint]:
    """Return the joints of all strokes, each once, in the order the pen meets them."""
    return list(dict.fromkeys(joint for stroke in skeleton for joint in stroke))


def _path(skeleton: Skeleton, points: int, most: int) -> tuple[Array, Array, Array]:
    """Return (joints, spline, down) of one skeleton; a stroke gets points in proportion to its length."""
    distinct = _distinct(skeleton)
    joints = np.zeros((most, 2))
    joints[: len(distinct)] = distinct
    rows, down = [], []
    for stroke, count in zip(skeleton, _share(skeleton, points)):
        basis = _catmull_rom(len(stroke), count)
        spread = np.zeros((count, most))
        np.add.at(spread.T, [distinct.index(joint) for joint in stroke], basis.T)
        rows.append(spread)
        down += [1.0] * (count - 1) + [0.0]  # the 0: the pen is carried to the next stroke
    return joints, np.concatenate(rows), np.array(down[:-1])


def _share(skeleton: Skeleton, points: int) -> list[int]:
    """Split `points` among the strokes by length, at least 4 each; rounding is settled on the longest."""
    lengths = [np.linalg.norm(np.diff(stroke, axis=0), axis=1).sum() for stroke in skeleton]
    counts = [max(4, round(points * length / sum(lengths))) for length in lengths]
    counts[int(np.argmax(lengths))] += points - sum(counts)
    return counts


def _catmull_rom(joints: int, points: int) -> Array:
    """Return the (points, joints) matrix B that takes joints to points of the uniform Catmull-Rom spline.

    Between joints b and c, with a before and d after them and t from 0 to 1:
    p(t) = ½ · [(2b) + (c − a)·t + (2a − 5b + 4c − d)·t² + (3b − a − 3c + d)·t³]; before the first and after the last
    joint the path is thought to go straight on (a = 2b − c, d = 2c − b).

    Source: Catmull & Rom 1974, "A class of local interpolating splines".
    """
    position = np.linspace(0.0, joints - 1.0, points)
    b = np.minimum(position.astype(int), joints - 2)
    t = (position - b)[:, None]
    beyond = np.zeros((joints + 2, joints))  # row k + 1 is joint k; the first and last are the imagined ones
    beyond[1:-1] = np.eye(joints)
    beyond[0] = 2 * beyond[1] - beyond[2]
    beyond[-1] = 2 * beyond[-2] - beyond[-3]
    A, B, C, D = (beyond[b + k] for k in range(4))
    basis: Array = (2 * B + (C - A) * t + (2 * A - 5 * B + 4 * C - D) * t**2 + (3 * B - A - 3 * C + D) * t**3) / 2
    return basis
