from math import nan

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from tinydl import plots
from tinydl.cost import Profile, TimedRow, Times

ROWS = (
    TimedRow("0", "Conv2d", 3_000_000, Times(4.0, 5.0, 9.0)),
    TimedRow("1", "ReLU", 0, Times(0.0, 1.0, 2.0), fused_inference=True),
    TimedRow("2", "MaxPool2d", 0, Times(2.0, 2.5, 1.0)),
    TimedRow("3", "Linear", 1_000_000, Times(6.0, 7.0, 8.0)),
)
FOUND = Profile("Net", 8, 3, ROWS, Times(0.5, 0.6, 0.7), Times(12.0, 16.0, 20.0), Times(13.0, 17.0, 21.0))


def bars(panel):
    return [(round(bar.get_x(), 6), round(bar.get_width(), 6)) for bar in panel.patches]


def names(panel):
    return [label.get_text() for label in panel.get_yticklabels()]


def test_inference_beside_multiply_adds():
    left, right = plots.profile(FOUND)
    assert names(left) == ["0  Conv2d", "2  MaxPool2d", "3  Linear"]
    assert bars(left) == [(0, 4), (0, 2), (0, 6)]
    assert bars(right) == [(0, 3), (0, 0), (0, 1)]
    assert left.texts[0].get_text() == "0.50 ms: between layers"
    assert left.get_title(loc="left") == "Net: 12.00 ms inference, batch 8"
    assert right.get_title(loc="left") == "layers without MACs: 17 % of the time"
    assert left.get_ylim() == right.get_ylim() == (3.6, -0.6), "the first layer at the top"


def test_a_training_step_is_forward_and_then_backward():
    left, right = plots.profile(FOUND, training=True)
    assert names(left)[:2] == ["0  Conv2d", "1  ReLU"]
    assert bars(left)[:4] == [(0, 5), (0, 1), (0, 2.5), (0, 7)]
    assert bars(left)[4:] == [(5, 9), (1, 2), (2.5, 1), (7, 8)]
    assert left.texts[0].get_text() == "1.30 ms: between layers"
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["forward", "backward"]
    assert left.get_title(loc="left") == "Net: 36.00 ms a training step, batch 8"
    assert right.get_title(loc="left") == "layers without MACs: 18 % of the time"


def test_the_longest_layers_in_their_order_and_the_others_together():
    left, right = plots.profile(FOUND, n=1)
    assert names(left) == ["3  Linear"]
    assert (bars(left), bars(right)) == ([(0, 6)], [(0, 1)])
    assert left.texts[0].get_text() == "6.50 ms: 2 other layers, and what is between"
    assert right.texts[0].get_text() == "3.0 million: these"


def test_calls_that_are_alike_are_still_two():
    twins = Profile("Net", 1, 1, (ROWS[0], ROWS[0], ROWS[3]), *[Times(0.0, 0.0, 0.0)] * 3)
    left, _ = plots.profile(twins, n=2)
    assert bars(left) == [(0, 4), (0, 6)]
    assert left.texts[0].get_text().startswith("4.00 ms: 1 other")


def test_nothing_is_clipped():
    many = tuple(TimedRow(f"features.{i}.conv.0.0", "BatchNorm2d", i, Times(i, i, i)) for i in range(40))
    found = Profile("Net", 1, 1, many, Times(1, 1, 1), Times(1, 1, 1), Times(1, 1, 1))
    left, right = plots.profile(found, training=True)
    FigureCanvasAgg(left.figure).draw()
    assert left.figure.get_figwidth() * left.figure.dpi <= 1000
    for panel in (left, right):
        for text in (panel._left_title, panel.xaxis.label, *panel.get_yticklabels()):
            box = text.get_window_extent()
            assert box.x0 >= -1
            assert box.x1 <= left.figure.bbox.x1 + 1
    assert left.get_window_extent().x1 < right.get_window_extent().x0


def test_refuses_by_name():
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        plots.profile(FOUND, n=0)
    untrained = Profile("Net", 8, 3, ROWS, *[Times(1.0, nan, nan)] * 3)
    with pytest.raises(ValueError, match="no training times"):
        plots.profile(untrained, training=True)
    assert np.isfinite([width for _, width in bars(plots.profile(untrained)[0])]).all()
