"""Rows of the op table: arithmetic, activations, reductions, movement, indexing, matrices."""

from typing import Any

import numpy as np
from op_case import Rows, distinct, normal, of_list, off, positive, with_options

from tinydl.methods import FUNCTIONS
from tinydl.op import FUSED

ROWS = Rows()
case = ROWS.add

# ---- element by element

for op in ("add", "sub", "mul"):
    case(op, "same shape", normal(3, 4), normal(3, 4))
    case(op, "both stretched", normal(3, 1), normal(2, 1, 4))
    case(op, "0-d", normal(), normal(2, 3))
    case(op, "empty", normal(0, 3), normal(3))
    case(op, "number on the right", normal(2, 3), call=with_options(op, 2.5))
    case(op, "number on the left", normal(2, 3), call=lambda x, f=FUNCTIONS[op]: f(2.5, x))
    case(op, "an integer array", normal(2, 3), call=with_options(op, np.array([1, -2, 3])))

case("div", "same shape", normal(3, 4), positive(3, 4))
case("div", "both stretched", normal(3, 1), positive(2, 1, 4))
case("div", "number on the left", positive(2, 3), call=lambda x: FUNCTIONS["div"](2.5, x))
case("pow", "both", positive(3, 4), normal(4))
case("pow", "stretched base", positive(3, 1), normal(3, 4))
for exponent in (0, 1, 2, -1, 3, 0.5):
    case("pow", f"exponent {exponent}", positive(2, 3), call=with_options("pow", exponent))
case("pow", "square of negatives", normal(2, 3), call=with_options("pow", 2))
case("pow", "number as base", normal(2, 3), call=lambda x: FUNCTIONS["pow"](2.5, x))
case("pow", "0 as base", positive(2, 3), call=lambda x: FUNCTIONS["pow"](0.0, x))

for op in ("neg", "exp", "sin", "cos", "erf", "clone", "sigmoid", "tanh", "silu", "mish"):
    case(op, "matrix", normal(3, 4))
    case(op, "0-d", normal())
    case(op, "empty", normal(2, 0))
for op in ("log", "sqrt"):
    case(op, "matrix", positive(3, 4))
    case(op, "0-d", positive())
case("abs", "matrix", off([0], 3, 4))
case("sign", "matrix", off([0], 3, 4))
case("to", "float64", normal(3, 4), call=with_options("to", "float64"))
case("to", "cpu", normal(3, 4), call=with_options("to", "cpu"))

for op in ("maximum", "minimum"):
    case(op, "same shape", distinct(3, 4), lambda rng: distinct(3, 4)(rng) + 0.02)
    case(op, "stretched", distinct(3, 1), lambda rng: distinct(3, 4)(rng) + 0.02)
    case(op, "a number", off([0.5], 3, 4), call=with_options(op, 0.5))
MASK = np.array([[True], [False], [True]])
case("where", "same shape", normal(3, 4), normal(3, 4), call=lambda a, b: FUNCTIONS["where"](MASK, a, b))
case("where", "all stretched", normal(4), normal(1, 1), call=lambda a, b: FUNCTIONS["where"](MASK, a, b))
case("where", "a number", normal(3, 4), call=lambda a: FUNCTIONS["where"](MASK, a, 1.5))
case("clamp", "both bounds", off([-0.5, 0.5], 3, 4), call=with_options("clamp", -0.5, 0.5))
case("clamp", "lower bound", off([0.2], 3, 4), call=with_options("clamp", 0.2))
case("clamp", "upper bound", off([0.2], 3, 4), call=with_options("clamp", max=0.2))

SUM = off([0.0, 1.5], 3, 4), lambda rng: 0.01 * normal(3, 4)(rng)
case("add_clamped", "both bounds", *SUM, call=with_options("add_clamped", 0.0, 1.5))

for op in ("hard_swish_in_place", "silu_in_place"):
    case(op, "of a copy", off([-3.0, 3.0], 3, 5), call=lambda x, f=FUSED[op]: f(1.0 * x))

for op in ("eq", "ne", "lt", "le", "gt", "ge"):
    case(op, "stretched", distinct(3, 4), distinct(4), order=0)
    case(op, "a number", distinct(3, 4), call=with_options(op, 0.03), order=0)
for op in ("isnan", "isfinite", "logical_not"):
    case(op, "matrix", normal(3, 4), order=0)
case("bitwise_not", "of a comparison", normal(3, 4), call=lambda x: FUNCTIONS["bitwise_not"](x > 0), order=0)
for op in ("bitwise_and", "bitwise_or"):
    case(op, "of comparisons", normal(3, 4), call=lambda x, f=FUNCTIONS[op]: f(x > 0, x < 1), order=0)

# ---- activations and their gradients

