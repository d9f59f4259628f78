import copy

import numpy as np
import pytest
from networks import FAMILIES, build, images, small_images

from tinydl import kernels, nn, no_grad
from tinydl.checkpoint import load_weights, save_weights
from tinydl.compress import fold_batch_norm
from tinydl.compress.quantize import WEIGHTS, Scheme, quantize_weights


def run(model, x):
    with no_grad():
        return model(x).data


def layers(model):
    return [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_keeps_integers_and_computes_with_them(name):
    model, x = build(name), images(3)
    small = quantize_weights(model)
    by_hand = copy.deepcopy(model)
    with no_grad():
        for layer in layers(by_hand):
            layer.weight.copy_(WEIGHTS.of(layer.weight.data).fake(layer.weight.data))
    for layer in layers(small):
        assert layer.integers.dtype == np.int8
        assert not any(name == "weight" for name, _ in layer.named_parameters())
    # batch norm is fused with the weights after they are multiplied out: the same kernels, the same bits
    assert np.array_equal(run(small, x), run(by_hand, x))


def test_a_file_is_four_times_smaller(tmp_path):
    model = build("lenetish")
    save_weights(model, tmp_path / "float.safetensors")
    small = quantize_weights(model)
    save_weights(small, tmp_path / "int8.safetensors")
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("float", "int8")]
    assert 3.4 < sizes[0] / sizes[1] <= 4
    other = quantize_weights(build("lenetish", seed=1))
    load_weights(tmp_path / "int8.safetensors", other)
    assert np.array_equal(run(other, images(2)), run(small, images(2)))


def test_bits_axes_and_zero_points():
    model, x = build("lenetish"), images(4)
    exact = run(fold_batch_norm(model), x)
    for scheme in (Scheme(8), Scheme(8, axis=0), Scheme(6, symmetric=True), Scheme(8, symmetric=True, axis=1)):
        small = quantize_weights(model, scheme)
        assert np.std(run(small, x) - exact) < 0.2 * np.std(exact)
        assert ("0.zero_point" in small.state_dict()) != scheme.symmetric
        assert np.abs(small[0].integers.data.astype(int)).max() <= 2 ** (scheme.bits - 1)


def test_the_least_square_range_is_better_with_few_bits():
    model, x = build("convnet"), images(32)
    exact = run(model, x)
    scheme = Scheme(3, symmetric=True, axis=0)
    errors = [np.std(run(quantize_weights(model, scheme, method), x) - exact) for method in ("minmax", "mse")]
    assert errors[1] < errors[0]


def test_small_weights_stay_if_asked():
    small = quantize_weights(build("lenetish"), at_least=1024)
    assert [hasattr(layer, "integers") for layer in layers(small)] == [False, True, True, False]


def test_the_model_stays_as_it_was_and_settings_and_bias_are_kept():
    model = nn.Sequential(nn.DepthwiseConv2d(1, 3, multiplier=2, padding=1, bias=False), nn.Flatten(), nn.Linear(32, 2))
    small = quantize_weights(model)
    assert model.training
    assert not small.training
    assert (small[0].groups, small[0].padding, small[0].bias) == (1, (1, 1), None)
    assert np.array_equal(small[2].bias.data, model[2].bias.data)
    assert [type(layer) for layer in model] == [nn.DepthwiseConv2d, nn.Flatten, nn.Linear]


def test_a_shared_layer_stays_one_and_a_model_may_be_a_layer():
    linear = nn.Linear(4, 4)
    small = quantize_weights(nn.Sequential(linear, nn.ReLU(), linear))
    assert small[0] is small[2]
    assert quantize_weights(linear).integers.dtype == np.int8


def test_layers_with_a_forward_of_their_own_are_left_alone():
    class Scaled(nn.Linear):
        def forward(self, input):
            return 2 * super().forward(input)

    assert isinstance(quantize_weights(Scaled(2, 2)), Scaled)


def test_quantizing_twice_changes_nothing():
    once = quantize_weights(build("lenetish"))
    twice = quantize_weights(once)
    a, b = once.state_dict(), twice.state_dict()
    assert all(np.array_equal(a[name].data, b[name].data) for name in a)


def test_both_backends_agree():
    small, x = quantize_weights(build("mobile")), images(2)
    with kernels.use("reference"):
        plain = run(small, x)
    assert np.allclose(run(small, x), plain, atol=1e-4)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="weight_range must be one of"):
        quantize_weights(nn.Linear(2, 2), weight_range="entropy")
    with pytest.raises(ValueError, match="at_least must be at least 0"):
        quantize_weights(nn.Linear(2, 2), at_least=-1)


def test_inputs_of_another_shape_are_refused_as_ever():
    with pytest.raises(ValueError, match="does not fit into x"):
        quantize_weights(build("lenetish"))(small_images(2))
