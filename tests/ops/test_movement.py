"""What moves elements, against NumPy's own words for it and loops."""

import numpy as np
import pytest

from tinydl import ops
from tinydl.tensor import Tensor


@pytest.fixture
def x():
    return np.arange(24.0).reshape(2, 3, 4)


def test_shapes(x):
    t = Tensor(x)
    assert t.reshape(4, -1).shape == (4, 6)
    assert t.reshape((6, 4)).shape == t.view(6, 4).shape == (6, 4)
    assert t.view_as(Tensor(np.zeros((3, 8)))).shape == (3, 8)
    assert t.flatten().shape == (24,)
    assert t.flatten(1).shape == (2, 12)
    assert t.flatten(0, 1).shape == (6, 4)
    assert t.unsqueeze(0).shape == (1, 2, 3, 4)
    assert t.unsqueeze(-1).shape == (2, 3, 4, 1)
    assert t[:1].squeeze(0).shape == (3, 4)
    assert t[:1, :, :1].squeeze().shape == (3,)
    assert t.squeeze(1).shape == t.shape
    assert t[:1, :, :1].squeeze((0, -1)).shape == (3,)


def test_axes(x):
    t = Tensor(x)
    assert np.array_equal(t.permute(2, 0, 1).data, x.transpose(2, 0, 1))
    assert np.array_equal(t.permute((-1, 0, -2)).data, x.transpose(2, 0, 1))
    assert np.array_equal(t.transpose(0, -1).data, x.swapaxes(0, 2))
    assert np.array_equal(t.T.data, x.T)
    assert np.array_equal(t.mT.data, x.swapaxes(1, 2))
    assert np.array_equal(t[0].t().data, x[0].T)
    assert t[0, 0].t().shape == (4,)
    assert np.array_equal(t.flip((0, 2)).data, x[::-1, :, ::-1])


def test_every_permutation_goes_back(x):
    t = Tensor(x, requires_grad=True)
    t.permute(2, -3, 1).backward(np.arange(24.0).reshape(4, 2, 3))
    assert np.array_equal(t.grad.data, np.arange(24.0).reshape(4, 2, 3).transpose(1, 2, 0))


def test_stretching(x):
    row = Tensor(x[0, :1], requires_grad=True)
    y = row.expand(2, 3, -1)
    assert np.array_equal(y.data, np.broadcast_to(x[0, :1], (2, 3, 4)))
    y.sum().backward()
    assert row.grad.tolist() == [[6, 6, 6, 6]]
    assert row.expand_as(Tensor(x)).shape == x.shape
    large = Tensor(np.ones((1, 1)), requires_grad=True).expand(100, 100)
    assert large.data.strides == (0, 0), "large results take no memory"


def test_joining_and_cutting(x):
    a, b = x[:, :1], x[:, 1:]
    assert np.array_equal(ops.cat([a, b], 1), x)
    assert np.array_equal(ops.cat([Tensor(a), b], -2).data, x)
    assert np.array_equal(ops.stack([x, x + 1], 1), np.stack([x, x + 1], 1))
    assert [p.shape for p in ops.split(x, 3, 2)] == [(2, 3, 3), (2, 3, 1)]
    assert [p.shape[1] for p in ops.split(x, [0, 2, 1], 1)] == [0, 2, 1]
    assert [len(p) for p in ops.chunk(np.arange(7), 3)] == [3, 3, 1]
    assert [len(p) for p in ops.chunk(np.arange(6), 4)] == [2, 2, 2]
    assert np.array_equal(ops.cat(ops.split(x, 2, 2), 2), x)


def test_channel_shuffle():
    x = np.arange(6.0).reshape(1, 6, 1)
    assert ops.channel_shuffle(x, 2).ravel().tolist() == [0, 3, 1, 4, 2, 5]
    assert ops.channel_shuffle(ops.channel_shuffle(x, 2), 3).ravel().tolist() == list(range(6))


def test_basic_and_advanced_indexing(x):
    for index in (
        1,
        -1,
        slice(1),
        (0, slice(None, None, 2)),
        (..., 2),
        None,
        (slice(None), None, 1),
        [1, 0, 1],
        (slice(None), [0, 2]),
        x > 7,
        (0, x[0] > 7),
        (np.array([0, 1]), slice(None), np.array([3, 3])),
        (np.array([[0], [1]]), np.array([2, 0])),
    ):
        wrapped = index
        if isinstance(index, tuple):
            wrapped = tuple(Tensor(i) if isinstance(i, np.ndarray) else i for i in index)
        assert np.array_equal(Tensor(x)[wrapped].data, x[index])
        leaf = Tensor(x, requires_grad=True)
        picked = leaf[wrapped]
        picked.backward(np.ones(picked.shape))
        counts = np.zeros_like(x)
        np.add.at(counts, index, 1)
        assert np.array_equal(leaf.grad.data, counts)