KINKS = {"relu": [0.0], "relu6": [0.0, 6.0], "hardsigmoid": [-3.0, 3.0], "hardswish": [-3.0, 3.0]}
for op, kinks in KINKS.items():
    case(op, "matrix", off(kinks, 3, 5))
    case(op, "images", off(kinks, 2, 3, 2, 4))
    case(op, "0-d", off(kinks))
    case(op, "empty", off(kinks, 0, 3))
    case(f"{op}_grad", "matrix", normal(3, 5), off(kinks, 3, 5))
OPTIONS: dict[str, list[tuple[Any, ...]]] = {
    "leaky_relu": [(0.01,), (0.3,)],
    "elu": [(1.0,), (0.5,)],
    "gelu": [("none",), ("tanh",)],
    "swish": [(1.0,), (1.7,), (0.0,)],
    "softplus": [(1.0, 20.0), (2.0, 1.5)],
}
for op, choices in OPTIONS.items():
    for options in choices:
        case(op, str(options), off([0.0, 0.75], 3, 5), call=with_options(op, *options))
        grad = with_options(f"{op}_grad", *options)
        case(f"{op}_grad", str(options), normal(3, 5), off([0.0, 0.75], 3, 5), call=grad)
for op in ("sigmoid_grad", "tanh_grad", "mish_grad"):
    case(op, "matrix", normal(3, 5), positive(3, 5))

# ---- straight-through estimates: numbers a quarter of a step off the grid, so that float32 rounds as float64 does

STEPS = off([i + 0.5 for i in range(-5, 6)], 3, 4)
case("fake_quantize", "one scale", STEPS, lambda rng: np.asarray(1.0), exact=False)
case("fake_quantize", "a number", STEPS, call=with_options("fake_quantize", 1.0, 1, -3, 4), exact=False)
ROW_ZEROS = np.array([[1], [-2], [0]])
case(
    "fake_quantize",
    "a scale a row",
    STEPS,
    lambda rng: np.array([[1.0], [0.5], [2.0]]),
    call=with_options("fake_quantize", ROW_ZEROS, -4, 3),
    exact=False,
)

# ---- reductions

for op in ("sum", "mean", "amax", "amin", "logsumexp", "var", "std"):
    for dim in (None, 0, -1, (0, 2), [1], (0, 1, 2)):
        case(op, f"dim {dim}", distinct(2, 3, 2), call=with_options(op, dim))
        case(op, f"dim {dim} kept", distinct(2, 3, 2), call=with_options(op, dim, keepdim=True))
for op in ("sum", "mean", "amax", "amin", "logsumexp"):
    case(op, "0-d", normal())
case("sum", "empty", normal(0, 3))
case("sum", "over an empty axis", normal(0, 3), call=with_options("sum", 0))
case("var", "correction 0", normal(3, 4), call=with_options("var", 1, 0))
case("std", "unbiased False", normal(3, 4), call=with_options("std", 1, unbiased=False))
for op in ("max", "min"):
    case(op, "all", distinct(3, 4))
    case(op, "dim 1", distinct(3, 4), call=with_options(op, 1))
    case(op, "dim 0 kept", distinct(3, 4), call=with_options(op, 0, True))
for op in ("argmax", "argmin"):
    case(op, "all", distinct(3, 4), order=0)
    case(op, "dim 1 kept", distinct(3, 4), call=with_options(op, 1, True), order=0)
for op in ("any", "all"):
    case(op, "dim 1", normal(3, 4), call=with_options(op, 1), order=0)
for p in (1, 2, 3, 1.5, np.inf):
    case("norm", f"p {p}", distinct(3, 4), call=with_options("norm", p))
    case("norm", f"p {p} of rows", distinct(3, 4), call=with_options("norm", p, 1, True))

# ---- movement

