import numpy as np
import pytest

from tinydl import Tensor, nn, no_grad
from tinydl.compress import structured
from tinydl.compress.structured.importance import scores
from tinydl.nn.functional import cross_entropy


def network():
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 2, groups=2), nn.Flatten(), nn.Linear(6, 3)
    )
    return net, (1, 4, 4)


def of(importance, lived_in, name="0"):
    net, shape = network()
    found = structured.dependencies(lived_in(net), shape)
    group = found[name]
    return net, scores(found, group, importance)


@pytest.mark.parametrize("p", [1, 2])
def test_magnitude_is_over_everything_that_goes(lived_in, p):
    net, found = of(structured.magnitude(p), lived_in)
    for c in range(4):
        group, place = divmod(c, 2)
        parts = [net[0].weight.data[c], net[0].bias.data[c], net[1].weight.data[c], net[1].bias.data[c]]
        parts.append(net[3].weight.data[3 * group : 3 * group + 3, place])
        every = np.concatenate([np.ravel(part) for part in parts])
        assert found[c] == pytest.approx((np.abs(every) ** p).sum() ** (1 / p), rel=1e-5)


def test_flattened_places_all_count(lived_in):
    net = lived_in(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3)))
    found = structured.dependencies(net, (1, 4, 4))
    values = scores(found, found["0"], structured.magnitude(1))
    for c in range(2):
        every = [net[0].weight.data[c], net[0].bias.data[c], net[2].weight.data[:, 4 * c : 4 * c + 4]]
        assert values[c] == pytest.approx(sum(np.abs(part).sum() for part in every), rel=1e-5)


def test_norm_scale_is_the_norms_own(lived_in):
    net, found = of(structured.norm_scale(), lived_in)
    assert np.allclose(found, np.abs(net[1].weight.data))
    with pytest.raises(ValueError, match=r"norm_scale: the channels of 3\.weight go through no batch norm"):
        of(structured.norm_scale(), lived_in, "3")


def test_taylor_is_the_squared_gradient_by_a_gate(lived_in):
    """A gate at the norm's result scales its weight and bias alike: its gradient is γ ∂/∂γ + β ∂/∂β."""
    draw = np.random.default_rng(0)
    batches = [(Tensor(draw.standard_normal((5, 1, 4, 4)).astype(np.float32)), Tensor(np.arange(5) % 3)) for _ in "ab"]
    net, shape = network()
    lived_in(net).train()
    net[0].weight.grad = Tensor(np.ones_like(net[0].weight.data))
    found = structured.dependencies(net, shape)
    values = scores(found, found["0"], structured.taylor(net, batches))
    assert net.training
    assert (net[0].weight.grad.data == 1).all()
    assert net[5].weight.grad is None

    def loss(gate, x, y):
        with no_grad():
            net.eval()
            z = net[1](net[0](x)) * Tensor(gate[:, None, None])
            return cross_entropy(net[5](net[4](net[3](net[2](z)))), y).item()

    net.double()
    for c in range(4):
        changes = []
        for x, y in batches:
            above, below = (loss(np.where(np.arange(4) == c, gate, 1.0), x.double(), y) for gate in (1.001, 0.999))
            changes.append((above - below) / 0.002)
        assert values[c] == pytest.approx(np.mean(np.square(changes)), rel=1e-3)


def test_without_a_norm_the_weights_are_the_gate(lived_in):
    net = lived_in(nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2)))
    x, y = Tensor(np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)), Tensor(np.arange(4) % 2)
    found = structured.dependencies(net, (3,))
    values = scores(found, found["0"], structured.taylor(net, [(x, y)]))
    hidden = Tensor(net[0](x).data, requires_grad=True)
    cross_entropy(net[2](net[1](hidden)), y).backward()
    assert np.allclose(values, (hidden.grad.data * hidden.data).sum(axis=0) ** 2, rtol=1e-4)


def test_random_is_the_generators(lived_in):
    _, a = of(structured.random(np.random.default_rng(4)), lived_in)
    _, b = of(structured.random(np.random.default_rng(4)), lived_in)
    assert (a == b).all()
    assert len(set(a.tolist())) == 4


@pytest.mark.parametrize("wrong", [np.ones(3), np.full(2, np.nan), 1.0])
def test_an_importance_that_is_none_is_refused(lived_in, wrong):
    with pytest.raises(ValueError, match="importance must be 2 finite numbers for 0"):
        of(lambda slices: wrong, lived_in)


def test_bad_settings_are_refused():
    with pytest.raises(ValueError, match="p must be 1 or 2, got 3"):
        structured.magnitude(3)
    with pytest.raises(ValueError, match="batches: taylor needs at least one"):
        structured.taylor(nn.Linear(2, 2), [])
