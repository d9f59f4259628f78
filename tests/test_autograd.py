"""The walk back: what it computes, what it frees, what it refuses, and what an accident leaves behind."""

import contextlib
import gc
import threading
import tracemalloc
import weakref

import numpy as np
import pytest

import tinydl
from tinydl import ops
from tinydl.autograd import backward, grad
from tinydl.graph import Node
from tinydl.modes import detect_anomaly, enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from tinydl.op import Op
from tinydl.tensor import Tensor


@pytest.fixture
def x():
    return Tensor([1.0, 2.0, 3.0], requires_grad=True)


# ---- sums over paths


def test_a_diamond_sums_its_two_paths(x):
    y = x * x
    (y * 2 + y * y).sum().backward()
    assert x.grad.tolist() == [2 * v * 2 + 2 * v * v * 2 * v for v in (1, 2, 3)]


def test_diamonds_in_a_row_are_walked_once_each():
    """2^60 paths, 60 sums."""
    x = Tensor(1.0, requires_grad=True)
    y = x
    for _ in range(60):
        y = y + y
    y.backward()
    assert x.grad.item() == 2.0**60


def test_a_parameter_used_twice_gets_the_sum(x):
    (x * 2).sum().backward()
    (x.exp() + x * 3).sum().backward()
    assert np.allclose(x.grad.data, 2 + np.exp(x.data) + 3)


def test_many_uses_are_summed_exactly_once():
    w = Tensor(np.ones((2, 2)), requires_grad=True)
    total = sum((w * float(k)).sum() for k in range(20))
    total.backward()
    assert w.grad.tolist() == [[190, 190], [190, 190]]


def test_an_unused_parameter_has_no_gradient(x):
    unused = Tensor([1.0], requires_grad=True)
    (x * 2).sum().backward()
    assert unused.grad is None
    assert grad((x * 2).sum(), [x, unused], allow_unused=True)[1] is None
    with pytest.raises(RuntimeError, match="input 1 does not matter"):
        grad((x * 2).sum(), [x, unused])


@pytest.mark.parametrize("shape", [(), (1,), (4,), (3, 1), (1, 4), (2, 3, 4)])
def test_a_stretched_operand_gets_a_gradient_of_its_own_shape(shape):
    big = np.arange(24.0).reshape(2, 3, 4)
    small = Tensor(np.ones(shape), requires_grad=True)
    (small * big).sum().backward()
    counts = np.zeros(shape)
    for place in np.ndindex(big.shape):
        short = tuple(0 if n == 1 else i for n, i in zip(shape[::-1], place[::-1]))[::-1]
        counts[short] += big[place]
    assert small.grad.shape == shape
    assert np.array_equal(small.grad.data, counts)


