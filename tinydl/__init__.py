"""tinydl: a small deep learning engine in NumPy, with Numba twins for its hot kernels.

Names are PyTorch's where PyTorch has them: `import tinydl as torch` runs a program that stays inside the covered subset.
"""

from tinydl import data, kernels, nn, ops, optim, zoo
from tinydl.autograd import grad
from tinydl.checkpoint import load, save
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
from tinydl.kernels.threads import num_threads, set_num_threads
from tinydl.modes import detect_anomaly, enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from tinydl.names import device, double, float32, float64, int32, int64, long, uint8
from tinydl.ops import (
    abs,
    add,
    all,
    amax,
    amin,
    any,
    argmax,
    argmin,
    cat,
    chunk,
    clamp,
    clone,
    cos,
    div,
    eq,
    erf,
    exp,
    flatten,
    flip,
    gather,
    ge,
    gt,
    index_select,
    isfinite,
    isnan,
    le,
    log,
    log_softmax,
    logsumexp,
    lt,
    matmul,
    max,
    maximum,
    mean,
    min,
    minimum,
    mul,
    ne,
    neg,
    norm,
    permute,
    pow,
    relu,
    reshape,
    sigmoid,
    sign,
    sin,
    softmax,
    split,
    sqrt,
    squeeze,
    stack,
    std,
    sub,
    sum,
    tanh,
    transpose,
    unsqueeze,
    var,
    where,
)
from tinydl.random import manual_seed
from tinydl.tensor import Tensor, from_numpy, tensor
from tinydl.train import evaluate, fit

__version__ = "0.1.0"
