import io
import subprocess
import sys
import types

import numpy as np
import pytest
from matplotlib import pyplot
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tinydl import nn, plots
from tinydl.cost import summary
from tinydl.plots import figures

PICTURES = {
    "curves": lambda ax: plots.curves({"loss": [2, 1]}, ax=ax),
    "histories": lambda ax: plots.histories({"a": {"loss": [2, 1]}}, "loss", ax=ax),
    "confusion": lambda ax: plots.confusion([0, 1], [0, 1], ax=ax),
    "images": lambda ax: plots.images(np.eye(4)[None], ["eye"], ax=ax),
    "mistakes": lambda ax: plots.mistakes(np.eye(4)[None], [0], [1], [[0.2, 0.8]], ax=ax),
    "no mistakes": lambda ax: plots.mistakes(np.eye(4)[None], [1], [1], [[0.2, 0.8]], ax=ax),
    "filters": lambda ax: plots.filters(np.ones((2, 1, 3, 3)), ax=ax),
    "feature_maps": lambda ax: plots.feature_maps(np.ones((2, 3, 3)), ax=ax),
    "ridges": lambda ax: plots.activation_histograms({"fc": np.arange(9.0)}, ax=ax),
    "pareto": lambda ax: plots.pareto(
        {name: {"params": 10.0**i, "accuracy": 90 + i} for i, name in enumerate(["a", "a long name", "another name"])},
        x="params",
        ax=ax,
    ),
    "receptive_fields": lambda ax: plots.receptive_fields(
        summary(nn.Sequential(nn.Conv2d(1, 1, 3), nn.MaxPool2d(2), nn.Conv2d(1, 1, 3, 2, 1)), (1, 12, 12)), ax=ax
    ),
    "heat": lambda ax: plots.activation_histograms([np.arange(9.0)], ax=ax),
}


@pytest.mark.parametrize("name", PICTURES)
def test_draws_on_the_axes_it_is_given(name):
    figure, ax = pyplot.subplots()
    try:
        drawn = PICTURES[name](ax)
        assert (drawn[0] if isinstance(drawn, tuple) else drawn) is ax
        assert pyplot.get_fignums() == [figure.number]
    finally:
        pyplot.close(figure)


@pytest.mark.parametrize("name", PICTURES)
def test_nothing_is_clipped_and_nothing_warns(name):
    """Every text of a new figure lies inside it, and is large enough to read."""
    drawn = PICTURES[name](None)
    figure = (drawn[0] if isinstance(drawn, tuple) else drawn).figure
    assert figure.dpi == figures.DPI <= 90
    assert figure.get_figwidth() * figure.dpi <= 1000
    FigureCanvasAgg(figure).draw()
    for ax in figure.axes:
        texts = [ax.title, ax._left_title, ax.xaxis.label, ax.yaxis.label, *ax.texts]
        for text in [t for t in texts if t.get_text().strip() and t.get_visible() and ax.axison]:
            box = text.get_window_extent()
            assert box.x0 >= -1, text
            assert box.y0 >= -1, text
            assert box.x1 <= figure.bbox.x1 + 1, text
            assert box.y1 <= figure.bbox.y1 + 1, text
            assert text.get_fontsize() >= 5


def test_a_new_figure_is_unknown_to_pyplot_where_nobody_looks():
    assert isinstance(figures.new_figure(2, 1), Figure)
    assert pyplot.get_fignums() == []


def test_a_new_figure_is_pyplots_where_it_is_seen(monkeypatch):
    """With a window (or a notebook's backend) behind pyplot the figure is made there; off screen it is not."""
    made = []

    def figure(**options):
        made.append(options)
        return Figure(**options)

    seen = types.SimpleNamespace(get_backend=lambda: "module://matplotlib_inline.backend_inline", figure=figure)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", seen)
    figures.new_figure(2, 1)
    assert made == [{"figsize": (2, 1), "dpi": 90, "layout": "constrained"}]
    with figures.off_screen():
        figures.new_figure(2, 1)
    plots.save(io.BytesIO(), plots.confusion, [0, 1], [0, 1])
    assert len(made) == 1
    figures.new_figure(2, 1)
    assert len(made) == 2


def test_many_figures_do_not_warn(monkeypatch):
    monkeypatch.setattr(figures, "_viewer", lambda: pyplot)
    try:
        for _ in range(25):
            figures.new_figure(1, 1)
        assert len(pyplot.get_fignums()) == 25
    finally:
        pyplot.close("all")


def test_off_screen_ends_with_its_block_even_after_an_error():
    with pytest.raises(KeyError), figures.off_screen():
        raise KeyError
    assert not figures._nobody_looks.get()


def test_save_writes_what_the_suffix_says(tmp_path):
    for suffix, start in (("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")):
        plots.save(tmp_path / f"picture.{suffix}", plots.curves, {"loss": [2, 1]})
        assert (tmp_path / f"picture.{suffix}").read_bytes().startswith(start)


def test_refuses_axes_that_are_none():
    with pytest.raises(TypeError, match=r"ax must be matplotlib Axes, got \['str'\]"):
        plots.confusion([0], [0], ax=["left"])
    with pytest.raises(ValueError, match="ax must hold 2 Axes, got 1"):
        plots.curves({"loss": [1], "accuracy": [1]}, ax=Figure().subplots())


def test_import_leaves_matplotlib_out():
    code = "import sys, tinydl.plots; print('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "False"
