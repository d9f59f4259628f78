import numpy as np

from tinydl import nn
from tinydl.compress import structured
from tinydl.compress.flow import flow
from tinydl.compress.structured.coupling import couple
from tinydl.compress.structured.match import gathered, matched, same_steps, too_wide
from tinydl.compress.structured.resize import resized


def grouped(middle):
    return nn.Sequential(nn.Conv2d(1, middle, 1), nn.ReLU(), nn.Conv2d(middle, 4, 1, groups=2), nn.Flatten())


def coupled(model):
    return couple(flow(model, np.zeros((2, 1, 1, 1), np.float32)))


def test_each_group_of_a_convolution_keeps_inputs_of_its_own():
    full, narrow = grouped(8), grouped(4)
    found, new = structured.dependencies(full, (1, 1, 1)), coupled(narrow)
    assert same_steps(found.coupling, new)
    assert too_wide(found, new) == []
    scores = {"0": np.array([0.0, 9, 8, 0, 1, 2, 3, 4])}
    kept = matched(found, new, scores)
    arrays = gathered(found.coupling, new, kept)
    assert np.array_equal(arrays["0.weight"], full[0].weight.data[[1, 2, 6, 7]])
    weight = full[2].weight.data
    assert np.array_equal(arrays["2.weight"], np.concatenate([weight[:2][:, [1, 2]], weight[2:][:, [2, 3]]]))
    x = np.random.default_rng(0).standard_normal((3, 1, 1, 1)).astype(np.float32)
    assert resized(full, arrays)(x).shape == (3, 4)


def test_equal_scores_keep_the_first():
    found, new = structured.dependencies(grouped(8), (1, 1, 1)), coupled(grouped(4))
    kept = matched(found, new, {"0": np.zeros(8)})
    arrays = gathered(found.coupling, new, kept)
    assert np.array_equal(arrays["0.bias"], found.model[0].bias.data[[0, 1, 4, 5]])


def test_a_network_that_is_no_narrower_version_is_found_out():
    found = structured.dependencies(grouped(8), (1, 1, 1))
    assert too_wide(found, coupled(grouped(12))) == ["0"]
    other = nn.Sequential(nn.Conv2d(1, 8, 1), nn.Sigmoid(), nn.Conv2d(8, 4, 1, groups=2), nn.Flatten())
    assert not same_steps(found.coupling, coupled(other))
