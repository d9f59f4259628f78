import numpy as np
import pytest

from tinydl import nn
from tinydl.compress.prune import masks, remove, report, sparsify
from tinydl.optim import SGD
from tinydl.tensor import Tensor


def test_masks_by_name(network):
    assert masks(network) == {}
    sparsify(network, 0.5, layers="6")
    (name,) = masks(network)
    assert name == "6.weight"
    assert masks(network)[name] is network[6].weight.mask.data


def test_remove_leaves_ordinary_weights(network):
    names = list(network.state_dict())
    sparsify(network, 0.5)
    zeros = {name: p.data == 0 for name, p in network.named_parameters()}
    assert remove(network) == ["0.weight", "1.weight", "4.weight", "6.weight"]
    assert list(network.state_dict()) == names
    assert all(np.array_equal(p.data == 0, zeros[name]) for name, p in network.named_parameters())
    network(Tensor(np.ones((2, 1, 6, 6), np.float32))).sum().backward()
    SGD(network.parameters(), 0.1).step()
    assert np.count_nonzero(network[6].weight.data) > zeros["6.weight"].sum()


def test_remove_by_name(network):
    sparsify(network, 0.5)
    with pytest.raises(ValueError, match="'2' fits none"):
        remove(network, ["0", "2"])
    assert len(masks(network)) == 4
    assert remove(network, ["0", "6.weight"]) == ["0.weight", "6.weight"]
    assert list(masks(network)) == ["1.weight", "4.weight"]
    assert remove(nn.Linear(2, 2)) == []


def test_report_counts_zeros(network):
    sparsify(network, 0.75, layers="6")
    found = report(network)
    assert [row[0] for row in found.rows] == ["0.weight", "1.weight", "4.weight", "6.weight"]
    assert found.rows[-1] == ("6.weight", (3, 128), 384, 288)
    assert found.sparsity == 288 / (36 + 36 + 32 + 384)
    lines = str(found).splitlines()
    assert lines[-2].split() == ["6.weight", "3×128", "384", "288", "75.00%"]
    assert len({len(line) for line in lines}) == 1
    assert report(nn.ReLU()).sparsity == 0
