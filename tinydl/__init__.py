"""tinydl: a small deep learning engine in NumPy, with Numba twins for its hot kernels."""

from tinydl.autograd import backward, grad
from tinydl.creation import (
    arange,
    eye,
    full,
    linspace,
    ones,
    ones_like,
    rand,
    randint,
    randn,
    randperm,
    zeros,
    zeros_like,
)
from tinydl.gradcheck import gradcheck, gradgradcheck
from tinydl.modes import detect_anomaly, enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from tinydl.tensor import Tensor, from_numpy, tensor

__version__ = "0.1.0"
