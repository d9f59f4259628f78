"""Lesson 10's checks tell right answers from wrong ones, and say what is wrong."""

import numpy as np
import pytest

from tinydl import nn, random, tensor
from tinydl.data import Subset, SyntheticDigits
from tinydl.lessons import check, lesson_10, solution
from tinydl.lessons.lesson_10 import _LAYER_MISTAKES, _SEES_MISTAKES
from tinydl.lessons.pictures.lesson_10 import cover_map, journey, shift_curves

IDS = "10.1", "10.2", "10.3"
MISTAKES = [
    (id, likely, mistake)
    for id, table in zip(IDS, (_LAYER_MISTAKES, _SEES_MISTAKES))
    for likely, mistake in table.items()
]


@pytest.fixture(autouse=True)
def few_digits(monkeypatch):
    """Train on so few digits that it takes a second, and want less; the notebook's own run is held to 98.5 %."""
    digits = SyntheticDigits(3_500)
    piles = Subset(digits, range(3_000)), Subset(digits, range(3_000, 3_500))
    monkeypatch.setattr(lesson_10, "_piles", lambda: piles)
    monkeypatch.setattr(lesson_10, "_LEAST_RIGHT", 0.85)


def convolutions(*between):
    """Return the layers of the solution but the last, with others between."""
    first, second = nn.Conv2d(1, 8, 5), nn.Conv2d(8, 16, 5)
    return [first, nn.MaxPool2d(2), *between, second, nn.MaxPool2d(2), *between, nn.Flatten()]


@pytest.mark.parametrize("id", IDS)
def test_the_solution_is_right_and_the_stub_is_not_attempted(id):
    assert check(id, solution(id).value).status == "right"
    assert check(id, lambda *arguments: ...).status == "not attempted"


@pytest.mark.parametrize("id", IDS)
def test_an_error_is_wrong(id):
    def fails(*arguments):
        return 1 / 0

    assert "ZeroDivisionError" in repr(check(id, fails))
    assert check(id, fails).status == "wrong"
    assert check(id, lambda one, too, many, more, of, them: 1).status == "wrong"
    assert check(id, 3).status == "wrong"
    assert "`return` missing" in repr(check(id, lambda *arguments: None))


@pytest.mark.parametrize("id, likely, mistake", MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes_are_recognised(id, likely, mistake):
    verdict = check(id, mistake)
    assert verdict.status == "wrong"
    assert dict(verdict.details)["likely"] == likely


def test_other_right_ways():
    def real(shape, channels, kernel, stride, padding):
        layer = nn.Conv2d(shape[0], channels, kernel, stride, padding)
        return [*layer(tensor(np.zeros((1, *shape), np.float32))).shape[1:], sum(p.numel() for p in layer.parameters())]

    def backwards(layers):
        size = 1
        for kernel, stride in reversed(layers):
            size = (size - 1) * stride + kernel
        return np.int64(size)

    assert check("10.1", real).status == "right"
    assert check("10.2", backwards).status == "right"


def test_a_net_may_be_a_module_of_ones_own():
    class Own(nn.Module):
        def __init__(self):
            self.conv, self.last = nn.Conv2d(1, 16, 5, stride=2, padding=2), nn.Linear(16 * 7 * 7, 10)

        def forward(self, x):
            return self.last(nn.functional.max_pool2d(nn.functional.relu(self.conv(x)), 2).flatten(1))

    assert check("10.3", Own).status == "right"


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: nn.Sequential(nn.Conv2d(1, 32, 5), nn.Flatten(), nn.Linear(32 * 576, 10)), "of them are in 2.weight"),
        (lambda: nn.Sequential(*convolutions(), nn.Linear(257, 10)), "nn.Linear needs as many inputs as nn.Flatten"),
        (lambda: nn.Sequential(nn.Conv2d(1, 8, 5), nn.Conv2d(9, 10, 5)), "those that come out of the layer before"),
        (lambda: nn.Sequential(nn.Conv2d(1, 10, 5)), "nn.Flatten() makes rows"),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 9)), "shape (2, 10)"),
        (lambda: nn.Sequential(*convolutions(), nn.Linear(256, 10), nn.Softmax(1)), "leave out the softmax"),
        (lambda: nn.Sequential(nn.MaxPool2d(29)), "kernel_size (29, 29) does not fit"),
        (lambda: lambda x: x, "a network is needed"),
        (lambda: nn.Sequential(nn.Flatten(), nn.LSTM(784, 3)), "something else than logits"),
    ],
    ids=range(9),
)
def test_nets_that_are_not_trained_at_all(make, words, monkeypatch):
    monkeypatch.setattr(lesson_10, "_practise", lambda *arguments: pytest.fail("it was trained"))
    verdict = check("10.3", make)
    assert verdict.status == "wrong"
    assert words in repr(verdict)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 12), nn.ReLU(), nn.Linear(12, 10)), "no convolution in it"),
        (lambda: nn.Sequential(*convolutions(), nn.Linear(256, 10)), "nothing bends"),
        (lambda: nn.Sequential(*convolutions(nn.ReLU()), nn.Linear(256, 10), nn.ReLU()), "cuts off every logit"),
        (lambda: nn.Sequential(*convolutions(nn.ReLU()), nn.Linear(256, 10)), "4,006 knobs are left"),
    ],
    ids=range(4),
)
def test_nets_that_are_too_weak(make, words, monkeypatch):
    monkeypatch.setattr(lesson_10, "_LEAST_RIGHT", 1.01)
    verdict = check("10.3", make)
    assert verdict.status == "wrong"
    assert words in repr(verdict)
    assert "% of the validation images are right, 101 % are wanted" in repr(verdict)


def test_the_journey_ends_in_chances_and_draws_no_random_numbers():
    digits = SyntheticDigits(2_000)
    before = random.get_state()
    axes = journey.__wrapped__(digits, digits, 3)
    axes[0].figure.canvas.figure.draw_without_rendering()
    assert random.get_state() == before
    assert len(axes) == 1 + 8 + 16 + 1
    chances = [bar.get_width() for bar in axes[-1].patches]
    assert np.argmax(chances) == digits.labels[3]
    assert sum(chances) == pytest.approx(1)


def test_the_cover_that_hurts_most_is_shown():
    image, margins = np.zeros((28, 28)), np.ones((22, 22))
    image[10:20, 10:20], margins[9, 4] = 255, -2.5
    whole, map_, covered = cover_map.__wrapped__(image, margins, 7)
    whole.figure.draw_without_rendering()
    hidden = np.asarray(covered.images[0].get_array())
    assert (np.argwhere(hidden != image).min(0) == (10, 10)).all()
    assert (np.argwhere(hidden != image).max(0) == (15, 10)).all()
    assert covered.get_title(loc="left").endswith("−2.5")
    left, right, bottom, top = map_.images[0].get_extent()
    assert (left + right, bottom + top) == (27, 27)  # the middle of the map lies over the middle of the image
    assert right - left == 22


def test_the_shift_curves():
    ax = shift_curves.__wrapped__({"conv": [1.0, 0.75], "dense": [1.0, 0.5]})
    ax.figure.draw_without_rendering()
    assert [list(line.get_ydata()) for line in ax.lines] == [[100.0, 75.0], [100.0, 50.0]]
    assert [text.get_text() for text in ax.texts] == ["conv", "dense"]