def test_a_chain_of_a_hundred_thousand_nodes():
    x = Tensor(1.0, requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y + 1.0
    y.backward()
    assert x.grad.item() == 1.0


def test_a_long_chain_that_is_dropped_instead():
    x = Tensor(1.0, requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y * 1.0
    node = weakref.ref(y._node)
    del y
    assert node() is None


def test_constants_and_detached_results_stop_the_gradient(x):
    constant = Tensor([1.0, 1.0, 1.0])
    y = x * 2
    (y.detach() * x + constant).sum().backward()
    assert x.grad.tolist() == [2, 4, 6]
    assert constant.grad is None
    assert not y.detach().requires_grad
    assert y.detach().data is y.data


# ---- where to start


def test_a_scalar_needs_no_gradient_others_do(x):
    with pytest.raises(RuntimeError, match=r"backward: the result has shape \(3,\); only a scalar needs no `gradient`"):
        (x * 2).backward()
    (x * 2).backward(Tensor([1.0, 10.0, 100.0]))
    assert x.grad.tolist() == [2, 20, 200]
    x.grad = None
    (x * 2).backward([1.0, 10.0, 100.0])
    assert x.grad.tolist() == [2, 20, 200]
    y = Tensor([[2.0]], requires_grad=True)
    y.backward()
    assert y.grad.tolist() == [[1]]


def test_an_upstream_gradient_of_another_shape_is_refused(x):
    with pytest.raises(ValueError, match=r"gradient has shape \(2,\), the Tensor \(3,\)"):
        (x * 2).backward(np.ones(2))
    with pytest.raises(TypeError, match="gradient has dtype"):
        (x * 2).backward(np.array(["a", "b", "c"]))


def test_what_depends_on_no_parameter_is_refused():
    for start in (Tensor([1.0]), Tensor([1.0]) * 2, 3.0):
        with pytest.raises(RuntimeError, match="a Tensor that requires a gradient is needed"):
            backward(start)
    with no_grad():
        y = Tensor(1.0, requires_grad=True) * 2
    with pytest.raises(RuntimeError, match="a Tensor that requires a gradient is needed"):
        y.backward()


def test_a_leaf_is_its_own_gradient():
    x = Tensor(2.0, requires_grad=True)
    x.backward()
    assert x.grad.item() == 1
    upstream = np.array([1.0, 2.0])
    y = Tensor(np.zeros(2), requires_grad=True)
    y.backward(upstream)
    y.backward(upstream)
    assert y.grad.tolist() == [2, 4]
    assert upstream.tolist() == [1, 2]


def test_gradients_have_the_leafs_dtype():
    x = Tensor(np.ones(2, np.float32), requires_grad=True)
    (x * 2).backward(np.array([1.0, 2.0]))
    assert x.grad.dtype == np.float32
    (x.double() * 2).sum().backward()
    assert x.grad.dtype == np.float32
    seen = []
    for create_graph in (False, True):
        y = x * 2
        y.register_hook(lambda g: seen.append(g.dtype))
        y.backward(Tensor(np.ones(2)), create_graph=create_graph)
    assert seen == [np.float32, np.float32]


# ---- once is enough


def test_backward_twice_is_refused_unless_the_graph_was_retained(x):
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [4, 8, 12]
    with pytest.raises(RuntimeError, match=r"the graph behind sum was freed by an earlier backward; pass retain_graph"):
        y.backward()
    assert x.grad.tolist() == [4, 8, 12]


def test_a_freed_part_of_a_graph_is_refused_before_anything_changes(x):
    shared = x * x
    other = Tensor([1.0, 1.0, 1.0], requires_grad=True)
    shared.sum().backward()
    with pytest.raises(RuntimeError, match="the graph behind mul was freed"):
        (shared * other).sum().backward()
    assert other.grad is None
    assert x.grad.tolist() == [2, 4, 6]


def test_backward_frees_what_was_saved_while_the_results_live(x):
    middle = x * x
    array = weakref.ref(middle.data)
    y = middle.exp().sum()
    del middle
    assert array() is None, "exp keeps its result, not its operand"
    node = weakref.ref(y._node.edges[0])
    y.backward()
    assert node() is None


def test_gradients_of_two_leaves_are_two_arrays():
    a, b = (Tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
    for create_graph in (False, True):
        a.grad = b.grad = None
        (a + b).sum().backward(create_graph=create_graph)
        assert not np.shares_memory(a.grad.data, b.grad.data)
        (a * 10).sum().backward()
        assert a.grad.tolist() == [11, 11]
        assert b.grad.tolist() == [1, 1]


# ---- gradients of gradients


def test_gradients_of_gradients_of_gradients():
    x = Tensor(2.0, requires_grad=True)
    wanted = [4 * 8.0, 12 * 4.0, 24 * 2.0, 24.0, 0.0]
    y = x**4
    for value in wanted:
        (y,) = grad(y, x, create_graph=True)
        assert y.item() == value


def test_a_penalty_on_the_gradient(x):
    """d/dx Σ (d/dx x³)² = 36 x³."""
    y = (x * x * x).sum()
    y.backward(create_graph=True)
    g, x.grad = x.grad, None
    (g * g).sum().backward()
    assert np.allclose(x.grad.data, 36 * x.data**3)


def test_create_graph_retains_the_graph_unless_told_otherwise(x):
    y = (x * x).sum()
    y.backward(create_graph=True)
    y.backward()
    z = (x * x).sum()
    z.backward(create_graph=True, retain_graph=False)
    with pytest.raises(RuntimeError, match="freed"):
        z.backward()


def test_without_create_graph_gradients_are_constants(x):
    (x * x).sum().backward()
    assert not x.grad.requires_grad
    with enable_grad():
        (g,) = grad((x * x).sum(), x)
    assert not g.requires_grad


# ---- grad()


def test_grad_leaves_every_grad_untouched(x):
    y = (x * 2).sum()
    assert grad(y, x)[0].tolist() == [2, 2, 2]
    assert x.grad is None


def test_grad_by_an_intermediate_result(x):
    middle = x * x
    y = (middle * 3).sum()
    by_middle, by_x = grad(y, [middle, x])
    assert by_middle.tolist() == [3, 3, 3]
    assert by_x.tolist() == [6, 12, 18]


def test_grad_of_several_outputs(x):
    (g,) = grad([x * 2, x.sum()], x, [np.array([1.0, 0, 0], np.float32), None])
    assert g.tolist() == [3, 1, 1]
    with pytest.raises(ValueError, match="2 outputs need as many grad_outputs, got 1"):
        grad([x * 2, x.sum()], x, [None])


def test_grad_of_itself(x):
    upstream = Tensor([1.0, 2.0, 3.0])
    y = x * 2
    (g,) = grad(y, y, upstream)
    assert g.tolist() == [1, 2, 3]
    assert not np.shares_memory(g.data, upstream.data)


# ---- changes in place


def test_a_changed_operand_is_detected(x):
    w = Tensor([1.0, 2.0, 3.0])
    y = (x * w).sum()
    w[0] = 5.0
    with pytest.raises(RuntimeError, match=r"backward of mul: its operand b was changed in place.*version 1, needed 0"):
        y.backward()
    assert x.grad is None


def test_a_changed_result_is_detected(x):
    y = x.exp()
    z = y.sum()
    with no_grad():
        y.mul_(2)
    with pytest.raises(RuntimeError, match="backward of exp: its result was changed in place"):
        z.backward()


@pytest.mark.parametrize(
    "view",
    [
        lambda t: t[1:],
        lambda t: t.reshape(2, 2),
        lambda t: t.unsqueeze(0).transpose(0, 1),
        lambda t: t.detach(),
        lambda t: t.flip(0),
        lambda t: t.to("float32"),
        lambda t: Tensor(t),
        lambda t: t.split(2)[1],
    ],
)
def test_a_change_is_seen_through_views(view):
    big = Tensor(np.ones(4, np.float32))
    x = Tensor(np.ones(4, np.float32), requires_grad=True)
    y = (x * big).sum()
    seen = view(big)
    assert np.shares_memory(seen.data, big.data)
    seen[0] = 3.0
    with pytest.raises(RuntimeError, match="operand b was changed in place"):
        y.backward()


def test_a_change_of_the_base_is_seen_by_what_kept_the_view(x):
    base = Tensor(np.ones((2, 3), np.float32))
    y = (x * base[0]).sum()
    base.zero_()
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.add_(1),
        lambda t: t.sub_(1, alpha=2),
        lambda t: t.mul_(2),
        lambda t: t.div_(2),
        lambda t: t.copy_(np.zeros(3)),
        lambda t: t.fill_(7),
        lambda t: t.zero_(),
        lambda t: t.__setitem__(0, 1),
        lambda t: t.__iadd__(1),
        lambda t: t.__isub__(1),
        lambda t: t.__imul__(1),
        lambda t: t.__itruediv__(1),
        lambda t: setattr(t, "data", np.zeros(3)),
        lambda t: t.mark_changed(),
    ],
)
def test_every_way_to_change_a_tensor_is_counted(x, change):
    w = Tensor([1.0, 2.0, 3.0])
    y = (x * w).sum()
    change(w)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_a_change_that_nobody_saved_does_no_harm(x):
    y = x + 1
    with no_grad():
        y.mul_(100)
    y.sum().backward()
    assert x.grad.tolist() == [1, 1, 1]


def test_an_optimizers_step_between_forward_and_backward_is_detected():
    w = Tensor([[1.0]], requires_grad=True)
    loss = ops.linear(Tensor([[2.0]], requires_grad=True), w).sum()
    with no_grad():
        w -= 0.1
    with pytest.raises(RuntimeError, match="operand weight was changed in place"):
        loss.backward()


# ---- memory


def training_step(w, bias, x, target):
    hidden = ops.relu(ops.linear(x, w, bias))
    loss = ops.cross_entropy(hidden, target)
    loss.backward()
    with no_grad():
        for p in (w, bias):
            p -= p.grad * 0.01
            p.grad = None


def objects():
    return sum(issubclass(type(o), (Node, Tensor)) for o in gc.get_objects())  # isinstance would wake dead proxies


def assert_flat(step):
    """Run a step a thousand times without the cycle collector; neither objects nor bytes may grow."""
    for _ in range(10):
        step()
    gc.collect()
    gc.disable()
    try:
        tracemalloc.start()
        step()
        count, size = objects(), tracemalloc.get_traced_memory()[0]
        for _ in range(1000):
            step()
        assert objects() == count
        assert tracemalloc.get_traced_memory()[0] < size + 20_000
    finally:
        tracemalloc.stop()
        gc.enable()


def test_a_thousand_training_steps_without_the_cycle_collector():
    rng = np.random.default_rng(0)
    w = Tensor(rng.standard_normal((10, 20)), requires_grad=True)
    bias = Tensor(np.zeros(10), requires_grad=True)
    x, target = Tensor(rng.standard_normal((8, 20))), rng.integers(0, 10, 8)
    assert_flat(lambda: training_step(w, bias, x, target))


def test_a_thousand_forward_passes_that_nobody_walks_back():
    w = Tensor(np.ones((10, 20)), requires_grad=True)
    x = np.ones((8, 20))
    assert_flat(lambda: ops.softmax(ops.linear(x, w).exp(), 1).mean())


def test_a_thousand_failed_backward_passes():
    w = Tensor(np.ones(20), requires_grad=True)

    def step():
        with contextlib.suppress(RuntimeError):
            (w * w).exp().backward()

    assert_flat(step)


def test_a_thousand_retained_gradients_and_hooks():
    w = Tensor(np.ones(20), requires_grad=True)

    def step():
        y = w * w
        y.retain_grad()
        y.register_hook(lambda g: g * 2)
        y.sum().backward()
        w.grad = None

    assert_flat(step)


# ---- accidents


def test_an_exception_in_the_middle_of_backward_leaves_no_trace(x):
    brittle = Op(lambda x: x * 1.0, "...", keeps=(), view=False, variadic=False, kernel=False)

    @brittle.vjp()
    def fail(g):
        raise ZeroDivisionError

    w = Tensor([1.0, 1.0, 1.0], requires_grad=True)
    loss = (brittle(x) * w).sum()
    with pytest.raises(ZeroDivisionError):
        loss.backward()
    assert is_grad_enabled()
    assert w.grad is None
    assert x.grad is None
    (x * w).sum().backward()
    assert x.grad.tolist() == [1, 1, 1]


def test_an_exception_inside_no_grad_restores_the_mode(x):
    with pytest.raises(KeyError), no_grad():
        raise KeyError
    assert is_grad_enabled()
    with pytest.raises(KeyError), detect_anomaly():
        raise KeyError
    assert not tinydl.modes.mode.anomaly
    assert (x * 2).requires_grad


def test_recording_can_be_switched():
    x = Tensor(1.0, requires_grad=True)
    with no_grad():
        assert not (x * 2).requires_grad
        with enable_grad():
            assert (x * 2).requires_grad
        with no_grad():
            pass
        assert not is_grad_enabled()
    for enabled in (True, False):
        with set_grad_enabled(enabled):
            assert is_grad_enabled() == enabled
        assert is_grad_enabled()
    set_grad_enabled(False)
    assert not is_grad_enabled()
    set_grad_enabled(True)
    assert is_grad_enabled()


def test_modes_decorate_functions():
    x = Tensor(1.0, requires_grad=True)

    @no_grad()
    def countdown(n):
        assert not is_grad_enabled()
        return countdown(n - 1) if n else x * 2

    assert not countdown(3).requires_grad
    assert is_grad_enabled()


def test_modes_belong_to_a_thread():
    seen, inside, go_on = [], threading.Event(), threading.Event()

    def other():
        seen.append(is_grad_enabled())
        with no_grad():
            inside.set()
            go_on.wait(10)
        seen.append(is_grad_enabled())

    with no_grad():
        thread = threading.Thread(target=other)
        thread.start()
        inside.wait(10)
        with enable_grad():
            go_on.set()
            thread.join()
    assert seen == [True, True]


def test_two_threads_differentiate_at_once():
    results = {}

    def work(k):
        w = Tensor(np.full(50, float(k)), requires_grad=True)
        for _ in range(200):
            w.grad = None
            (w * w).sum().backward()
        results[k] = w.grad.data

    threads = [threading.Thread(target=work, args=(k,)) for k in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(results[k], np.full(50, 2.0 * k)) for k in (1, 2, 3))


# ---- anomalies


def test_anomaly_mode_names_the_forward_op_that_made_the_first_nan():
    x = Tensor([-1.0], requires_grad=True)
    with (
        detect_anomaly(),
        pytest.raises(FloatingPointError, match=r"sqrt made the first NaN, called at .*test_autograd"),
    ):
        (x + 0.5).sqrt().exp().sum()
    with detect_anomaly():
        (x * np.nan).exp()


def test_anomaly_mode_names_the_forward_op_whose_backward_made_the_first_nan():
    x = Tensor([0.0], requires_grad=True)
    with detect_anomaly():
        y = ((x * 2).sqrt() * 0.0).sum()
        with pytest.raises(
            FloatingPointError, match=r"backward of sqrt, called at .*test_autograd.py:\d+, made the first"
        ):
            y.backward()
    assert x.grad is None
    z = ((x * 2).sqrt() * 0.0).sum()
    z.backward()
    assert np.isnan(x.grad.item())


# ---- hooks


def test_hooks_see_the_whole_gradient_and_may_replace_it(x):
    seen = []
    y = x * 2
    y.register_hook(lambda g: seen.append(g.tolist()))
    y.register_hook(lambda g: g * 10)
    x.register_hook(lambda g: seen.append(g.tolist()))
    (y + y).sum().backward()
    assert seen == [[2, 2, 2], [40, 40, 40]]
    assert x.grad.tolist() == [40, 40, 40]


def test_a_hook_can_be_removed(x):
    handle = x.register_hook(lambda g: g * 0)
    (x * 2).sum().backward()
    handle.remove()
    handle.remove()
    (x * 2).sum().backward()
    assert x.grad.tolist() == [2, 2, 2]


def test_hooks_are_part_of_the_graph_when_that_is_recorded(x):
    y = x * x
    y.register_hook(lambda g: g * x)
    (g,) = grad(y.sum(), x, create_graph=True)
    assert g.tolist() == [2 * v * v for v in (1, 2, 3)]
    assert grad(g.sum(), x)[0].tolist() == [4 * v for v in (1, 2, 3)]


def test_a_hook_that_returns_another_shape_is_refused(x):
    x.register_hook(lambda g: g.sum())
    with pytest.raises(ValueError, match=r"a hook returned a gradient of shape \(\), needed \(3,\)"):
        (x * 2).sum().backward()
    assert x.grad is None


def test_a_gradient_that_a_hook_returned_is_not_the_hooks_array(x):
    constant = Tensor([1.0, 1.0, 1.0])
    x.register_hook(lambda g: constant)
    for _ in range(3):
        (x * 2).sum().backward()
    assert constant.tolist() == [1, 1, 1]
    assert x.grad.tolist() == [3, 3, 3]


def test_hooks_need_a_gradient():
    with pytest.raises(RuntimeError, match="register_hook needs a Tensor that requires a gradient"):
        Tensor([1.0]).register_hook(print)


def test_retain_grad_keeps_the_gradient_of_a_result(x):
    middle = x * x
    middle.retain_grad()
    x.retain_grad()
    y = (middle * 3).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert middle.grad.tolist() == [6, 6, 6]
    assert x.grad.tolist() == [12, 24, 36]


def test_retained_gradients_are_arrays_of_their_own(x):
    a = x * 1.0
    b = a + 1.0
    a.retain_grad()
    b.retain_grad()
    b.sum().backward(retain_graph=True)
    b.sum().backward()
    assert a.grad.tolist() == b.grad.tolist() == [2, 2, 2]
    assert not np.shares_memory(a.grad.data, b.grad.data)


def test_retain_grad_does_not_keep_a_tensor_alive(x):
    middle = x * x
    middle.retain_grad()
    y = middle.sum()
    gone = weakref.ref(middle)
    del middle
    assert gone() is None
    y.backward()
