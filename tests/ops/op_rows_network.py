"""Rows of the op table: convolution, pooling, normalization, softmax, losses, dropout."""

from typing import Any

import numpy as np
from op_case import Rows, distinct, normal, off, positive, probabilities, with_options

from tinydl.methods import FUNCTIONS
from tinydl.op import FUSED
from tinydl.shapes import conv_output_size

ROWS = Rows()
case = ROWS.add

# ---- convolution: image sizes, kernels, strides and paddings differ by axis

CONVOLUTIONS: dict[str, tuple[tuple[int, ...], tuple[int, ...], tuple[Any, ...]]] = {
    "3 by 2": ((2, 2, 4, 5), (3, 2, 3, 2), (1, 0, 1, 1)),
    "stride 2, padding": ((1, 2, 5, 4), (2, 2, 3, 2), (2, 1, 1, 1)),
    "stride and padding by axis": ((1, 1, 5, 4), (2, 1, 2, 3), ((1, 2), (0, 1), 1, 1)),
    "stride leaves a rest": ((1, 1, 6, 5), (1, 1, 3, 2), (2, 0, 1, 1)),
    "dilation": ((1, 2, 5, 6), (2, 2, 2, 3), (1, 1, 2, 1)),
    "groups": ((1, 4, 4, 3), (4, 2, 2, 2), (1, 0, 1, 2)),
    "depthwise": ((2, 3, 4, 5), (3, 1, 3, 2), (1, 1, 1, 3)),
    "depthwise, stride 2, dilation": ((1, 3, 6, 5), (3, 1, 2, 2), (2, 1, 2, 3)),
    "depthwise, two each": ((1, 2, 4, 4), (4, 1, 2, 3), (1, 1, 1, 2)),
    "pointwise": ((2, 3, 2, 3), (4, 3, 1, 1), (1, 0, 1, 1)),
    "pointwise, stride 2": ((1, 3, 3, 4), (2, 3, 1, 1), (2, 0, 1, 1)),
    "one place": ((2, 2, 3, 3), (3, 2, 3, 3), (1, 0, 1, 1)),
}
for label, (x_shape, w_shape, options) in CONVOLUTIONS.items():
    x, weight, b = normal(*x_shape), normal(*w_shape), normal(w_shape[0])
    case("conv2d", label, x, weight, b, call=with_options("conv2d", *options))
    stride, padding, dilation = (n if isinstance(n, tuple) else (n, n) for n in options[:3])
    geometry = stride, padding, dilation, options[3]
    h, w = map(conv_output_size, x_shape[2:], w_shape[2:], stride, padding, dilation)
    g = normal(x_shape[0], w_shape[0], h, w)
    case("conv2d_input_grad", label, g, weight, call=with_options("conv2d_input_grad", x_shape, *geometry))
    case("conv2d_weight_grad", label, g, x, call=with_options("conv2d_weight_grad", w_shape, *geometry))
    case("cross_correlation", label, x, weight, b, call=with_options("cross_correlation", *geometry))
    case("conv2d_gradients", label, g, x, weight, call=with_options("conv2d_gradients", *geometry))
    clamped = with_options("conv2d_clamped", *geometry, -50.0, 60.0)
    case("conv2d_clamped", label, x, weight, b, positive(w_shape[0]), call=clamped)
for kernel in ((3, 3), (2, 4), (1, 2)):
    x, w = normal(1, 2, 4, 5), normal(2, 2, *kernel)
    case("conv2d", f"same padding, kernel {kernel}", x, w, call=with_options("conv2d", padding="same"))
case("conv2d", "one image without a batch", normal(2, 4, 3), normal(2, 2, 2, 2))
case("conv2d", "empty batch", normal(0, 2, 4, 3), normal(2, 2, 2, 2), normal(2))
case("conv2d_bias_grad", "images", normal(2, 3, 2, 4))
TRANSPOSED: dict[str, tuple[int, dict[str, Any]]] = {
    "plain": (2, {}),
    "stride 2, output padding": (2, {"stride": 2, "padding": 1, "output_padding": 1}),
    "by axis": (1, {"stride": (1, 3), "output_padding": (0, 2), "dilation": (2, 1)}),
    "output padding as large as the stride": (1, {"dilation": 2, "output_padding": 1}),
    "groups": (1, {"stride": 2, "groups": 2}),
}
for label, (outputs, named) in TRANSPOSED.items():
    b = normal(outputs * named.get("groups", 1))
    call = with_options("conv_transpose2d", **named)
    case("conv_transpose2d", label, normal(1, 2, 3, 2), normal(2, outputs, 2, 3), b, call=call)

# ---- pooling

