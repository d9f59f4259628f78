from __future__ import annotations

import numpy as np
import pytest

from tinydl.data.strokes import SKELETONS, _catmull_rom, _parse, pen


def test_every_digit_is_written_in_several_ways_inside_its_box():
    assert sorted(SKELETONS) == list(range(10))
    for ways in SKELETONS.values():
        assert len(set(ways)) == len(ways) >= 3
        for text in ways:
            joints = np.array([joint for stroke in _parse(text) for joint in stroke])
            assert joints.min() >= 0
            assert joints.max() <= 1
            assert np.ptp(joints[:, 1]) > 0.9  # as high as its box


def test_the_spline_passes_through_its_joints():
    joints = np.random.default_rng(0).random((6, 2))
    points = _catmull_rom(6, 51) @ joints
    np.testing.assert_allclose(points[::10], joints, atol=1e-12)


def test_the_spline_is_the_textbook_one():
    """p(t) of the inner piece from the published matrix, and a straight line stays straight."""
    a, b, c, d = joints = np.random.default_rng(0).random((4, 2))
    t = 0.3
    published = 0.5 * np.array([1, t, t**2, t**3]) @ [[0, 2, 0, 0], [-1, 0, 1, 0], [2, -5, 4, -1], [-1, 3, -3, 1]]
    np.testing.assert_allclose((_catmull_rom(4, 31) @ joints)[13], published @ [a, b, c, d], atol=1e-12)
    line = np.linspace(0, 1, 5)
    np.testing.assert_allclose(_catmull_rom(5, 17) @ line, np.linspace(0, 1, 17), atol=1e-12)


@pytest.mark.parametrize("points", [40, 65])
def test_the_pen_visits_every_joint_and_lifts_only_between_strokes(points):
    ready = pen(points)
    texts = [text for ways in SKELETONS.values() for text in ways]
    assert ready.spline.shape[:2] == (len(texts), points)
    assert ready.down.shape == (len(texts), points - 1)
    np.testing.assert_allclose(ready.spline.sum(2), 1, atol=1e-5)  # weights: moving all joints moves the path
    paths = ready.spline @ ready.joints
    for text, path, down in zip(texts, paths, ready.down):
        strokes = _parse(text)
        assert (down == 0).sum() == len(strokes) - 1
        for stroke in strokes:
            for end in (stroke[0], stroke[-1]):
                assert np.abs(path - end).sum(1).min() < 1e-5


def test_a_shared_joint_keeps_its_corner_closed():
    ready = pen()
    joints = ready.joints + np.random.default_rng(0).normal(0, 0.2, ready.joints.shape).astype(np.float32)
    paths = ready.spline @ joints
    seven = int(np.flatnonzero(ready.digit == 7)[0])
    (lift,) = np.flatnonzero(ready.down[seven] == 0)
    np.testing.assert_allclose(paths[seven, lift], paths[seven, lift + 1], atol=1e-6)