def test_an_index_changed_later_does_not_matter():
    x, index = Tensor(np.arange(3.0), requires_grad=True), np.array([0, 0])
    for made in (index, Tensor(index), (index,)):
        index[:] = 0
        x.grad = None
        y = x[made].sum()
        index[:] = 2
        y.backward()
        assert x.grad.tolist() == [2, 0, 0]
    index[:] = 0
    x.grad = None
    y = ops.embedding(index, x.unsqueeze(1)).sum() + x.gather(0, index).sum() + x.index_select(0, index).sum()
    index[:] = 2
    y.backward()
    assert x.grad.tolist() == [6, 0, 0]


def test_gather(x):
    index = np.array([[[2, 0, 1, 0]], [[0, 0, 2, 1]]])
    y = ops.gather(x, 1, index)
    for place in np.ndindex(index.shape):
        assert y[place] == x[place[0], index[place], place[2]]


def test_index_select_and_embedding(x):
    assert np.array_equal(ops.index_select(x, 2, np.array([3, 0, 3])), x[:, :, [3, 0, 3]])
    words = np.array([[1, 0], [1, 1]])
    assert np.array_equal(ops.embedding(words, x[0]), x[0][words])
    assert np.array_equal(ops.embedding(Tensor(words), Tensor(x[0])).data, x[0][words])


def test_one_hot():
    y = ops.one_hot(np.array([[0, 2], [1, 1]]), 4)
    assert y.dtype == np.int64
    for i, j in np.ndindex(2, 2):
        assert y[i, j].tolist() == [int(c == [[0, 2], [1, 1]][i][j]) for c in range(4)]
    assert ops.one_hot(Tensor([0, 2])).tolist() == [[1, 0, 0], [0, 0, 1]]


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate"])
@pytest.mark.parametrize("pad", [(1, 2), (0, 1, 2, 0), (2, 1, 1, 1, 1, 0), (3, 0)])
def test_padding(x, pad, mode):
    pairs = [(0, 0)] * (3 - len(pad) // 2) + [(pad[i], pad[i + 1]) for i in range(len(pad) - 2, -1, -2)]
    names = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}
    options = {"constant_values": 1.5} if mode == "constant" else {}
    wanted = np.pad(x, pairs, names[mode], **options)
    assert np.array_equal(ops.pad(x, pad, mode, 1.5), wanted)


def test_negative_padding_crops(x):
    assert np.array_equal(ops.pad(x, (-1, -2)), x[..., 1:2])
    assert np.array_equal(ops.pad(x, (0, 0, -3, 1)), np.pad(x[:, 3:], [(0, 0), (0, 1), (0, 0)]))
    leaf = Tensor(x, requires_grad=True)
    ops.pad(leaf, (-1, 1)).sum().backward()
    assert leaf.grad.data[0, 0].tolist() == [0, 1, 1, 1]


def test_matrix_products():
    rng = np.random.default_rng(0)
    for a_shape, b_shape in (
        ((3,), (3,)),
        ((3,), (3, 2)),
        ((2, 3), (3,)),
        ((2, 3), (3, 4)),
        ((5, 2, 3), (3, 4)),
        ((5, 2, 3), (3,)),
        ((3,), (5, 3, 2)),
        ((2, 3), (5, 3, 4)),
        ((2, 1, 2, 3), (4, 3, 2)),
        ((2, 0), (0, 3)),
        ((0, 2, 3), (3, 4)),
    ):
        a, b = rng.standard_normal(a_shape), rng.standard_normal(b_shape)
        for found in (ops.matmul(a, b), (Tensor(a) @ Tensor(b)).data, (Tensor(a) @ b).data, (a @ Tensor(b)).data):
            assert found.shape == (a @ b).shape
            assert np.allclose(found, a @ b, rtol=1e-13, atol=1e-13)


def test_linear():
    rng = np.random.default_rng(0)
    weight, bias = rng.standard_normal((2, 3)), rng.standard_normal(2)
    for shape in ((3,), (4, 3), (2, 4, 3), (0, 3)):
        x = rng.standard_normal(shape)
        wanted = np.einsum("...i,oi->...o", x, weight) + bias
        assert np.allclose(ops.linear(x, weight, bias), wanted)
        assert np.allclose(ops.linear(x, weight), wanted - bias)


def test_the_gradient_of_a_shared_matrix_needs_no_copy_for_each_batch():
    """(N, M, K) @ (K, L): the weight's gradient is one product, not N of them, summed."""
    a = Tensor(np.ones((50, 10, 20), np.float32))
    b = Tensor(np.ones((20, 30), np.float32), requires_grad=True)
    (a @ b).sum().backward()
    assert np.array_equal(b.grad.data, np.full((20, 30), 500))
