"""A lesson's pictures appear by themselves, and are missed without harm."""

import sys

import pytest

from tinydl.lessons.pictures.easel import picture
from tinydl.lessons.pictures.lesson_01 import downhill, secant_to_tangent


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
