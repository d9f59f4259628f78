import numpy as np
import pytest

from tinydl import nn
from tinydl.tensor import Tensor


def test_rows_are_looked_up_and_gradients_added():
    layer = nn.Embedding(5, 3)
    index = np.array([[0, 4], [4, 2]])
    for given in (index, Tensor(index)):
        layer.zero_grad()
        y = layer(given)
        np.testing.assert_array_equal(y.data, layer.weight.data[index])
        y.sum().backward()
        assert layer.weight.grad.tolist() == [[1] * 3, [0] * 3, [1] * 3, [0] * 3, [2] * 3]


@pytest.mark.parametrize("padding_idx", [2, -3])
def test_the_padding_row_is_zero_and_learns_nothing(padding_idx):
    layer = nn.Embedding(5, 3, padding_idx)
    assert layer.padding_idx == 2
    assert not layer.weight.data[2].any()
    assert layer.weight.data[3].all()
    layer.weight.data[2] = 7
    y = layer(np.array([2, 3, 2]))
    assert y.data[0].tolist() == [7] * 3
    y.sum().backward()
    assert layer.weight.grad.data.sum(1).tolist() == [0, 0, 0, 3, 0]
    assert nn.Embedding(5, 3, 2)(np.array([2])).tolist() == [[0, 0, 0]]


def test_start():
    weight = nn.Embedding(200, 50, generator=np.random.default_rng(0)).weight.data
    assert weight.dtype == np.float32
    assert abs(weight.mean()) < 0.03
    assert abs(weight.std() - 1) < 0.03


@pytest.mark.parametrize("index, error", [([5], IndexError), ([-1], IndexError), ([1.0], TypeError)])
def test_bad_indices_are_refused(index, error):
    with pytest.raises(error, match="embedding: index"):
        nn.Embedding(5, 3)(np.array(index))


@pytest.mark.parametrize(
    "arguments, error, name",
    [
        ((0, 3), ValueError, "num_embeddings"),
        ((3, 0), ValueError, "embedding_dim"),
        ((3, 2, 3), ValueError, "padding_idx"),
        ((3, 2, -4), ValueError, "padding_idx"),
        ((3, 2, float("nan")), TypeError, "padding_idx"),
    ],
)
def test_bad_settings_are_named(arguments, error, name):
    with pytest.raises(error, match=name):
        nn.Embedding(*arguments)
