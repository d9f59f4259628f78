"""Windows against the sets of pixels that they stand for."""

import itertools

from tinydl.cost.window import Seen, Window, joined

WINDOWS = [Window(*w) for w in itertools.product((1, 2, 5), (0, 1, 3), (-2, 0, 1))]


def pixels(window, i):
    return set(range(window.start + i * window.jump, window.start + i * window.jump + window.size))


def test_a_window_of_windows():
    for window, k, s, p in itertools.product(WINDOWS, (1, 2, 3), (1, 2), (0, 1)):
        for d, i in itertools.product((1, 2), range(3)):
            below = set().union(*(pixels(window, i * s - p + j * d) for j in range(k)))
            through = pixels(window.through(k, s, p, d), i)
            assert (min(through), max(through)) == (min(below), max(below))


def test_the_whole_and_the_smallest_that_holds_both():
    for window, n in itertools.product(WINDOWS, (1, 4)):
        every = set().union(*(pixels(window, i) for i in range(n)))
        whole = pixels(window.whole(n), 0)
        assert (min(whole), max(whole)) == (min(every), max(every))
        for other in WINDOWS:
            both = window.joined(other, n)
            for i in range(n):
                assert pixels(both, i) >= pixels(window, i) | pixels(other, i)
            if window.jump == other.jump:
                assert min(pixels(both, 1)) == min(pixels(window, 1) | pixels(other, 1))
                assert max(pixels(both, 1)) == max(pixels(window, 1) | pixels(other, 1))


def test_fields_on_different_axes_join_as_wholes():
    a, b = Seen(2, Window(3, 1, -1)), Seen(None, Window(1, 0, 9))
    height, width = joined([(a, a), (b, a)], (1, 1, 4, 4))
    assert height == Seen(None, Window(11, 0, -1))
    assert width == a
