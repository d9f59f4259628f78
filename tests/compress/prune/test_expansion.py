import numpy as np
import pytest

from tinydl import nn, ops
from tinydl.compress.prune import Filter, OptimalBrainDamage, Pruner, Taylor, masks, sparsify
from tinydl.compress.prune.derivatives import gradients
from tinydl.nn.functional import cross_entropy
from tinydl.tensor import Tensor


def problem(seed=0):
    draw = np.random.default_rng(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 3, 2, bias=False, generator=draw), nn.Tanh(), nn.Flatten(), nn.Linear(12, 2, generator=draw)
    ).double()
    batches = [(Tensor(draw.standard_normal((n, 1, 3, 3))), Tensor(draw.integers(0, 2, n))) for n in (4, 2)]
    return model, batches


def scores(pruner):
    return pruner.criterion.scores(pruner.model, pruner.targets, pruner.units)


@pytest.mark.parametrize("p", [1, 2])
def test_taylor_of_weights_and_of_filters(backend, p):
    model, batches = problem()
    w = model[0].weight
    terms = [w.data * gradients(cross_entropy(model(x), y), [w])[0] for x, y in batches]
    single = sum(n * np.abs(t) ** p for n, t in zip((4, 2), terms)) / 6
    whole = sum(n * np.abs(t.sum(axis=(1, 2, 3))) ** p for n, t in zip((4, 2), terms)) / 6
    np.testing.assert_allclose(scores(Pruner(model, Taylor(batches, p=p), layers="0"))[0], single.ravel())
    np.testing.assert_allclose(scores(Pruner(model, Taylor(batches, p=p), Filter(), layers="0"))[0], whole)


def test_for_filters_it_is_the_gradient_by_the_feature_map_times_the_map():
    """The criterion of 2017, image by image."""
    model, batches = problem()
    x, y = batches[0]
    singles = [(Tensor(x.data[i : i + 1]), Tensor(y.data[i : i + 1])) for i in range(4)]
    expected = np.zeros(3)
    for image, label in singles:
        z = Tensor(model[0](image).data, requires_grad=True)
        (g,) = gradients(cross_entropy(model[3](model[2](model[1](z))), label), [z])
        expected += np.abs((g * z.data).sum(axis=(0, 2, 3))) / 4
    found = scores(Pruner(model, Taylor(singles, p=1), Filter(), layers="0"))[0]
    np.testing.assert_allclose(found, expected)


def test_taylor_promises_the_change_of_the_loss():
    model, batches = problem()
    batch = batches[:1]
    (x, y), w = batch[0], model[3].weight
    promised = scores(Pruner(model, Taylor(batch, p=1), layers="3"))[0]
    before = cross_entropy(model(x), y).item()
    for i in range(w.numel()):
        kept = w.data.flat[i]
        w.data.flat[i] = kept * (1 - 1e-5)  # a little of the way to zero, where first order is all there is
        change = abs(cross_entropy(model(x), y).item() - before) / 1e-5
        w.data.flat[i] = kept
        assert promised[i] == pytest.approx(change, rel=1e-3, abs=1e-8)


def quadratic(curvatures, weights):
    """Return a model whose loss is ½ Σ hᵢ (wᵢ − w*ᵢ)², at its minimum w*."""
    model = nn.Linear(len(weights), 1, bias=False).double()
    model.weight.data = np.array([weights])
    start, h = Tensor(np.array([weights])), Tensor(np.array([curvatures]))

    def loss(y, target):
        d = model.weight - start
        return (h * d * d).sum() * 0.5 + ops.sum(y) * 0

    batches = [(Tensor(np.ones((1, len(weights)))), Tensor([0]))]
    return model, batches, loss


@pytest.mark.parametrize("probes", [None, 1])
def test_optimal_brain_damage_is_the_loss_of_removal(probes):
    model, batches, loss = quadratic([8.0, 0.1, 2.0], [1.0, 3.0, -2.0])
    pruner = Pruner(model, OptimalBrainDamage(batches, loss, probes))
    np.testing.assert_allclose(scores(pruner), [[4.0, 0.45, 4.0]])
    for i, promised in enumerate([4.0, 0.45, 4.0]):
        kept = model.weight.data[0, i]
        model.weight.data[0, i] = 0
        assert loss(model(batches[0][0]), None).item() == pytest.approx(promised)
        model.weight.data[0, i] = kept
    pruner.prune(1 / 3)
    assert masks(model)["weight"].tolist() == [[True, False, True]], "the largest weight, and the least needed"


def test_saliencies_of_units_add_up():
    model, batches = problem()
    single = scores(Pruner(model, OptimalBrainDamage(batches, probes=None), layers="0"))[0]
    whole = scores(Pruner(model, OptimalBrainDamage(batches, probes=None), Filter(), layers="0"))[0]
    np.testing.assert_allclose(whole, single.reshape(3, -1).sum(axis=1))


def test_probes_draw_from_their_generator():
    model, batches = problem()
    found = [scores(Pruner(model, OptimalBrainDamage(batches, generator=np.random.default_rng(s)))) for s in (1, 1, 2)]
    assert all(np.array_equal(a, b) for a, b in zip(found[0], found[1]))
    assert not all(np.array_equal(a, b) for a, b in zip(found[0], found[2]))


@pytest.mark.parametrize("criterion", [Taylor, OptimalBrainDamage])
def test_bad_input_is_refused(criterion):
    model, batches = problem()
    with pytest.raises(ValueError, match="at least one"):
        sparsify(model, 0.5, criterion([]))
    model[3].weight.requires_grad_(False)
    with pytest.raises(ValueError, match=rf"{criterion.__name__} needs the gradient of 3\.weight, which is frozen"):
        sparsify(model, 0.5, criterion(batches))
    assert not masks(model)


def test_numbers_out_of_range_are_refused():
    with pytest.raises(ValueError, match="p must be 1 or 2"):
        Taylor([], p=3)
    with pytest.raises(ValueError, match="probes must be at least 1"):
        OptimalBrainDamage([], probes=0)