case("reshape", "to a matrix", normal(2, 3, 2), call=with_options("reshape", (4, -1)))
case("reshape", "0-d", normal(), call=with_options("reshape", (1, 1)))
case("permute", "backwards", normal(2, 3, 4), call=with_options("permute", (2, -3, 1)))
case("transpose", "outer axes", normal(2, 3, 4), call=with_options("transpose", 0, -1))
case("expand", "new and old axes", normal(2, 1), call=with_options("expand", (4, -1, 3)))
case("expand", "0-d", normal(), call=with_options("expand", (2, 3)))
case("sum_stretched", "to a column", normal(4, 2, 3), call=with_options("sum_stretched", (2, 1)))
case("sum_stretched", "to 0-d", normal(2, 3), call=with_options("sum_stretched", ()))
case("cat", "rows", normal(1, 3), normal(2, 3), call=of_list("cat"))
case("cat", "columns", normal(2, 1), normal(2, 3), normal(2, 0), call=of_list("cat", -1))
case("cat", "one piece twice", normal(2, 3), call=lambda x: FUNCTIONS["cat"]([x, x], 1))
case("stack", "in front", normal(2, 3), normal(2, 3), call=of_list("stack"))
case("stack", "behind", normal(2, 3), normal(2, 3), call=of_list("stack", -1))
case("split", "equal", normal(5, 2), call=with_options("split", 2))
case("split", "listed", normal(2, 5), call=with_options("split", [1, 0, 4], 1))
case("chunk", "three", normal(7, 2), call=with_options("chunk", 3))
case("flip", "both", normal(3, 2), call=with_options("flip", (0, 1)))
case("flatten", "inner", normal(2, 3, 2), call=with_options("flatten", 1))
case("flatten", "0-d", normal())
case("squeeze", "all", normal(1, 3, 1))
case("squeeze", "one", normal(1, 3, 1), call=with_options("squeeze", -1))
case("unsqueeze", "behind", normal(2, 3), call=with_options("unsqueeze", -1))
case("shuffled_pair", "images", normal(2, 3, 2, 2), normal(2, 3, 2, 2))
case("channel_shuffle", "groups 3", normal(2, 6, 2), call=with_options("channel_shuffle", 3))
case("deal_channels", "images", normal(2, 6, 2, 3), call=with_options("deal_channels", 2))
case("deal_channels", "rows", normal(2, 6), call=with_options("deal_channels", 3))

# ---- indexing

INDICES: dict[str, Any] = {
    "number": 1,
    "negative": -1,
    "slice": slice(None, None, 2),
    "new axis": (None, 0),
    "ellipsis": (..., 1),
    "list with a repeat": [0, 2, 0],
    "array of columns": (slice(None), np.array([[0, 1], [1, 1]])),
    "pairs": (np.array([0, 1, 0]), np.array([1, 2, 1])),
    "mask": np.arange(12).reshape(3, 4) % 3 == 0,
    "empty": slice(0, 0),
}
for label, index in INDICES.items():
    case("getitem", label, normal(3, 4), call=with_options("getitem", index))
    case("pick", label, normal(3, 4), call=with_options("pick", index))
    g_shape = np.empty((3, 4))[index].shape
    case("put", label, normal(*g_shape), call=with_options("put", (3, 4), index))
TARGET = np.array([[0, 2, 2], [1, 0, 1]])
for dim in (0, -1):
    call = with_options("gather", dim, TARGET)
    case("gather", f"dim {dim}", normal(3, 3), call=call)
case("index_select", "columns", normal(2, 4), call=with_options("index_select", 1, np.array([3, 0, 3])))
case("embedding", "with a repeat", normal(4, 3), call=lambda w: FUNCTIONS["embedding"](TARGET, w))
case("one_hot", "classes", call=lambda: FUNCTIONS["one_hot"](TARGET, 4), order=0)
for mode in ("constant", "reflect", "replicate"):
    case("pad", mode, normal(2, 3, 4), call=with_options("pad", (1, 2, 0, 1), mode))
case("pad", "cropping", normal(3, 4), call=with_options("pad", (-1, 2, 0, -1), "constant", 1.5))
case("constant_pad", "and crop", normal(3, 4), call=with_options("constant_pad", ((1, -2), (-1, 0)), 0.5))

# ---- matrices

case("bmm", "matrices", normal(2, 3), normal(3, 4))
case("bmm", "batches", normal(2, 2, 3), normal(2, 3, 2))
case("bmm", "a shared matrix on the right", normal(2, 2, 3), normal(3, 4))
case("bmm", "a shared matrix on the left", normal(2, 3), normal(2, 3, 2))
case("bmm", "stretched batches", normal(2, 1, 2, 3), normal(3, 3, 2))
case("bmm", "nothing inside", normal(2, 0), normal(0, 3))
for label, a, b in (
    ("vectors", (3,), (3,)),
    ("row", (3,), (3, 2)),
    ("column", (2, 3), (3,)),
    ("batch and column", (2, 2, 3), (3,)),
    ("row and batch", (3,), (2, 3, 2)),
):
    case("matmul", label, normal(*a), normal(*b))
for label, shape in (("batch", (4, 3)), ("vector", (3,)), ("sequence", (2, 2, 3)), ("empty", (0, 3))):
    case("linear", label, normal(*shape), normal(2, 3), normal(2))
    case("linear", f"{label} without bias", normal(*shape), normal(2, 3))
case("linear_clamped", "rows", normal(4, 3), normal(2, 3), normal(2), call=with_options("linear_clamped", -20.0, 30.0))
case("linear_input_grad", "batch", normal(4, 2), normal(2, 3))
case("linear_input_grad", "sequence", normal(2, 2, 2), normal(2, 3))
case("linear_weight_grad", "batch", normal(4, 2), normal(4, 3))
case("linear_weight_grad", "sequence", normal(2, 2, 2), normal(2, 2, 3))
