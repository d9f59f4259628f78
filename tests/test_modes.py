"""Recording, anomaly mode and observers: switches of a thread, put back whatever happens."""

import threading

import numpy as np
import pytest

from tinydl import modes, ops
from tinydl.modes import detect_anomaly, enable_grad, is_grad_enabled, no_grad, observe, set_grad_enabled
from tinydl.tensor import Tensor


@pytest.fixture
def x():
    return Tensor([1.0, 2.0, 3.0], requires_grad=True)


# ---- recording


def test_an_exception_inside_no_grad_restores_the_mode(x):
    with pytest.raises(KeyError), no_grad():
        raise KeyError
    assert is_grad_enabled()
    with pytest.raises(KeyError), detect_anomaly():
        raise KeyError
    assert not modes.mode.anomaly
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


# ---- anomalies


def test_anomaly_mode_names_the_forward_op_that_made_the_first_nan():
    x = Tensor([-1.0], requires_grad=True)
    with (
        detect_anomaly(),
        pytest.raises(FloatingPointError, match=r"sqrt made the first NaN, called at .*test_modes"),
    ):
        (x + 0.5).sqrt().exp().sum()
    with detect_anomaly():
        (x * np.nan).exp()


def test_anomaly_mode_names_the_forward_op_whose_backward_made_the_first_nan():
    x = Tensor([0.0], requires_grad=True)
    with detect_anomaly():
        y = ((x * 2).sqrt() * 0.0).sum()
        with pytest.raises(
            FloatingPointError, match=r"backward of sqrt, called at .*test_modes.py:\d+, made the first"
        ):
            y.backward()
    assert x.grad is None
    z = ((x * 2).sqrt() * 0.0).sum()
    z.backward()
    assert np.isnan(x.grad.item())


# ---- observers


def names_of(observed):
    return lambda op, arrays, options, y, kept: observed.append(op.name)


def test_an_observer_is_told_of_each_op_with_its_node(x):
    calls = []
    with observe(lambda *call: calls.append(call)):
        y = ops.max_pool2d(ops.reshape(x * 2.0, (1, 1, 1, 3)), (1, 3), return_indices=True)[0]
    assert [op.name for op, *_ in calls] == ["mul", "reshape", "max_pool"]
    op, arrays, options, result, (indices,) = calls[2]
    assert op.name == result._node.op.name
    assert result is y
    assert arrays[0] is calls[1][3].data
    assert options["kernel"] == (1, 3)
    assert indices.item() == 2
    assert len(calls) == 3
    y.sum()
    assert len(calls) == 3


def test_an_observer_sees_updates_in_place_and_no_arrays():
    observed = []
    x, y = Tensor([1.0]), Tensor([2.0])
    with observe(names_of(observed)):
        x += y
        x -= 1.0
        x.mul_(y).div_(y)
        ops.add(np.ones(2), np.ones(2))
    assert observed == ["add", "sub", "mul", "div"]
    assert x.item() == 2


def test_an_observer_sees_fused_kernels(x):
    observed = []
    norm = Tensor([1.0]), Tensor([4.0]), None, None
    with observe(lambda *call: observed.append(call)), no_grad():
        y = ops.batch_norm(x.reshape(3, 1), *norm, training=False)
    (_, arrays, options, result, kept) = observed[1]
    assert [op.name for op, *_ in observed] == ["reshape", "batch_norm_eval"]
    assert arrays[0] is observed[0][3].data
    assert result is y
    assert (options, kept) == ({}, [])


def test_observers_nest_and_leave_anomaly_mode_alone(x):
    outer, inner = [], []
    with observe(names_of(outer)), detect_anomaly():
        x + 1.0
        with observe(names_of(inner)):
            x * 1.0
        with pytest.raises(FloatingPointError):
            (x - 5.0).sqrt()
        x / 2.0
    assert (outer, inner) == (["add", "sub", "div"], ["mul"])
    assert not modes.mode.watched
    with pytest.raises(KeyError), observe(names_of(outer)):
        raise KeyError
    assert not modes.mode.watched
    with detect_anomaly(), observe(names_of(inner)):
        pass
    assert not modes.mode.watched


def test_observers_belong_to_a_thread(x):
    observed = []
    with observe(names_of(observed)):
        thread = threading.Thread(target=lambda: x + 1.0)
        thread.start()
        thread.join()
    assert not observed
