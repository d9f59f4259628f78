import copy

import numpy as np
import pytest

from tinydl.nn import Parameter
from tinydl.tensor import Tensor


def test_it_is_a_leaf_that_shares_memory():
    array = np.ones(3, np.float32)
    p = Parameter(array)
    assert p.is_leaf
    assert p.requires_grad
    assert p.data is array
    assert not Parameter(array, requires_grad=False).requires_grad


def test_a_result_becomes_a_leaf():
    x = Tensor([1.0], requires_grad=True)
    p = Parameter(x * 2)
    (p * 3).sum().backward()
    assert p.grad.item() == 3
    assert x.grad is None


def test_ops_give_plain_tensors():
    assert type(Parameter([1.0]) * 2) is Tensor


def test_integers_cannot_be_learned():
    with pytest.raises(TypeError, match="float"):
        Parameter(np.arange(3))
    assert Parameter(np.arange(3), requires_grad=False).dtype == np.int64


def test_deepcopy_copies_values_but_no_gradient():
    p = Parameter(np.arange(6.0).reshape(2, 3).T)
    p.grad = Tensor(np.ones((3, 2)))
    twice = copy.deepcopy([p, p])
    assert twice[0] is twice[1]
    assert type(twice[0]) is Parameter
    assert twice[0].grad is None
    assert twice[0].data.strides == p.data.strides
    np.testing.assert_array_equal(twice[0].data, p.data)
    twice[0].data[...] = 0
    assert p.data.any()


def test_repr():
    assert repr(Parameter([1.0])) == "Parameter containing:\ntensor([1.], requires_grad=True)"
