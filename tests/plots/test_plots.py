"""Pictures: the numbers in them are right, nothing is left open, bad input is refused by name."""

import sys
from io import BytesIO
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure

from tinydl import Tensor, nn, plots

DRAW = np.random.default_rng(0)
TARGETS, SAID = DRAW.integers(0, 4, 60), DRAW.integers(0, 4, 60)
SHARES = DRAW.dirichlet(np.ones(4), 60)
IMAGES = DRAW.random((60, 6, 5))
HISTORY = [
    {"epoch": e, "train_loss": 1 / e, "validation_loss": 1.1 / e, "validation_accuracy": 0.9 + 0.01 * e, "lr": 0.1}
    for e in (1, 2, 3)
]


def texts(axes):
    return [t.get_text() for t in axes.texts]


def test_confusion_matrix_against_a_loop():
    counts = np.zeros((4, 4), int)
    for t, p in zip(TARGETS, SAID):
        counts[t, p] += 1
    np.testing.assert_array_equal(plots.confusion_matrix(TARGETS, SAID), counts)
    axes = plots.confusion(TARGETS, SAID, ["a", "b", "c", "d"])
    assert [int(text) for text in texts(axes) if text.isdigit()] == [n for n in counts.ravel() if n]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["a", "b", "c", "d"]
    assert axes.get_xlabel() == "predicted"
    assert axes.get_ylabel() == "true"
    assert f"{np.mean(TARGETS == SAID):.2%}".replace("%", " %") in axes.get_title(loc="left") + axes.get_title()


def test_the_worst_mistakes_are_the_worst():
    rows = plots.worst_mistakes(TARGETS, SAID, SHARES, 7)
    wrong = [i for i in range(60) if TARGETS[i] != SAID[i]]
    loss = {i: -np.log(SHARES[i, TARGETS[i]]) for i in wrong}
    assert list(rows) == sorted(wrong, key=lambda i: -loss[i])[:7]
    sheet = plots.mistakes(IMAGES, TARGETS, SAID, SHARES, 7)
    first = rows[0]
    wanted = f"is {TARGETS[first]}, said {SAID[first]} ({100 * SHARES[first, SAID[first]]:.0f} %)"
    assert texts(sheet)[0] == wanted
    assert len(texts(sheet)) == 7
    assert "no mistake among 60 images" in texts(plots.mistakes(IMAGES, TARGETS, TARGETS, SHARES))


def test_curves_and_histories():
    loss, accuracy = plots.curves(HISTORY)
    drawn = {tuple(np.round(line.get_ydata(), 6)) for line in loss.lines}
    assert tuple(np.round([row["train_loss"] for row in HISTORY], 6)) in drawn
    percent = [list(np.round(line.get_ydata(), 6)) for line in accuracy.lines]
    assert [91.0, 92.0, 93.0] in percent
    assert loss.get_xlabel() == accuracy.get_xlabel() == "epoch"
    both = plots.histories({"short": HISTORY[:2], "long": HISTORY})
    assert [t.get_text() for t in both.get_legend().get_texts()] == ["short", "long"]


def test_images_filters_and_feature_maps():
    assert len(texts(plots.images(IMAGES[:12], TARGETS[:12]))) == 12
    weight = DRAW.standard_normal((6, 1, 3, 3))
    axes = plots.filters(weight)
    for kernel, picture in zip(weight, axes.images, strict=True):
        low, high = picture.get_clim()
        assert -low == high == pytest.approx(np.abs(weight).max())
        np.testing.assert_allclose(np.asarray(picture.get_array()), kernel[0], rtol=1e-6)
    maps = DRAW.standard_normal((5, 4, 4))
    pictures = plots.feature_maps(maps).images
    np.testing.assert_allclose([np.asarray(p.get_array()) for p in pictures], maps, rtol=1e-6)


def test_activation_histograms_tell_mean_sd_and_zeros():
    values = np.maximum(DRAW.standard_normal(4000), 0)
    axes = plots.activation_histograms({"relu": values, "raw": DRAW.standard_normal(4000)})
    written = " ".join(texts(axes))
    assert f"{100 * np.mean(values == 0):.0f} %" in written
    assert f"{values.std():.2g}" in written


