"""Lesson 9's checks tell right answers from wrong ones, and say what is wrong."""

import numpy as np
import pytest

from tinydl import kernels
from tinydl.lessons import check, solution
from tinydl.lessons.lesson_09 import _IM2COL_MISTAKES, _INPUT_MISTAKES, _WEIGHT_MISTAKES
from tinydl.lessons.pictures.lesson_09 import ladder, patches_and_rows, sheets

IDS = "09.1", "09.2", "09.3"
MISTAKES = [
    (id, likely, mistake)
    for id, table in zip(IDS, (_IM2COL_MISTAKES, _WEIGHT_MISTAKES, _INPUT_MISTAKES))
    for likely, mistake in table.items()
]


def pairs(geometry):
    stride, padding, dilation, groups = geometry
    return (stride, stride), (padding, padding), (dilation, dilation), groups


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
    assert check(id, lambda: 1).status == "wrong"
    assert "`return` missing" in repr(check(id, lambda *arguments: None))


@pytest.mark.parametrize("id, likely, mistake", MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes_are_recognised(id, likely, mistake):
    verdict = check(id, mistake)
    assert verdict.status == "wrong"
    assert dict(verdict.details)["likely"] == likely


def test_an_overwriting_loop_over_views_is_recognised():
    """The learner's own way to make the mistake: `=` into the view in the place of `+=`."""
    from tinydl.lessons.solutions.lesson_09 import blocks, seen

    def overwrites(g, weight, x_shape, stride, padding, dilation, groups):
        n, c_all, height, width = x_shape
        p = padding
        gx = np.zeros((n, c_all, height + 2 * p, width + 2 * p))
        for o, c in blocks(weight.shape, groups):
            for i, j in np.ndindex(*weight.shape[2:]):
                part = np.einsum("nohw,oc->nchw", g[:, o], weight[o, :, i, j])
                seen(gx[:, c], i, j, g.shape[2:], stride, dilation)[...] = part
        return gx[:, :, p : p + height, p : p + width]

    assert "you overwrite where you should add" in repr(check("09.3", overwrites))


def test_the_kernels_are_right_answers_too():
    def by_weight(g, x, shape, *geometry):
        return kernels.conv2d_weight_grad(g, x, shape, *pairs(geometry))

    def by_input(g, weight, shape, *geometry):
        return kernels.conv2d_input_grad(g, weight, shape, *pairs(geometry))

    assert check("09.2", by_weight).status == "right"
    assert check("09.3", by_input).status == "right"


def test_the_picture_shows_the_same_numbers_thrice():
    image, matrix, kernel, result = patches_and_rows.__wrapped__()
    image.figure.draw_without_rendering()
    x, rows, column, y = (np.asarray(ax.images[0].get_array()) for ax in (image, matrix, kernel, result))
    assert (rows[12] == x[2:5, 2:5].ravel()).all()
    assert ((rows @ column)[:, 0] == y.ravel()).all()


def test_sheets_and_ladder():
    first, _ = sheets.__wrapped__({"one": [[1, 2]], "two": [[-3.0]]})
    first.figure.draw_without_rendering()
    assert [text.get_text() for text in first.texts] == ["1", "2"]
    ax = ladder.__wrapped__({"slow": 100.0, "fast": 1.0}, "ms")
    ax.figure.draw_without_rendering()
    ends = [bar.get_x() + bar.get_width() for bar in ax.patches]
    assert ends == pytest.approx([1.0, 100.0])
