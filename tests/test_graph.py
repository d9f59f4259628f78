"""What the walk back frees, how much it keeps, and what an accident leaves behind."""

import contextlib
import gc
import threading
import tracemalloc
import weakref

import numpy as np
import pytest

from tinydl import ops
from tinydl.graph import Node
from tinydl.modes import is_grad_enabled, no_grad
from tinydl.op import Op
from tinydl.tensor import Tensor


@pytest.fixture
def x():
    return Tensor([1.0, 2.0, 3.0], requires_grad=True)


# ---- long chains


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


@pytest.mark.parametrize("n", [3, 1 << 17])
def test_gradients_of_several_paths_are_added_up_and_leave_each_other_alone(n):
    """Each path brings the very array that came from above, which the sum must not write to; threads add large ones."""
    x = Tensor(np.arange(n, dtype=np.float32), requires_grad=True)
    middle = x * 2.0
    g = Tensor(np.full(n, 3.0, np.float32))
    (middle + middle + middle + middle).backward(g)
    np.testing.assert_array_equal(x.grad.data, np.full(n, 24.0, np.float32))
    np.testing.assert_array_equal(g.data, np.full(n, 3.0, np.float32))


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