WINDOWS: dict[str, dict[str, Any]] = {
    "2": {"kernel_size": 2},
    "3 by 2, stride 2, padding 1": {"kernel_size": (3, 2), "stride": 2, "padding": 1},
    "overlapping": {"kernel_size": 3, "stride": 1},
    "ceil mode": {"kernel_size": 2, "stride": 3, "ceil_mode": True},
    "ceil mode, padding": {"kernel_size": (2, 3), "stride": 2, "padding": 1, "ceil_mode": True},
}
for label, named in WINDOWS.items():
    case("max_pool2d", label, distinct(1, 2, 4, 5), call=with_options("max_pool2d", **named))
    case("avg_pool2d", label, normal(1, 2, 4, 5), call=with_options("avg_pool2d", **named))
    not_counted = with_options("avg_pool2d", count_include_pad=False, **named)
    case("avg_pool2d", f"{label}, padding not counted", normal(1, 2, 4, 5), call=not_counted)
case("max_pool2d", "dilation", distinct(1, 1, 5, 6), call=with_options("max_pool2d", 2, 1, dilation=(2, 3)))
case("max_pool2d", "one image without a batch", distinct(2, 4, 5), call=with_options("max_pool2d", 2))
case("max_pool2d", "empty batch", distinct(0, 2, 4, 5), call=with_options("max_pool2d", 2))
POOL = (2, 3), (2, 1), (1, 1), (1, 1), (3, 5)
case("max_pool", "every argument", distinct(1, 2, 4, 5), call=with_options("max_pool", *POOL))
case("max_pool_relu", "every argument", distinct(1, 2, 4, 5), call=with_options("max_pool_relu", *POOL))
case("max_pool2d", "with ReLU", distinct(1, 2, 4, 5), call=with_options("max_pool2d", 2, relu=True))
WHERE = np.array([[[[0, 6], [-1, 15]], [[5, 2], [12, 11]]]], np.int32)


def conv_max_pool_grad(by_x: bool) -> Any:
    return lambda g, x, weight: FUSED["conv_max_pool_grad"](g, WHERE, x, weight, by_x, (1, 1), (0, 1), (1, 1), 1)


for relu in (False, True):
    x, w, options = normal(1, 2, 4, 7), normal(3, 2, 2, 2), ((1, 2), (1, 0), (1, 1), 1, relu)
    case("conv_max_pool", f"relu: {relu}", x, w, normal(3), call=with_options("conv_max_pool", *options))
    case("conv_max_pool", f"no bias, relu: {relu}", x, w, call=with_options("conv_max_pool", None, *options))
call = with_options("conv_max_pool", (1, 1), (0, 1), (1, 2), 2, True)
case("conv_max_pool", "groups, dilation", normal(2, 4, 4, 5), normal(4, 2, 2, 2), normal(4), call=call)
for by_x in (False, True):
    x, w = normal(1, 2, 5, 4), normal(2, 2, 2, 3)
    case("conv_max_pool_grad", f"by x: {by_x}", normal(1, 2, 2, 2), x, w, call=conv_max_pool_grad(by_x))
INDICES = np.array([[[[0, 5], [5, 19]], [[3, 3], [3, 8]]]], np.int32)
case("max_pool_grad", "repeats", normal(1, 2, 2, 2), call=with_options("max_pool_grad", INDICES, (1, 2, 4, 5)))
FOURS = np.array([[[[0, 8], [16, -1]], [[6, 7], [15, 13]]]], np.int32)
case("max_pool_grad", "quarters", normal(1, 2, 2, 2), call=with_options("max_pool_grad", FOURS, (1, 2, 4, 5), True))
case("max_pool_gather", "repeats", normal(1, 2, 4, 5), call=with_options("max_pool_gather", INDICES))
KERNEL, STRIDE, PADDING, _, SIZE = POOL
for counted in (True, False):
    options = KERNEL, STRIDE, PADDING
    case("avg_pool", str(counted), normal(1, 2, 4, 5), call=with_options("avg_pool", *options, SIZE, counted))
    call = with_options("avg_pool_grad", (1, 2, 4, 5), *options, counted)
    case("avg_pool_grad", str(counted), normal(1, 2, *SIZE), call=call)
for size in (1, 2, (3, 2), (None, 4), (5, 7)):
    case("adaptive_avg_pool2d", str(size), normal(1, 2, 4, 5), call=with_options("adaptive_avg_pool2d", size))
    case("adaptive_max_pool2d", str(size), distinct(1, 2, 4, 5), call=with_options("adaptive_max_pool2d", size))
