import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tinydl.plots.figures import new_figure
from tinydl.plots.labels import label_points

NAMES = [f"network_{i}" for i in range(12)]


def overlap(a, b):
    return max(0, min(a.x1, b.x1) - max(a.x0, b.x0)) * max(0, min(a.y1, b.y1) - max(a.y0, b.y0))


def labelled(x, y, names=NAMES):
    panel = new_figure(5, 4).subplots()
    panel.plot(x, y, "o")
    label_points(panel, np.array(x), np.array(y), names, ["black"] * len(names), (np.array(x)[:1], np.array(y)[:1]))
    FigureCanvasAgg(panel.figure).draw()
    return panel, [text for text in panel.texts if text.get_text()]


@pytest.mark.parametrize("seed", range(4))
def test_names_cover_neither_each_other_nor_points_and_stay_inside(seed):
    rng = np.random.default_rng(seed)
    x, y = rng.random(12), rng.random(12)
    panel, texts = labelled(x, y)
    assert [text.get_text() for text in texts] == NAMES
    boxes = [text.get_window_extent() for text in texts]
    for i, box in enumerate(boxes):
        assert sum(overlap(box, other) for other in boxes[:i]) < 0.02 * box.width * box.height
        assert overlap(box, panel.get_window_extent()) > 0.98 * box.width * box.height
        for point in panel.transData.transform(np.column_stack([x, y])):
            assert not box.contains(*point)


def test_points_on_one_spot_get_names_all_around_with_lines():
    panel, texts = labelled([1.0] * 5 + [0.0, 2.0], [1.0] * 5 + [0.0, 2.0], NAMES[:7])
    boxes = [text.get_window_extent() for text in texts]
    assert all(overlap(a, b) < 1 for i, a in enumerate(boxes) for b in boxes[:i])
    moved = [text for text in texts if np.hypot(*text.get_position()) > 9.1]
    assert len([text for text in panel.texts if text.arrow_patch is not None]) == len(moved)


def test_lines_are_kept_clear():
    panel = Figure().subplots()
    panel.set(xlim=(0, 2), ylim=(0, 2))
    x, y = np.array([1.0]), np.array([1.0])
    label_points(panel, x, y, ["name"], ["black"], (np.array([1.0, 2.0, 2.0]), np.array([1.0, 1.0, 2.0])))
    box, (_, level) = panel.texts[0].get_window_extent(), panel.transData.transform([1.0, 1.0])
    assert not box.y0 < level < box.y1 or box.x1 < panel.transData.transform([1.0, 1.0])[0]