def numbers_in(svg):
    root = ElementTree.fromstring(str(svg))
    return ["".join(node.itertext()) for node in root.iter() if node.tag.endswith("text")]


def test_graph_shows_ops_values_and_gradients():
    a, b, c = (Tensor(v, requires_grad=True) for v in (2.0, -3.0, 10.0))
    y = (a * b + c).relu() * a
    svg = plots.graph(y, {"a": a, "b": b, "c": c})
    found = numbers_in(svg)
    assert {"a", "b", "c", "×", "+", "relu"} <= set(found)
    assert {"2", "−3", "10", "−6", "4", "8"} <= set(found)
    assert a.grad is None
    y.backward()
    for leaf in (a, b, c):
        assert any(text.startswith("∂") and text.endswith(f"{leaf.grad.item():g}".replace("-", "−")) for text in found)
    with pytest.raises(ValueError, match="freed"):
        plots.graph(y)


def test_graph_of_a_small_model_and_its_limits(tmp_path):
    model = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1))
    loss = model(Tensor(np.ones((1, 2), np.float32))).sum()
    svg = plots.graph(loss, dict(model.named_parameters()))
    svg.save(tmp_path / "graph.svg")
    assert (tmp_path / "graph.svg").read_text(encoding="utf-8").startswith("<svg")
    assert svg._repr_svg_() == str(svg)
    assert str(plots.graph(loss, dict(model.named_parameters()))) == str(svg)
    with pytest.raises(ValueError, match="limit is 2"):
        plots.graph(loss, limit=2)
    with pytest.raises(ValueError, match="no graph"):
        plots.graph(Tensor([1.0]))
    with pytest.raises(TypeError, match="Tensor"):
        plots.graph(3.0)


PICTURES = {
    "curves": (plots.curves, (HISTORY,)),
    "confusion": (plots.confusion, (TARGETS, SAID)),
    "mistakes": (plots.mistakes, (IMAGES, TARGETS, SAID, SHARES)),
    "images": (plots.images, (IMAGES,)),
    "filters": (plots.filters, (np.ones((2, 3, 3, 3)),)),
    "feature_maps": (plots.feature_maps, (IMAGES[:4],)),
    "activation_histograms": (plots.activation_histograms, ({"a": IMAGES},)),
    "histories": (plots.histories, ({"a": HISTORY},)),
}


@pytest.mark.parametrize("name", PICTURES)
def test_each_picture_is_saved_and_leaves_nothing_open(name):
    picture, arguments = PICTURES[name]
    plots.save(file := BytesIO(), picture, *arguments)
    assert file.getvalue()[1:4] == b"PNG"
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or pyplot.get_fignums() == []


def test_a_given_ax_is_drawn_on():
    figure = Figure()
    ax = figure.add_subplot()
    assert plots.confusion(TARGETS, SAID, ax=ax) is ax
    assert plots.images(IMAGES[:4], ax=figure.add_subplot()).figure is figure
    with pytest.raises(TypeError, match="ax must be matplotlib Axes"):
        plots.confusion(TARGETS, SAID, ax=3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: plots.confusion([], []), ValueError, "targets is empty"),
        (lambda: plots.confusion([0.5], [0]), TypeError, "targets must be integers"),
        (lambda: plots.confusion([0, 1], [0]), ValueError, "rows, needed 2"),
        (lambda: plots.mistakes(IMAGES, TARGETS, SAID, SHARES * 5), ValueError, "probabilities"),
        (lambda: plots.mistakes(IMAGES[:3], TARGETS, SAID, SHARES), ValueError, "rows, needed 3"),
        (lambda: plots.images(np.ones(3)), ValueError, "images must be"),
        (lambda: plots.curves([]), ValueError, "history"),
        (lambda: plots.histories({}), ValueError, "runs is empty"),
        (lambda: plots.histories({"a": HISTORY}, "speed"), ValueError, "has no column 'speed'"),
        (lambda: plots.activation_histograms({}), ValueError, "layers is empty"),
        (lambda: plots.activation_histograms({"a": np.array([np.nan])}), ValueError, "no finite number"),
    ],
)
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
