"""The lessons' pictures are drawn, and missed without harm."""

import math
import sys

import pytest

from tinydl.lessons.pictures.easel import picture
from tinydl.lessons.pictures.lesson_01 import downhill, secant_to_tangent


def drawn(show, *args):
    axes = show.__wrapped__(*args)
    first = axes[0] if isinstance(axes, (tuple, list)) else axes
    first.figure.draw_without_rendering()
    return first.figure.axes


def test_secant_to_tangent():
    left, right = drawn(secant_to_tangent)
    assert left.get_xlabel() == "x"
    assert right.get_xscale() == right.get_yscale() == "log"
    errors = {round(-math.log10(h)): e for h, e in zip(*right.lines[1].get_data())}
    assert errors[5] < errors[1]
    assert errors[5] < errors[12]


def test_downhill():
    (ax,) = drawn(downhill, lambda w: w * w, [2.0, 1.0, 0.5])
    assert list(ax.lines[1].get_ydata()) == [4.0, 1.0, 0.25]


def test_shown_at_the_end_of_a_cell_returns_nothing():
    assert downhill(lambda w: w * w, [2.0, 1.0]) is None


def test_without_matplotlib_the_lesson_goes_on(monkeypatch, capsys):
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    secant_to_tangent()
    assert capsys.readouterr().out == "(no picture here: matplotlib is not installed)\n"


def test_other_missing_modules_are_not_hidden():
    @picture
    def draw():
        raise ModuleNotFoundError("No module named 'else'", name="else")

    with pytest.raises(ModuleNotFoundError, match="else"):
        draw()
