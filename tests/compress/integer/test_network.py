import numpy as np
import pytest
from networks import FAMILIES, build, everything, images, small_images

from tinydl import fit, kernels, nn, no_grad, ops
from tinydl.compress import flow
from tinydl.compress.integer import Grid, IntegerNetwork, Wire, convert, load, save
from tinydl.compress.integer.layers import KINDS
from tinydl.compress.quantize import ACTIVATIONS, Plan, QuantizationAware, Quantizer, Scheme, prepare
from tinydl.compress.steps import Constant, Given, Made, Stored
from tinydl.kernels import threads
from tinydl.kernels.integer import ROUNDINGS
from tinydl.op import OPS
from tinydl.optim import SGD
from tinydl.random import manual_seed
from tinydl.tensor import Tensor


def simulation(model, x, **options):
    simulated = prepare(model, x, **options).eval()
    with no_grad():
        simulated(x)
    return simulated.freeze()


def noise(signal, other):
    """Return how much of a signal remains, in dB."""
    return 10 * np.log10((signal**2).sum() / max(((signal - other) ** 2).sum(), 1e-30))


@pytest.fixture(scope="module", params=FAMILIES)
def family(request):
    """Return a floating network, its simulation, and that of integers."""
    model = build(request.param)
    simulated = simulation(model, images(48))
    return model, simulated, convert(simulated)


def test_every_family_is_as_close_to_its_floating_network_as_the_simulation_is(family):
    model, simulated, network = family
    x = images(48, seed=2)
    with no_grad():
        real, fake, integer = (net(x).data for net in (model, simulated, network))
    assert integer.dtype == np.float32
    assert noise(real, integer) > noise(real, fake) - 1.5
    assert (integer.argmax(1) == real.argmax(1)).mean() >= 0.6  # untrained networks have close calls


def test_everything_inside_is_int8(family):
    *_, network = family
    grid = network.inputs["input 0"]
    values = network.values(grid.quantize(images(3).data))
    assert {value.dtype for value in values.values()} == {np.dtype(np.int8)}
    kinds = {name.rsplit(".", 1)[1]: tensor.dtype for name, tensor in network.state_dict().items()}
    assert kinds.pop("table", np.int8) == np.int8
    assert kinds == {"weight": np.int8, "bias": np.int32, "multiplier": np.int32, "shift": np.int8}


def test_each_layer_agrees_with_the_simulated_step_to_one_unit(family):
    """Both are given the same integers: so the errors of one layer do not hide those of the next."""
    _, simulated, network = family
    plan, x = simulated.plan(), images(4, seed=3)
    values = network.values(network.inputs["input 0"].quantize(x.data))
    real = {}
    for value, quantizer in plan.activations.items():
        real[value] = quantizer.dequantize(values[str(value)])
    total = off = 0
    for step in plan.flow.steps:
        made = Made(step.number)
        y = OPS[step.op](*_operands(step, plan, real), **{**step.options, **_shape(step, 4)})
        if made not in plan.activations:
            real[made] = y
            continue
        difference = plan.activations[made].quantize(y).astype(int) - values[str(made)]
        assert abs(difference).max() <= 1, step.at
        total, off = total + difference.size, off + np.count_nonzero(difference)
        if step.op in ("max_pool", "cat", "pick", "deal_channels", "reshape", "hardswish", "sigmoid", "swish"):
            assert not difference.any(), step.at
    assert off / total < 0.01


def _operands(step, plan, real):
    found = []
    for source in step.operands.values():
        if isinstance(source, Stored):
            data = plan.flow.stored[source.name].data
            quantizer = plan.weights.get(source.name)
            found.append(data if quantizer is None else quantizer.dequantize(quantizer.quantize(data)))
        else:
            found.append(source.value if isinstance(source, Constant) else source if source is None else real[source])
    return [found] if step.op == "cat" else found


def _shape(step, batch):
    return {"shape": (batch, *step.options["shape"][1:])} if step.op == "reshape" else {}


def test_neither_kernels_nor_batches_nor_threads_change_a_bit(family):
    *_, network = family
    x = images(7, seed=4)
    want = network(x).data
    with kernels.use("reference"):
        np.testing.assert_array_equal(network(x[:2]).data, want[:2])
    np.testing.assert_array_equal(np.concatenate([network(x[i : i + 1]).data for i in range(7)]), want)
    before = threads.num_threads()
    try:
        for n in (1, 2, 3):
            threads.set_num_threads(n)
            np.testing.assert_array_equal(network(x).data, want)
    finally:
        threads.set_num_threads(before)


# ---------------------------------------------------------------------------------------------------- one small network


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_every_rounding(rounding, tmp_path):
    model, x = everything(), small_images(64)
    network = convert(model, [(x, None)], rounding=rounding)
    with no_grad():
        real = model(x).data
    assert noise(real, network(x).data) > 25
    want = network(x).data
    with kernels.use("reference"):
        np.testing.assert_array_equal(network(x).data, want)
    save(network, tmp_path / "n.safetensors")
    np.testing.assert_array_equal(load(tmp_path / "n.safetensors")(x).data, want)


@pytest.mark.parametrize("bits", [4, 6])
def test_fewer_bits(bits):
    model, x = everything(), small_images(64)
    simulated = simulation(model, x, activations=Scheme(bits), weights=Scheme(bits, symmetric=True, axis=0))
    network = convert(simulated)
    grid = network.inputs["input 0"]
    values = network.values(grid.quantize(x.data))
    gates = {"%7"}  # a sigmoid keeps its 8 bits
    for name, value in values.items():
        assert name in gates or (value.min() >= -(2 ** (bits - 1)) and value.max() < 2 ** (bits - 1))
    with no_grad():
        want = simulated(x).data
    assert noise(want, network(x).data) > 15