case("adaptive_avg_pool", "bins", normal(1, 2, 4, 5), call=with_options("adaptive_avg_pool", (3, 2)))
case("adaptive_max_pool", "bins", distinct(1, 2, 4, 5), call=with_options("adaptive_max_pool", (3, 2)))
case("adaptive_avg_pool_grad", "bins", normal(1, 2, 3, 2), call=with_options("adaptive_avg_pool_grad", (1, 2, 4, 5)))
case("global_avg_pool2d", "images", normal(2, 3, 2, 4))

# ---- normalization

EPS = 1e-2


def batch_norm_grad(g: Any, x: Any, weight: Any = None) -> Any:
    plain = x if isinstance(x, np.ndarray) else x.data
    axes = (0, *range(2, plain.ndim))
    return FUSED["batch_norm_grad"](g, x, weight, plain.mean(axes), 1 / np.sqrt(plain.var(axes) + EPS), EPS)


def batch_norm_relu_grad(g: Any, x: Any, weight: Any = None) -> Any:
    plain = x if isinstance(x, np.ndarray) else x.data
    axes = (0, *range(2, plain.ndim))
    y = np.where(np.arange(plain.size).reshape(plain.shape) % 3, 1.0, 0.0)
    rstd = 1 / np.sqrt(plain.var(axes) + EPS)
    return FUSED["batch_norm_relu_grad"](g, x, y, weight, plain.mean(axes), rstd, EPS)


def standardize_grad(g: Any, x: Any) -> Any:
    plain = x if isinstance(x, np.ndarray) else x.data
    rstd = 1 / np.sqrt(plain.var(1) + EPS)
    y = (plain - plain.mean(1, keepdims=True)) * rstd[:, None]
    return FUSED["standardize_grad"](g, x, y if x is plain else type(x)(y), rstd, EPS)


def evaluation(x: Any, weight: Any = None, bias: Any = None) -> Any:
    return FUNCTIONS["batch_norm"](x, np.array([0.1, -0.2]), np.array([0.5, 1.5]), weight, bias, eps=EPS)


def training(x: Any, weight: Any = None, bias: Any = None) -> Any:
    return FUNCTIONS["batch_norm"](x, None, None, weight, bias, True, eps=EPS)


def rectified(x: Any, weight: Any, bias: Any) -> Any:
    return FUNCTIONS["batch_norm"](x, None, None, weight, bias, True, eps=EPS, relu=True)


for shape in ((4, 2), (2, 2, 3), (2, 2, 2, 3)):
    x, v = normal(*shape), positive(2)
    case("batch_norm", f"training {shape}", x, v, normal(2), call=training)
    case("batch_norm", f"evaluation {shape}", x, v, normal(2), call=evaluation)
    case("channel_affine", str(shape), x, v, normal(2))
    case(
        "batch_norm_eval", str(shape), x, normal(2), v, v, normal(2), call=lambda *a: FUSED["batch_norm_eval"](*a, EPS)
    )
    case("batch_norm_grad", str(shape), normal(*shape), x, v, call=batch_norm_grad)
    call = with_options("batch_norm_train", EPS)
    case("batch_norm_train", str(shape), x, v, normal(2), call=call)
    call = with_options("batch_norm_relu_train", EPS)
    case("batch_norm_relu_train", str(shape), x, v, normal(2), call=call)
    case("batch_norm_relu_grad", str(shape), normal(*shape), x, v, call=batch_norm_relu_grad)
    case("batch_norm", f"training with ReLU {shape}", x, v, normal(2), call=rectified)
case("batch_norm", "training, no affine", normal(3, 2, 2), call=training)
case("batch_norm", "evaluation, no affine", normal(3, 2, 2), call=evaluation)
case("batch_norm", "training, weight only", normal(3, 2, 2), positive(2), call=training)
case("standardize", "rows", normal(3, 4), call=with_options("standardize", EPS))
case("standardize_grad", "rows", normal(3, 4), normal(3, 4), call=standardize_grad)
for label, shape, tail in (("rows", (3, 4), (4,)), ("two axes", (2, 2, 3), (2, 3)), ("empty", (0, 3), (3,))):
    call = lambda *a, t=tail: FUNCTIONS["layer_norm"](a[0], t, *a[1:], eps=EPS)  # noqa: E731
    case("layer_norm", label, normal(*shape), positive(*tail), normal(*tail), call=call)
    case("layer_norm", f"{label}, no affine", normal(*shape), call=call)
for groups in (1, 2, 4):
    call = lambda *a, n=groups: FUNCTIONS["group_norm"](a[0], n, *a[1:], eps=EPS)  # noqa: E731
    case("group_norm", f"groups {groups}", normal(2, 4, 1, 3), positive(4), normal(4), call=call)

# ---- softmax and losses

