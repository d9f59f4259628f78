import numpy as np
import pytest

from tinydl import nn
from tinydl.cost.inputs import zeros_for


def test_one_input_several_inputs_and_numbers():
    assert [x.shape for x in zeros_for(nn.ReLU(), (3, 4, 5), 2)] == [(2, 3, 4, 5)]
    assert [x.shape for x in zeros_for(nn.ReLU(), [7], 1)] == [(1, 7)]
    assert [x.shape for x in zeros_for(nn.ReLU(), ((3, 4), [5], ()), 1)] == [(1, 3, 4), (1, 5), (1,)]
    assert [x.shape for x in zeros_for(nn.ReLU(), np.zeros((2, 3)).shape, 1)] == [(1, 2, 3)]


def test_the_dtype_is_the_models():
    assert zeros_for(nn.Linear(2, 2), (2,), 1)[0].dtype == np.float32
    assert zeros_for(nn.Linear(2, 2).double(), (2,), 1)[0].dtype == np.float64
    assert zeros_for(nn.ReLU(), (2,), 1)[0].dtype == np.float32


@pytest.mark.parametrize(
    ("shape", "batch", "error", "message"),
    [
        ((3, 0), 1, ValueError, "input_shape must be at least 1, got 0"),
        ((3, 2.5), 1, TypeError, "input_shape must be an integer of at least 1, got float 2.5"),
        ("3x4", 1, TypeError, "input_shape must be sizes without the batch, like .*got '3x4'"),
        (28, 1, TypeError, "input_shape must be sizes .* got 28"),
        ((), 1, TypeError, r"input_shape must be sizes .* got \(\)"),
        (("ab",), 1, TypeError, "input_shape must be an integer"),
        ((3,), 0, ValueError, "batch must be at least 1, got 0"),
    ],
)
def test_refuses_by_name(shape, batch, error, message):
    with pytest.raises(error, match=message):
        zeros_for(nn.ReLU(), shape, batch)
