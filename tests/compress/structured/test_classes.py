import numpy as np

from tinydl.compress.structured.classes import Classes, thin


def test_joining_is_transitive_and_the_smallest_label_stands_for_the_class():
    classes = Classes()
    a, b, c = classes.new(3), classes.new(3), classes.new(1)
    classes.join(b, c)
    classes.join(a[1:], b[1:])
    assert classes.of(a).tolist() == [0, 1, 1]
    assert classes.of(b).tolist() == [1, 1, 1]
    assert classes.of(c).tolist() == [1]


def test_arrays_broadcast_and_stay_thin():
    classes = Classes()
    channels = np.broadcast_to(classes.new(2)[:, None, None], (2, 3, 4))
    other = np.broadcast_to(classes.new(2)[:, None, None], (2, 3, 4))
    classes.join(channels, other)
    found = classes.of(other)
    assert found.shape == (2, 3, 4)
    assert thin(found).shape == (2, 1, 1)
    assert found[:, 0, 0].tolist() == [0, 1]
    classes.join(channels, channels[:1])
    assert set(classes.of(other).ravel().tolist()) == {0}


def test_a_pin_holds_for_the_whole_class_whenever_it_was_joined():
    classes = Classes()
    a, b = classes.new(2), classes.new(2)
    classes.pin(b[:1])
    classes.join(a, b)
    assert classes.pinned() == {0}


def test_long_chains_need_no_recursion():
    classes = Classes()
    labels = classes.new(30_000)
    for i in range(29_999, 0, -1):
        classes._parent[i] = i - 1
    assert classes.of(labels[-1:]).tolist() == [0]
