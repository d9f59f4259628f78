import copy

import numpy as np
import pytest
from networks import FAMILIES, build, everything, images, small_images

from tinydl import load, nn, no_grad, save
from tinydl.compress import fold_batch_norm
from tinydl.compress.quantize import MeanSquare, Scheme, prepare
from tinydl.optim import SGD
from tinydl.tensor import Tensor


def run(model, x):
    with no_grad():
        return model(x).data


def frozen(model, x, **options):
    simulated = prepare(model, x, **options)
    run(simulated, x)
    return simulated.freeze().eval()


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_is_the_same_in_float_and_near_in_eight_bits(name):
    model, x = build(name), images(6)
    simulated = prepare(model, x).eval()
    wanted = run(fold_batch_norm(model), x)
    assert np.array_equal(run(simulated, x), wanted)
    found = run(simulated.freeze(), x)
    assert 0 < np.std(found - wanted) < 0.4 * np.std(wanted)
    assert np.array_equal(run(simulated, Tensor(x.data[:1])), found[:1]), "another size of batch"


def test_one_network_by_hand():
    model, x = everything(), small_images(5)
    simulated = frozen(model, x)
    folded, plan = simulated.model, simulated.plan()
    q = {str(value): quantizer for value, quantizer in plan.activations.items()}
    w = {name: quantizer.fake(plan.flow.stored[name].data) for name, quantizer in plan.weights.items()}
    conv = nn.functional.conv2d
    given = q["input 0"].fake(x.data)
    first = q["%1"].fake(np.maximum(conv(given, w["first.0.weight"], folded.first[0].bias.data, padding=1), 0))
    beside = q["%2"].fake(conv(first, w["beside.weight"], folded.beside.bias.data))
    total = q["%4"].fake(np.maximum(beside + first, 0))
    mean = q["%5"].fake(total.mean((2, 3), keepdims=True))
    gate = q["%6"].fake(conv(mean, w["gate.1.weight"], folded.gate[1].bias.data))
    gated = q["%1"].fake(q["%7"].fake(1 / (1 + np.exp(-gate))) * total)
    joined = np.concatenate([first, gated], 1).reshape(5, 8, 2, 2, 2, 2).max((3, 5)).reshape(5, -1)
    logits = q["%12"].fake(joined @ w["last.weight"].T + folded.last.bias.data)
    assert np.abs(run(simulated, x) - logits).max() <= 2 * q["%12"].scale


def test_reshapes_follow_the_batch_and_nothing_else():
    class Folded(nn.Module):
        def forward(self, x):
            return x.reshape(len(x), 2, 8).reshape(-1, 4, 4).permute(1, 0, 2)

    simulated = frozen(Folded(), small_images(3))
    for n in (1, 2, 5):
        x = small_images(n)
        assert run(simulated, x).shape == (4, n, 4)
        assert np.allclose(run(simulated, x), x.data.reshape(n, 4, 4).transpose(1, 0, 2), atol=0.7)


def test_inputs_keep_their_whole_range_whatever_observes_the_rest():
    x = small_images(64)
    x.data[0, 0, 0, 0] = 50.0
    simulated = frozen(everything(), x, observer="mse", activations=Scheme(4))
    assert simulated.sites["input 0"].quantizer.real_range[1] == pytest.approx(50, rel=0.1)
    assert isinstance(simulated.sites["%1"].observer, MeanSquare)


def test_only_what_is_computed_anew_is_looked_at():
    """The mean %5 shares the scale of %4, and says nothing new about it; %1 and %8 are joined, and both count."""
    x = small_images(4)
    simulated = prepare(everything(), x)
    run(simulated, x)
    assert simulated.sites["%4"].observer.batches == 1
    assert simulated.sites["%1"].observer.batches == 2


def test_the_model_stays_as_it_was():
    model = everything()
    before = {name: value.data.copy() for name, value in model.state_dict().items()}
    simulated = frozen(model, small_images(4))
    assert all(np.array_equal(before[name], value.data) for name, value in model.state_dict().items())
    assert not {id(p) for p in model.parameters()} & {id(p) for p in simulated.parameters()}


