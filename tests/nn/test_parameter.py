import copy

import numpy as np
import pytest

from tinydl import no_grad
from tinydl.nn import Linear, Parameter
from tinydl.nn.parameter import kept
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


# ---- masks


def pruned(values, mask):
    p = Parameter(np.array(values, np.float32))
    p.mask = mask
    return p


def test_a_mask_sets_zeros_at_once_and_after_every_change():
    p = pruned([1, -2, 3], [True, False, True])
    assert p.tolist() == [1, 0, 3]
    assert not np.signbit(p.data[1])
    p.data = np.array([4, 5, 6], np.float32)
    assert p.tolist() == [4, 0, 6]
    with no_grad():
        p += 1
        assert p.tolist() == [5, 0, 7]
        p.copy_([np.nan, np.nan, np.inf])
    np.testing.assert_array_equal(p.data, [np.nan, 0, np.inf])
    p.mask = None
    p.data = np.ones(3, np.float32)
    assert p.tolist() == [1, 1, 1]


def test_a_mask_is_a_copy_and_follows_the_memory_order():
    array = np.arange(24.0).reshape(2, 3, 4).transpose(2, 0, 1)
    mask = array % 2 == 0
    p = Parameter(array)
    p.mask = mask
    assert p.data is array
    assert p.mask.data.argsort(axis=None).shape == (24,)
    np.testing.assert_array_equal(p.data, np.where(np.arange(24).reshape(2, 3, 4).transpose(2, 0, 1) % 2, 0, array))
    mask[...] = False
    assert p.mask.data.sum() == 12
    assert [s // 1 for s in p.mask.data.strides] == [s // 8 for s in p.data.strides]


def test_backward_sees_that_the_mask_changed_a_weight():
    p = Parameter([1.0, 2.0])
    y = (p * p).sum()
    p.mask = [True, False]
    with pytest.raises(RuntimeError, match="in place"):
        y.backward()


def test_gradients_of_pruned_weights_are_true():
    p = pruned([1, 2], [True, False])
    (p * Tensor([3.0, 4.0])).sum().backward()
    assert p.grad.tolist() == [3, 4]


def test_deepcopy_takes_the_mask_along():
    p = pruned([1, 2], [True, False])
    copied = copy.deepcopy(p)
    copied.data = np.ones(2, np.float32)
    assert copied.tolist() == [1, 0]
    copied.mask = [False, True]
    assert p.mask.tolist() == [True, False]


@pytest.mark.parametrize(
    "mask, error, message",
    [
        ([1, 0], TypeError, "mask must have dtype bool, got int64"),
        ([0.5, 1.0], TypeError, "bool, got float64"),
        ([True], ValueError, r"parameter's shape \(2,\), got \(1,\)"),
        ([[True, False]], ValueError, r"got \(1, 2\)"),
    ],
)
def test_what_is_no_mask_is_refused(mask, error, message):
    p = Parameter([1.0, 2.0])
    with pytest.raises(error, match=message):
        p.mask = mask
    assert p.mask is None
    assert p.tolist() == [1, 2]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int8])
def test_every_dtype_is_zeroed(dtype):
    p = Parameter(np.array([[-3, 5]], dtype), requires_grad=False)
    p.mask = [[False, True]]
    assert p.tolist() == [[0, 5]]


def test_another_shape_needs_another_mask():
    p = pruned([1, 2], [True, False])
    with pytest.raises(ValueError, match=r"shape \(2,\).*got \(3,\)"):
        p.data = np.ones(3, np.float32)
    assert p.tolist() == [1, 0]


def test_kept():
    p = pruned([1, 2, 3], [True, False, True])
    assert kept(p, np.array([7, 8, 9])).tolist() == [7, 9]
    array = np.ones(2)
    assert kept(Tensor(array), array) is array


def test_conversions_keep_the_mask():
    layer = Linear(3, 2)
    layer.weight.mask = np.eye(2, 3, dtype=bool)
    layer.double()
    assert layer.weight.dtype == np.float64
    layer.weight.data = np.ones((2, 3))
    assert layer.weight.tolist() == [[1, 0, 0], [0, 1, 0]]
