"""Recording and anomaly mode: switches of a thread, put back whatever happens."""

import threading

import numpy as np
import pytest

from tinydl import modes
from tinydl.modes import detect_anomaly, enable_grad, is_grad_enabled, no_grad, set_grad_enabled
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