for op in ("softmax", "log_softmax"):
    for dim in (0, 1, -1):
        case(op, f"dim {dim}", normal(2, 3, 2), call=with_options(op, dim))
    case(op, "empty", normal(0, 3), call=with_options(op, 1))
case("softmax_grad", "rows", normal(3, 4), probabilities(1, 3, 4), call=with_options("softmax_grad", 1))
log_of = lambda g, p: FUSED["log_softmax_grad"](g, FUNCTIONS["log"](p), 1)  # noqa: E731
case("log_softmax_grad", "rows", normal(3, 4), probabilities(1, 3, 4), call=log_of)

WEIGHT = np.array([0.5, 2.0, 1.0])
TARGETS: dict[tuple[int, ...], np.ndarray] = {
    (4, 3): np.array([2, 0, -100, 1]),
    (3,): np.array(1),
    (2, 3, 2): np.array([[2, 0], [1, -100]]),
}
for shape, target in TARGETS.items():
    for reduction in ("none", "sum", "mean"):
        for weight in (None, WEIGHT):
            label = f"{shape} {reduction} {'plain' if weight is None else 'weighted'}"
            call = with_options("nll_loss", target, weight, reduction=reduction)
            case("nll_loss", label, normal(*shape), call=call)
            for smoothing in (0.0, 0.2):
                options = (target, weight, -100, reduction, smoothing)
                name = f"{label}, smoothing {smoothing}"
                case("cross_entropy", name, normal(*shape), call=with_options("cross_entropy", *options))
    for weight in (None, WEIGHT):
        axis = min(len(shape) - 1, 1)
        label = f"probabilities {shape} {'plain' if weight is None else 'weighted'}"
        call = with_options("cross_entropy", weight, label_smoothing=0.1)
        case("cross_entropy", label, normal(*shape), probabilities(axis, *shape), call=call)
FLAT = np.array([2, 0, -100, 1])
for weight in (None, WEIGHT):
    label = "plain" if weight is None else "weighted"
    for total in (None, 2.5):
        options = FLAT, weight, -100, 0.2, total
        name, shape = f"{label}, total {total}", (4,) if total is None else ()
        case("cross_entropy_of_labels", name, normal(4, 3), call=with_options("cross_entropy_of_labels", *options))
        grad = with_options("cross_entropy_of_labels_grad", *options)
        case("cross_entropy_of_labels_grad", name, normal(*shape), normal(4, 3), call=grad)
    case("pick_nll", label, normal(4, 3), call=with_options("pick_nll", FLAT, weight, -100))
    case("pick_nll_grad", label, normal(4), call=with_options("pick_nll_grad", FLAT, weight, -100, 3))

for reduction in ("none", "sum", "mean"):
    case("mse_loss", reduction, normal(3, 4), normal(3, 4), call=with_options("mse_loss", reduction))
    apart = off([0.0], 3, 4)
    far = lambda rng: off([5.0], 3, 4)(rng)  # noqa: E731
    case("l1_loss", reduction, apart, far, call=with_options("l1_loss", reduction))
for beta in (0.0, 0.5, 1.0):
    call = lambda x, b=beta: FUNCTIONS["smooth_l1_loss"](x, np.zeros((3, 4)), "mean", b)  # noqa: E731
    case("smooth_l1_loss", f"beta {beta}", off([-1.0, -0.5, 0.0, 0.5, 1.0], 3, 4), call=call)
bce = "binary_cross_entropy_with_logits"
case(bce, "mean", normal(3, 4), probabilities(1, 3, 4))
case(bce, "weights", normal(3, 4), probabilities(1, 3, 4), call=with_options(bce, np.array([0.5, 1, 2, 1]), "sum"))
case(
    bce,
    "pos_weight",
    normal(3, 4),
    probabilities(1, 3, 4),
    positive(4),
    call=lambda x, q, w: FUNCTIONS[bce](x, q, None, "none", w),
)
for reduction in ("none", "batchmean", "mean"):
    case("kl_div", reduction, normal(3, 4), probabilities(1, 3, 4), call=with_options("kl_div", reduction))
case("kl_div", "log_target", normal(3, 4), normal(3, 4), call=with_options("kl_div", "sum", True))

# ---- random numbers, the same ones at every call

for op in ("dropout", "drop_path"):
    for p in (0.0, 0.4, 1.0):
        call = lambda x, f=FUNCTIONS[op], p=p: f(x, p, True, np.random.default_rng(1))  # noqa: E731
        case(op, f"p {p}", normal(3, 4), call=call)
    case(op, "evaluation", normal(3, 4), call=with_options(op, 0.5, False))
case("scale_mask", "matrix", normal(3, 4), call=with_options("scale_mask", np.arange(12).reshape(3, 4) % 3 > 0, 1.5))
