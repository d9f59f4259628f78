import numpy as np
import pytest

from tinydl import Tensor, plots
from tinydl.plots.sheets import tiles


def texts(ax):
    return [text.get_text() for text in ax.texts]


def corners(ax):
    """Return (left, right, bottom, top) of each tile."""
    return [image.get_extent() for image in ax.images]


@pytest.mark.parametrize("shape", [(6, 5, 8), (6, 1, 5, 8), (6, 3, 5, 8)])
def test_every_image_is_drawn_once_apart_and_in_order(shape):
    stack = np.random.default_rng(0).random(shape)
    ax = plots.images(stack, range(6), columns=4)
    assert texts(ax) == list("012345")
    boxes = corners(ax)
    lefts, bottoms = [box[0] for box in boxes], [box[2] for box in boxes]
    assert lefts[:4] == sorted(lefts[:4])
    assert lefts[4:] == lefts[:2]
    assert bottoms[0] == bottoms[3] > bottoms[4] == bottoms[5]
    for left, right, bottom, top in boxes:
        assert np.isclose((top - bottom) / (right - left), 5 / 8)
        for other in boxes:
            apart = other[0] >= right or other[1] <= left or other[2] >= top or other[3] <= bottom
            assert apart or tuple(other) == (left, right, bottom, top)


def test_images_share_one_scale_and_keep_their_pixels():
    stack = np.stack([np.full((2, 2), 10, np.uint8), np.full((2, 2), 20, np.uint8), np.full((2, 2), 30, np.uint8)])
    drawn = plots.images(Tensor(stack)).images
    assert [float(image.get_array()[0, 0]) for image in drawn] == [0.0, 0.5, 1.0]
    assert {image.get_clim() for image in drawn} == {(0.0, 1.0)}


def test_a_constant_sheet_is_drawn():
    assert len(plots.images(np.zeros((2, 4, 4))).images) == 2


@pytest.mark.parametrize("count", range(1, 40))
def test_rows_fill_well_and_nothing_is_left_over(count):
    ax, _ = tiles(None, np.zeros((count, 2, 2)))
    columns = len({box[0] for box in corners(ax)})
    rows = len({box[2] for box in corners(ax)})
    assert len(ax.images) == count
    assert rows <= columns < 4 * rows
    assert (rows - 1) * columns < count <= rows * columns


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((np.zeros((4, 4)),), r"images must be \(N, H, W\), .* got shape \(4, 4\)"),
        ((np.zeros((2, 2, 4, 4)),), r"images must be .* got shape \(2, 2, 4, 4\)"),
        ((np.zeros((0, 4, 4)),), r"images is empty: shape \(0, 4, 4\)"),
        ((np.zeros((3, 4, 4)), [1, 2]), "labels has 2 entries for 3 images"),
    ],
)
def test_images_refuse_other_shapes(arguments, message):
    with pytest.raises(ValueError, match=message):
        plots.images(*arguments)


# ---- the worst mistakes


def guesses(seed, rows=80, classes=5):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(classes), rows)
    return rng.integers(0, classes, rows), p.argmax(1), p


@pytest.mark.parametrize("seed", range(3))
def test_the_worst_mistakes_are_the_worst(seed):
    targets, predictions, p = guesses(seed)
    losses = {i: -np.log(p[i, targets[i]]) for i in range(80) if targets[i] != predictions[i]}
    expected = sorted(losses, key=losses.get, reverse=True)
    assert plots.worst_mistakes(targets, predictions, p, 10).tolist() == expected[:10]
    assert plots.worst_mistakes(targets, predictions, p, 1000).tolist() == expected


def test_each_mistake_has_its_own_image_and_title():
    targets, predictions, p = guesses(0)
    stack = np.arange(80.0)[:, None, None] * np.ones((1, 3, 3))
    ax = plots.mistakes(stack, targets, predictions, p, 6)
    rows = plots.worst_mistakes(targets, predictions, p, 6)
    assert texts(ax) == [f"is {targets[i]}, said {predictions[i]} ({100 * p[i].max():.0f} %)" for i in rows]
    scale = (stack[rows] - stack[rows].min()) / (stack[rows].max() - stack[rows].min())
    np.testing.assert_allclose([image.get_array()[0, 0] for image in ax.images], scale[:, 0, 0], rtol=1e-6)


def test_the_title_is_as_in_the_manual():
    p = np.full((1, 10), 0.03 / 9)
    p[0, 9] = 0.97
    assert texts(plots.mistakes(np.eye(4)[None], [4], [9], p)) == ["is 4, said 9 (97 %)"]


def test_long_names_take_a_second_line():
    ax = plots.mistakes(np.eye(4)[None], [0], [1], [[0.2, 0.8]], classes=["T-shirt/top", "Pullover"])
    assert texts(ax) == ["is T-shirt/top,\nsaid Pullover (80 %)"]


def test_without_mistakes_it_says_so():
    ax = plots.mistakes(np.zeros((2, 4, 4)), [0, 1], [0, 1], np.eye(2))
    assert texts(ax) == ["no mistake among 2 images"]


def test_a_probability_of_nothing_is_the_worst():
    assert plots.worst_mistakes([0, 0], [1, 1], [[0.1, 0.9], [0.0, 1.0]]).tolist() == [1, 0]


@pytest.mark.parametrize(
    "change, error, message",
    [
        (
            {"probabilities": [[3.0, -1.0], [0.0, 1.0]]},
            ValueError,
            r"probabilities must be \(N, C\) with entries in 0…1",
        ),
        ({"probabilities": [[np.nan, 1.0], [0.0, 1.0]]}, ValueError, "probabilities must be"),
        ({"probabilities": [0.1, 0.9]}, ValueError, r"probabilities must be \(N, C\)"),
        ({"targets": [0, 2]}, ValueError, "probabilities has 2 columns, but class 2 occurs"),
        ({"targets": [0]}, ValueError, "targets has 1 rows, needed 2"),
        ({"predictions": [0.0, 1.0]}, TypeError, "predictions must be integers"),
        ({"images": np.zeros((3, 4, 4))}, ValueError, "targets has 2 rows, needed 3"),
        ({"n": 0}, ValueError, "n must be at least 1, got 0"),
        ({"classes": ["cat"]}, ValueError, "classes has 1 entries, but class 1 occurs"),
    ],
)
def test_mistakes_refuse_by_name(change, error, message):
    good = {
        "images": np.zeros((2, 4, 4)),
        "targets": [0, 1],
        "predictions": [1, 1],
        "probabilities": [[0.4, 0.6], [0.0, 1.0]],
    }
    with pytest.raises(error, match=message):
        plots.mistakes(**good | change)
