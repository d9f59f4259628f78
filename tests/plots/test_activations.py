import re
from itertools import pairwise

import numpy as np
import pytest

from tinydl import Tensor, plots
from tinydl.plots.activations import _shares, _span

rng = np.random.default_rng(0)


def numbers(text):
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", text)]


def test_a_ridge_a_layer_from_top_to_bottom():
    layers = {"conv": rng.normal(size=(4, 8)), "relu": np.maximum(rng.normal(size=500), 0), "fc": Tensor(np.ones(3))}
    ax = plots.activation_histograms(layers)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["conv", "relu", "fc"]
    assert ax.yaxis_inverted()
    assert len(ax.collections) == 3
    assert ax.get_xlabel() == "value"


def test_mean_deviation_and_zeros_stand_beside_the_ridge():
    values = np.concatenate([np.zeros(30), rng.normal(2.0, 0.5, 70)])
    ax = plots.activation_histograms({"layer": values})
    mean, sd, zeros = numbers(ax.texts[0].get_text())
    assert mean == pytest.approx(values.mean(), rel=0.05)
    assert sd == pytest.approx(values.std(), rel=0.05)
    assert zeros == 30


def test_what_is_not_finite_is_told_and_left_out():
    ax = plots.activation_histograms({"layer": np.array([1.0, 3.0, np.nan, np.inf])})
    assert numbers(ax.texts[0].get_text()) == [2, 1, 0, 50]
    assert ax.texts[0].get_text().endswith("50 % not finite")


def test_shares_equal_the_loop():
    values, edges = np.array([0.0, 0.0, 0.1, 0.4, 0.5, 0.9, np.nan, 7.0]), np.array([0.0, 0.5, 1.0])
    counted = [sum(low <= v < high and v != 0 for v in values) for low, high in pairwise(edges)]
    assert _shares(values, edges).tolist() == [n / len(values) for n in counted] == [0.25, 0.25]


def test_the_span_holds_the_widest_layer_and_is_never_empty():
    low, high = _span([np.linspace(-1, 1, 101), np.linspace(-8, 2, 101)])
    assert low < -7.9
    assert high > 1.9
    low, high = _span([np.full(5, 3.0)])
    assert low < 3 < high


@pytest.mark.parametrize("values", [np.zeros(5), np.full(5, 3.0), np.array([1, 2, 3]), np.array(True)])
def test_odd_values_are_drawn(values):
    assert len(plots.activation_histograms({"layer": values}).collections) == 1
    assert len(plots.activation_histograms([values, values]).images) == 1


def test_a_list_is_a_heat_map_over_time():
    steps = [rng.normal(0.1 * i, 1.0, 400) for i in range(5)]
    ax = plots.activation_histograms(steps)
    (image,) = ax.images
    assert image.get_array().shape[1] == 5
    np.testing.assert_allclose(image.get_array().sum(axis=0), 100, atol=1.0)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step", "value")
    (mean,) = [line for line in ax.lines if line.get_label() == "mean"]
    np.testing.assert_allclose(mean.get_ydata(), [step.mean() for step in steps])
    dashed = [line.get_ydata() for line in ax.lines if line.get_linestyle() == "--"]
    np.testing.assert_allclose(dashed, [[s.mean() + d * s.std() for s in steps] for d in (-1, 1)])


def test_the_heat_map_names_the_zeros_at_the_end():
    ax = plots.activation_histograms([np.ones(4), np.array([0.0, 0.0, 0.0, 1.0])])
    assert ax.get_title(loc="left").endswith("exact zeros at the end: 75 %")


@pytest.mark.parametrize(
    "layers, message",
    [
        ({}, "layers is empty"),
        ([], "layers is empty"),
        ({"dead": np.full(4, np.nan)}, r"layers\['dead'\] holds no finite number among its 4"),
        ([np.ones(2), np.ones(0)], r"layers\['step 1'\] holds no finite number among its 0"),
    ],
)
def test_refuses_what_cannot_be_drawn(layers, message):
    with pytest.raises(ValueError, match=message):
        plots.activation_histograms(layers)


def test_refuses_text_by_name():
    with pytest.raises(TypeError, match=r"layers\['names'\] has dtype"):
        plots.activation_histograms({"names": np.array(["a"])})