def test_fewer_bits_cost_more():
    model, x = everything(), small_images(64)
    exact = run(fold_batch_norm(model), x)
    errors = [
        np.mean((run(frozen(model, x, weights=Scheme(b, True, 0), activations=Scheme(b)), x) - exact) ** 2)
        for b in (2, 4, 6, 8)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 100 * errors[-1]


def test_a_scale_a_channel_is_better_than_one():
    model, x = everything(), small_images(64)
    model.first[0].weight.data[0] *= 50
    exact = run(fold_batch_norm(model), x)
    one, each = (np.mean((run(frozen(model, x, weights=Scheme(4, True, axis)), x) - exact) ** 2) for axis in (None, 0))
    assert each < one


def test_gradients_reach_every_parameter_and_learning_works():
    x, target = small_images(32), Tensor(np.arange(32) % 3)
    simulated = frozen(everything(), x, weights=Scheme(4, True, 0)).follow().train()
    optimizer = SGD(simulated.parameters(), lr=0.5)
    losses = []
    for _ in range(40):
        loss = nn.functional.cross_entropy(simulated(x), target)
        loss.backward()
        assert all(p.grad is not None and p.grad.data.any() for p in simulated.model.parameters())
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_following_adjusts_ranges_in_training_only():
    x = small_images(8)
    simulated = frozen(everything(), x).follow()
    site = simulated.sites["input 0"]
    before = site.quantizer.scale
    run(simulated.eval(), Tensor(9 * x.data))
    assert site.quantizer.scale == before
    run(simulated.train(), Tensor(9 * x.data))
    assert site.quantizer.scale == pytest.approx(9 * before)
    weight = simulated.weights["last weight"]
    before = weight.quantizer.scale
    with no_grad():
        simulated.model.last.weight.copy_(2 * simulated.model.last.weight.data)
    run(simulated, x)
    assert np.allclose(weight.quantizer.scale, 2 * before)


def test_a_frozen_network_keeps_its_scales():
    x = small_images(8)
    simulated = frozen(everything(), x).train()
    before = {name: value.data.copy() for name, value in simulated.state_dict().items()}
    with no_grad():
        simulated.model.last.weight.copy_(2 * simulated.model.last.weight.data)
    run(simulated, Tensor(9 * x.data))
    after = simulated.state_dict()
    assert all(np.array_equal(before[n], after[n].data) for n in before if "scale" in n or "zero" in n)


def test_scales_are_saved_and_loaded(tmp_path):
    x = small_images(8)
    simulated = frozen(everything(), x)
    save(simulated.state_dict(), tmp_path / "net.safetensors")
    other = prepare(everything(), x)
    other.load_state_dict(load(tmp_path / "net.safetensors"))
    assert np.array_equal(run(other.freeze().eval(), x), run(simulated, x))


def test_a_copy_is_whole():
    x = small_images(8)
    simulated = frozen(everything(), x)
    copied = copy.deepcopy(simulated)
    wanted = run(simulated, x)
    with no_grad():
        for p in simulated.parameters():
            p.copy_(0 * p.data)
    assert np.array_equal(run(copied, x), wanted)
    assert copied.plan().flow.model is copied.model


def test_what_was_never_looked_at_cannot_be_frozen():
    simulated = prepare(everything(), small_images(2))
    with pytest.raises(ValueError, match="calibration needs at least one batch"):
        simulated.freeze()
    assert simulated.state == "calibrating"
    with pytest.raises(ValueError, match="still calibrating"):
        simulated.plan()


def test_other_shapes_and_names_are_refused():
    simulated = prepare(everything(), small_images(2))
    with pytest.raises(ValueError, match="inputs must have the shapes"):
        simulated(images(2))
    with pytest.raises(ValueError, match="observer must be one of"):
        prepare(everything(), small_images(2), observer="largest")
    with pytest.raises(ValueError, match="weight_range must be one of"):
        prepare(everything(), small_images(2), weight_range="largest")
    with pytest.raises(ValueError, match="activations must have one scale a tensor"):
        prepare(everything(), small_images(2), activations=Scheme(8, axis=1))