def test_training_with_simulated_integers_ends_in_the_same_network():
    """What learned with rounding in place is converted like what did not."""
    manual_seed(0)
    model, x = everything(), small_images(64)
    target = Tensor(np.random.default_rng(0).integers(0, 3, 64))
    simulated = simulation(model, x)
    before = convert(simulated)(x).data
    fit(
        simulated,
        [(x, target)] * 20,
        epochs=1,
        optimizer=SGD(simulated.parameters(), 0.1),
        callbacks=[QuantizationAware(5)],
    )
    network = convert(simulated)
    with no_grad():
        want = simulated(x).data
    assert not np.array_equal(before, network(x).data)
    assert abs(want - network(x).data).max() <= 3 * network.outputs["%12"].scale
    assert (want.argmax(1) == target.data).mean() > (before.argmax(1) == target.data).mean()


def test_changed_weights_count():
    model, x = everything(), small_images(8)
    network = convert(model, [x])
    before = network(x).data
    state = {name: Tensor(tensor.data.copy()) for name, tensor in network.state_dict().items()}
    for name, tensor in state.items():
        if name.endswith(".weight"):
            tensor.data[...] = 0
    network.load_state_dict(state)
    after = network(x).data
    assert not np.array_equal(before, after)
    assert np.ptp(after, axis=0).max() == 0


def test_channels_without_weights_and_with_tiny_ones_keep_their_bias():
    manual_seed(0)
    model, x = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 3)), small_images(32)
    with no_grad():
        model[0].weight.data[0] = 0
        model[0].weight.data[1] *= np.float32(1e-25)
        model[0].bias.data[:] = 0.5, 0.7, -0.1
    network = convert(model, [x])
    with no_grad():
        real = model(x).data
    assert noise(real, network(x).data) > 25


def test_a_piece_on_another_grid_is_moved():
    class Both(nn.Module):
        def forward(self, x):
            return ops.cat([ops.relu(x), x], 1)

    steps = flow(Both(), small_images(2))
    grids = [Quantizer(ACTIVATIONS, np.float32(s), np.int32(z)) for s, z in ((0.02, 5), (0.03, -3), (0.02, 5))]
    values = [Given(0), *(Made(step.number) for step in steps.steps)]
    network = convert(Plan(steps, dict(zip(values, grids, strict=True)), {}))
    x = small_images(4).data
    got = network(x).data
    assert got.shape == (4, 2, 4, 4)
    assert abs(got - np.clip(Both()(Tensor(x)).data, *grids[2].real_range)).max() <= 0.01 + 0.015 + 0.01 + 1e-6


class Constants(nn.Module):
    def forward(self, x):
        return 1 - 2 * x


def test_arithmetic_with_one_number_becomes_a_table():
    x = small_images(16)
    network = convert(Constants(), [x])
    assert {type(layer) for layer in network.layers} == {KINDS["Lookup"]}
    assert noise(Constants()(x).data, network(x).data) > 35


@pytest.mark.parametrize("pool", [nn.AdaptiveAvgPool2d(2), nn.AdaptiveMaxPool2d(3), nn.AvgPool2d(3, 2, 1)])
def test_poolings_with_bins_of_several_sizes(pool):
    x = Tensor(np.random.default_rng(0).standard_normal((4, 3, 5, 7)).astype(np.float32))
    network = convert(pool, [x])
    unit = network.inputs["input 0"].scale
    assert abs(pool(x).data - network(x).data).max() <= 1.01 * unit
    if isinstance(pool, nn.AvgPool2d):
        uneven = nn.AvgPool2d(3, 2, 1, count_include_pad=False)
        assert abs(uneven(x).data - convert(uneven, [x])(x).data).max() <= 1.01 * unit


# ----------------------------------------------------------------------------------------------------------- refusals


def test_bad_input_is_refused():
    x = small_images(4)
    with pytest.raises(ValueError, match="at least one batch"):
        convert(everything(), [])
    with pytest.raises(ValueError, match="rounding"):
        convert(everything(), [x], rounding="up")
    with pytest.raises(ValueError, match="no integer layer for softmax"):
        convert(nn.Softmax(1), [x])
    with pytest.raises(ValueError, match="symmetric"):
        convert(simulation(everything(), x, weights=Scheme(8)))
    with pytest.raises(ValueError, match="calibrating"):
        convert(prepare(everything(), x))
    network = convert(everything(), [x])
    with pytest.raises(TypeError, match="int8"):
        network.run_int8(x.data)
    with pytest.raises(ValueError, match="NaN"):
        network(np.full((1, 1, 4, 4), np.nan, np.float32))
    with pytest.raises(ValueError, match="takes 1, got 2"):
        network(x, x)
    with pytest.raises(ValueError, match="takes"):
        IntegerNetwork(network.layers, [Wire(("x",), "y")], {}, {})
    with pytest.raises(ValueError, match="arrays"):
        KINDS["Lookup"]({}, {})


def test_infinities_are_clamped():
    grid = Grid(0.5, 3)
    np.testing.assert_array_equal(grid.quantize(np.array([np.inf, -np.inf, 1.0], np.float32)), [127, -128, 5])
