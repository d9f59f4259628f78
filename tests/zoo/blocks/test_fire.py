import numpy as np

from tinydl.tensor import Tensor
from tinydl.zoo.blocks import Fire


def test_both_expansions_see_the_squeezed():
    fire = Fire(5, 3, 4, 6)
    assert {name: tuple(p.shape) for name, p in fire.named_parameters()} == {
        "squeeze.weight": (3, 5, 1, 1),
        "squeeze.bias": (3,),
        "expand1x1.weight": (4, 3, 1, 1),
        "expand1x1.bias": (4,),
        "expand3x3.weight": (6, 3, 3, 3),
        "expand3x3.bias": (6,),
    }
    x = Tensor(np.random.default_rng(0).standard_normal((2, 5, 4, 7)).astype(np.float32))
    y = fire(x).data
    assert y.shape == (2, 10, 4, 7)
    squeezed = Tensor(np.maximum(fire.squeeze(x).data, 0))
    np.testing.assert_array_equal(y[:, :4], np.maximum(fire.expand1x1(squeezed).data, 0))
    np.testing.assert_array_equal(y[:, 4:], np.maximum(fire.expand3x3(squeezed).data, 0))
    assert (y[:, :4] > 0).any()
    assert (y[:, 4:] > 0).any()
