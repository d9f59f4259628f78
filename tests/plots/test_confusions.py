import numpy as np
import pytest

from tinydl import Tensor, plots


def counted(targets, predictions, n):
    """Count pair by pair: the oracle."""
    counts = [[0] * n for _ in range(n)]
    for t, p in zip(targets, predictions):
        counts[t][p] += 1
    return counts


@pytest.mark.parametrize("seed", range(3))
def test_counts_equal_the_loop(seed):
    rng = np.random.default_rng(seed)
    targets, predictions = rng.integers(0, 7, 200), rng.integers(0, 7, 200)
    counts = plots.confusion_matrix(targets, predictions, 7)
    assert counts.dtype == np.int64
    assert counts.tolist() == counted(targets, predictions, 7)


def test_accepts_tensors_and_small_integers():
    counts = plots.confusion_matrix(Tensor(np.array([0, 1, 2])), np.array([0, 2, 2], np.uint8))
    assert counts.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 1]]


def test_classes_that_never_occur_have_their_row():
    assert plots.confusion_matrix([0], [1], 4).shape == (4, 4)
    assert plots.confusion_matrix([0], [1]).shape == (2, 2)
    ax = plots.confusion([0], [1], ["cat", "dog", "eel"])
    assert np.isfinite(ax.images[0].get_array()).all()


def test_the_picture_shows_counts_and_shares():
    rng = np.random.default_rng(0)
    targets, predictions = rng.integers(0, 4, 50), rng.integers(0, 4, 50)
    counts = np.array(counted(targets, predictions, 4))
    ax = plots.confusion(targets, predictions)
    written = {tuple(int(v) for v in text.get_position()[::-1]): text.get_text() for text in ax.texts}
    assert written == {(t, p): str(n) for (t, p), n in np.ndenumerate(counts) if n}
    np.testing.assert_allclose(ax.images[0].get_array(), 100 * counts / counts.sum(1, keepdims=True))
    wrong = 50 - np.trace(counts)
    assert ax.get_title(loc="left") == f"accuracy {100 - 2 * wrong:.2f} %: {wrong} of 50 wrong"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted", "true")


def test_names_label_both_axes():
    ax = plots.confusion([0, 1], [1, 1], ("cat", "dog"))
    assert (
        [t.get_text() for t in ax.get_xticklabels()] == [t.get_text() for t in ax.get_yticklabels()] == ["cat", "dog"]
    )


def test_many_classes_go_without_numbers():
    labels = np.arange(21)
    assert not plots.confusion(labels, labels).texts
    assert len(plots.confusion(labels[:20], labels[:20]).texts) == 20


@pytest.mark.parametrize(
    "targets, predictions, classes, error, message",
    [
        ([0.0, 1.0], [0, 1], None, TypeError, "targets must be integers, got dtype float32"),
        ([0, 1], [0, 1, 1], None, ValueError, "predictions has 3 rows, needed 2"),
        (
            [0, 1],
            [[0, 1]],
            None,
            ValueError,
            r"predictions must have one axis .* got shape \(1, 2\) \(logits\? use argmax\)",
        ),
        ([0, -1], [0, 1], None, ValueError, "targets must be class indices from 0, got -1"),
        ([0, 2], [0, 1], 2, ValueError, "classes has 2 entries, but class 2 occurs"),
        ([0, 1], [0, 2], ["cat", "dog"], ValueError, "classes has 2 entries, but class 2 occurs"),
        ([], [], None, ValueError, "targets is empty"),
        (["cat"], [0], None, TypeError, "targets has dtype"),
    ],
)
def test_refuses_labels_it_cannot_count(targets, predictions, classes, error, message):
    with pytest.raises(error, match=message):
        plots.confusion(targets, predictions, classes)
