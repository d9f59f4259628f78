import pytest

from tinydl import nn, plots
from tinydl.cost import summary


def drawn(panel):
    return [(bar.get_x(), bar.get_width()) for bar in panel.patches]


def test_each_layer_that_sees_more_has_a_bar_over_what_its_middle_sees():
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3, 2, 1), nn.ReLU(), nn.Conv2d(2, 2, (1, 5), 1, (0, 2)), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    panel = plots.receptive_fields(summary(model, (1, 8, 16)))
    assert drawn(panel) == [(7, 3), (3, 11), (-5, 25)]
    assert [text.get_text() for text in panel.texts] == ["3, steps of 2", "11, steps of 2", "25"]
    assert [label.get_text() for label in panel.get_yticklabels()] == ["0  Conv2d", "2  Conv2d", "3  AdaptiveAvgPool2d"]
    assert [line.get_xdata()[0] for line in panel.lines] == [0, 16]
    assert panel.get_title(loc="left") == "Sequential: up to 25 pixels wide, on an image of 16"
    low, high = panel.get_xlim()
    assert low < -5 < 20 < high


def test_refuses_what_sees_no_image():
    with pytest.raises(ValueError, match="input must be an image"):
        plots.receptive_fields(summary(nn.Linear(3, 2), (3,)))
