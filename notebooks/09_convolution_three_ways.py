# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   tinydl:
#     budget_seconds: 30
# ---

# %% [markdown]
# # Lesson 9: Convolution three ways
#
# **You will be able to** write a convolution as loops, as one matrix product and as a compiled kernel, say what each
# costs, and send slopes back through it: to the weights and to the picture.
#
# **It needs** NumPy arrays, and from lesson 4 the habit of asking for shapes. With Numba you see three rungs of the
# ladder, without it two. About 40 min to read and try, 10 s to run.

# %% [markdown]
# ## The picture
#
# A small grid of weights, the *kernel*, slides over our seven. In each place it sees a *patch* of nine pixels. Follow
# one colour: the patch on the left is a row of the matrix, and that row times the kernel is one number on the right.

# %%
from tinydl.lessons.pictures.lesson_09 import patches_and_rows

patches_and_rows()

# %% [markdown]
# ## One patch
#
# The kernel is a neuron with nine inputs: multiply each pixel by its weight and add up. This one adds the ink of its
# upper row and subtracts the ink of its lower row.

# %%
import numpy as np

from tinydl.lessons.story import SEVEN

seven = np.array(SEVEN, float)
edge = np.array([[1.0, 1, 1], [0, 0, 0], [-1, -1, -1]])
patch = seven[2:5, 2:5]
print(patch)
print("sum of products:", (patch * edge).sum())

# %% [markdown]
# **Predict, then run.** Slide it over all places. Where in the seven will it give the largest number, and where the
# lowest?

# %%
y = np.zeros((5, 5))
for h, w in np.ndindex(5, 5):
    y[h, w] = (seven[h : h + 3, w : w + 3] * edge).sum()
print(y)
place = np.unravel_index(y.argmax(), y.shape)
print("largest:", y.max(), "at", tuple(int(i) for i in place))

# %% [markdown]
# It is high where there is ink above and paper below, just under the bar of the seven, and lowest just above the bar.
# The *same* nine weights work in every place. That is why a convolution needs few knobs, and why it finds a bar
# wherever it lies.
#
# A popular article slides a cross over the numbers 1 to 9 and gets 20. Add it up in your head, then run.

# %%
cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])
print((np.arange(1, 10).reshape(3, 3) * cross).sum())

# %% [markdown]
# ## Rung one: loops
#
# Real layers have several input channels $C$ and several kernels, one for each of $O$ output channels; a stack of $N$
# pictures; a *stride* $s$ (the kernel moves by $s$ pixels), a *padding* $p$ (so many zeros around the picture) and a
# *dilation* $d$ (neighbours in the kernel lie $d$ pixels apart). On a padded picture, all of it is one line:
#
# $$y_{n,o,h,w} = \sum_{c,i,j} x_{n,\,c,\;hs+id,\;ws+jd} \cdot weight_{o,c,i,j}$$

# %%
def conv_loops(x, weight, y, s, d):
    for n, o, h, w in np.ndindex(y.shape):
        total = 0.0
        for c, i, j in np.ndindex(weight.shape[1:]):
            total += x[n, c, h * s + i * d, w * s + j * d] * weight[o, c, i, j]
        y[n, o, h, w] = total


# %% [markdown]
# How many places has the kernel? It covers $d(k-1)+1$ pixels of an axis, and may move on by $s$ while it fits.

# %%
def out_size(size, kernel, s=1, d=1):
    return tuple((n - d * (k - 1) - 1) // s + 1 for n, k in zip(size, kernel))


def pad(x, p):
    return np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))


print(out_size((7, 7), (3, 3)), out_size((7, 7), (3, 3), s=2), out_size((7, 7), (3, 3), d=2))

# %%
x, weight = seven.reshape(1, 1, 7, 7), edge.reshape(1, 1, 3, 3)
looped = np.zeros((1, 1, 5, 5))
conv_loops(x, weight, looped, 1, 1)
assert (looped[0, 0] == y).all()

# %% [markdown]
# Now a small layer, 8 channels in and 16 out, on a picture of 14 × 14, padded to 16 × 16. We keep a stopwatch running
# but print no times: yours would be others.

# %%
from time import perf_counter


def stopwatch(f, *arguments):
    times = []
    for _ in range(3):
        start = perf_counter()
        f(*arguments)
        times.append(perf_counter() - start)
    return min(times)


# %%
rng = np.random.default_rng(9)
big_x, big_weight = rng.standard_normal((1, 8, 16, 16)), rng.standard_normal((16, 8, 3, 3))
big_y = np.zeros((1, 16, 14, 14))
ms = {"loops": 1000 * stopwatch(conv_loops, big_x, big_weight, big_y, 1, 1)}
products = big_y.size * big_weight[0].size
print(f"{products:,} products, each a step of Python")

# %% [markdown]
# ## Rung two: one matrix product
#
# Swap the question. Not "what does the kernel see in one place?" but "what does *one weight* of the kernel see in all
# places?" The upper left weight sees the picture without its last two rows and columns. That is a slice: no loop.

# %%
def seen(x, i, j, places, s=1, d=1):
    h, w = places
    return x[:, :, i * d : i * d + h * s : s, j * d : j * d + w * s : s]


print(seen(x, 0, 0, (5, 5))[0, 0])
assert (sum(edge[i, j] * seen(x, i, j, (5, 5)) for i, j in np.ndindex(3, 3)) == looped).all()

# %% [markdown]
# ### Exercise 09.1
#
# Gather the patches of `x` (N, C, H, W; already padded) in a matrix. Its rows are the places in the order $(n, h, w)$,
# and in a row lie the numbers of the patch in the order $(c, i, j)$: shape (N·H'·W', C·kh·kw). It is called *im2col*,
# image to columns, because in the first programs each patch was a column. You may use `seen` and `out_size`.

# %%
from tinydl.lessons import check, hint, solution


def im2col(x, kernel, s=1, d=1):
    """Return the patches of x (N, C, H, W), one a row: (N·H'·W', C·kh·kw)."""
    return ...


check("09.1", im2col)

# %%
# Stuck? Take one # away and run the cell; each run of hint gives the next hint.
# hint("09.1")
# solution("09.1")

# %%
im2col = solution("09.1").value
rows = im2col(x, (3, 3))
print(rows.shape, rows[12])
assert (rows[12] == patch.ravel()).all()
assert (rows @ edge.ravel() == y.ravel()).all()

# %% [markdown]
# With the kernels flattened to columns, the whole layer is `rows @ columns`. One more thing: *groups*. With two groups
# the first half of the kernels sees only the first half of the channels. It is two convolutions side by side, so we
# need only know which channels belong together.

# %%
def blocks(weight_shape, groups):
    o, c = weight_shape[0] // groups, weight_shape[1]
    return [(slice(k * o, (k + 1) * o), slice(k * c, (k + 1) * c)) for k in range(groups)]


def conv_product(x, weight, s=1, p=0, d=1, groups=1):
    x, kernel = pad(x, p), weight.shape[2:]
    y = np.zeros((len(x), len(weight), *out_size(x.shape[2:], kernel, s, d)))
    for o, c in blocks(weight.shape, groups):
        product = im2col(x[:, c], kernel, s, d) @ weight[o].reshape(o.stop - o.start, -1).T
        y[:, o] = product.reshape(len(x), *y.shape[2:], -1).transpose(0, 3, 1, 2)
    return y


# %% [markdown]
# **Predict, then run.** The same 225,792 products, as one product of matrices. How many times faster: 2, 10, or more
# than 50?

# %%
assert products == 225_792
assert np.allclose(conv_product(big_x, big_weight), big_y)
ms["im2col"] = 1000 * stopwatch(conv_product, big_x, big_weight)
assert ms["loops"] > 50 * ms["im2col"]
print("more than 50 times")

# %% [markdown]
# The loops went into the library that multiplies matrices (BLAS), where decades of work have gone. What is the price?

# %%
rows = im2col(big_x, (3, 3))
print(f"numbers in the picture: {big_x.size:,}, in the matrix: {rows.size:,}")
print(f"{rows.size / big_x.size:.1f} times as many")

# %% [markdown]
# An inner pixel is copied nine times, one at the border less often. In a deep network on large pictures that is much
# memory to fill and to read.
#
# ## Rung three: Numba
#
# Numba reads the *text* of a Python function and makes machine code of it. Our first rung, unchanged, becomes the
# third:

# %%
work = {"loops": products, "im2col": 9 + 1}
try:
    import numba
except ImportError:
    print("Numba is not installed: two rungs are shown")
else:
    compiled, again = numba.njit(conv_loops), np.zeros_like(big_y)
    compiled(big_x, big_weight, again, 1, 1)  # the first call compiles
    assert np.allclose(again, big_y)
    ms["Numba"] = 1000 * stopwatch(compiled, big_x, big_weight, again, 1, 1)
    work["Numba"] = 1

# %% [markdown]
# Why are both fast? Count the steps that the Python interpreter takes: one for each product; or nine slices and one
# matrix product; or a single call.

# %%
from tinydl.lessons.pictures.lesson_09 import ladder

ladder(work, "steps of Python")

# %% [markdown]
# Steps of Python are not time. Draw the ladder of your own machine: take the # away.

# %%
# ladder(ms, "milliseconds on this machine")

# %% [markdown]
# Do not be surprised if Numba's bar is longer than that of im2col: the plain text is compiled as it stands, while BLAS
# keeps its sums in registers and its blocks in the cache. But it copies nothing, and it can be improved. tinydl's
# compiled kernel does both: it multiplies like BLAS and reads the patches from where they lie.
#
# **Stretch** (no check, no net). The order of the loops is free. Put `o, c, i, j` outside and `h, w` inside, so that
# one weight runs along a whole line of pixels; compile it, and add it to `ms`.

# %%
def conv_lines(x, weight, y, s, d):
    return ...


# %% [markdown]
# ## Back: the slopes by the weights
#
# Somewhere behind the layer is a loss. It has sent us $g$, its slope by each number of $y$. A knob matters as much as
# the number that it multiplies (lesson 1), and `weight[o, c, i, j]` multiplies every pixel that it sees. So its slope
# is the sum of these pixels, each times the $g$ of the place where the product went:
#
# $$gw_{o,c,i,j} = \sum_{n,h,w} g_{n,o,h,w} \cdot x_{n,\,c,\;hs+id,\;ws+jd}$$
#
# ### Exercise 09.2
#
# Write it, for every stride, padding, dilation and number of groups; here `x` comes without its padding. `pad`, `seen`
# and `blocks` help, and so does `einsum`, which sums over letters that are missing on the right.

# %%
def weight_grad(g, x, weight_shape, stride, padding, dilation, groups):
    """Return the slopes by the weight, given the slopes g by the output."""
    return ...


check("09.2", weight_grad)

# %%
# hint("09.2")
# solution("09.2")

# %%
weight_grad = solution("09.2").value
ones = np.ones((1, 1, 5, 5))
print(weight_grad(ones, x, weight.shape, 1, 0, 1, 1)[0, 0])
print("ink that the middle weight sees:", seven[1:6, 1:6].sum())

# %% [markdown]
# ## Back: the slopes by the picture
#
# Forward, each output *gathers* from its patch. Backward, each output *scatters*: it adds its slope, times the weight,
# to the pixels it came from.
#
# **Predict.** With all $g$ and all weights 1, the slope of a pixel is the number of patches that hold it. How large is
# it in a corner of the 7 × 7 picture, and how large in the middle?
#
# ### Exercise 09.3
#
# Write it. A slice is a view: what you add to `seen(gx, …)` with `+=` is added to `gx`. Scatter into a padded `gx`, and
# cut the padding off at the end.

# %%
def input_grad(g, weight, x_shape, stride, padding, dilation, groups):
    """Return the slopes by the input, given the slopes g by the output."""
    return ...


check("09.3", input_grad)

# %%
# hint("09.3")
# solution("09.3")

# %%
from tinydl.lessons.pictures.lesson_09 import sheets

input_grad = solution("09.3").value
once = np.ones((1, 1, 3, 3))
counts = input_grad(ones, once, x.shape, 1, 0, 1, 1)[0, 0]
apart = input_grad(np.ones((1, 1, 3, 3)), once, x.shape, 2, 0, 1, 1)[0, 0]
sheets({"patches that hold a pixel": counts, "the same at stride 2": apart})

# %% [markdown]
# One in the corner, nine in the middle. At stride 2 the counts differ from pixel to pixel: run backward to *make*
# pictures, that is the well-known checkerboard.
#
# ## Now the real one
#
# tinydl has the three as ops in [tinydl/ops/conv.py](../tinydl/ops/conv.py). The plain NumPy kernels in
# [tinydl/kernels/reference/conv.py](../tinydl/kernels/reference/conv.py) go by im2col. The compiled ones rest on
# [tinydl/kernels/compiled/tile.py](../tinydl/kernels/compiled/tile.py). All must agree with ours.

# %%
from tinydl import ops

for s, p, d, groups in [(1, 0, 1, 1), (2, 1, 1, 1), (1, 2, 2, 2), (3, 2, 2, 4)]:
    a, k = rng.standard_normal((2, 4, 9, 8)), rng.standard_normal((8, 4 // groups, 3, 2))
    ours, pairs = conv_product(a, k, s, p, d, groups), [(s, s), (p, p), (d, d), groups]
    g = rng.standard_normal(ours.shape)
    assert np.allclose(ops.conv2d(a, k, None, s, p, d, groups), ours)
    by_weight, by_input = weight_grad(g, a, k.shape, s, p, d, groups), input_grad(g, k, a.shape, s, p, d, groups)
    assert np.allclose(ops.conv2d_weight_grad(g, a, k.shape, *pairs), by_weight)
    assert np.allclose(ops.conv2d_input_grad(g, k, a.shape, *pairs), by_input)
    print("stride", s, "padding", p, "dilation", d, "groups", groups, "→", ours.shape, "equal")

# %% [markdown]
# The three are one sum, $\sum g \cdot x \cdot weight$, from three sides. Leave out $g$ and it is the convolution, leave
# out one of the others and it is a gradient. So the last line must print one number three times:

# %%
print([round(float(total), 6) for total in ((g * ours).sum(), (by_weight * k).sum(), (by_input * a).sum())])
assert np.isclose((g * ours).sum(), (by_weight * k).sum())
assert np.isclose((g * ours).sum(), (by_input * a).sum())

# %% [markdown]
# ## Break it on purpose
#
# Say what will come out before you run each.

# %%
gx = np.zeros_like(x)
for i, j in np.ndindex(3, 3):
    seen(gx, i, j, (5, 5))[...] = ones  # where += is right
print("= for +=: slopes from", gx.min(), "to", gx.max(), "where up to", counts.max(), "are right")

# %%
product = im2col(big_x, (3, 3)) @ big_weight.reshape(16, -1).T
scrambled = product.reshape(big_y.shape)  # where the channels must move first
print("no transpose: same sum", np.isclose(scrambled.sum(), big_y.sum()), "same map", np.allclose(scrambled, big_y))

# %%
line, kernel = [1, 2, 4], [1, 0, -1]
print("textbook:", np.convolve(line, kernel, "valid"), "ours:", np.correlate(line, kernel, "valid"))

# %% [markdown]
# The symptoms: slopes that are right in the corners and too small in the middle were overwritten. A result with the
# right shape and the right sum, but the wrong map, was reshaped without a transpose. And a sign turned round by an
# edge kernel: the convolution of mathematics turns the kernel first; every deep learning library, tinydl too, computes
# *cross-correlation* and calls it convolution. A network learns its kernel either way.
#
# ## Five questions
#
# 1. A 3 × 3 kernel with stride 2 on a picture of 28 × 28, padding 1. How large is the output?
#
# <details><summary>Answer</summary>
#
# 14 × 14: the padded axis is 30 long, and $(30 - 3) // 2 + 1 = 14$.
#
# </details>
#
# 2. How many weights has a layer of 16 kernels, 3 × 3, on 8 channels? And with 8 groups?
#
# <details><summary>Answer</summary>
#
# 16 · 8 · 9 = 1,152. With 8 groups each kernel sees one channel: 144.
#
# </details>
#
# 3. Does im2col save multiplications?
#
# <details><summary>Answer</summary>
#
# None. It moves them into one fast product, and pays with memory.
#
# </details>
#
# 4. Why is there a `+=` in the slopes by the picture?
#
# <details><summary>Answer</summary>
#
# Patches overlap: a pixel is used several times, and each use adds to its slope.
#
# </details>
#
# 5. A 1 × 1 kernel with stride 1: what does im2col copy, and is it needed?
#
# <details><summary>Answer</summary>
#
# Each pixel once, only with the channels moved last. The layer is already a matrix product.
#
# </details>
#
# ## What next
#
# [Lesson 10](10_a_conv_net_you_can_look_inside.ipynb) builds a network of such layers and looks at what they see.
#
# To read: Chellapilla, Puri & Simard 2006, *High Performance Convolutional Neural Networks for Document Processing*,
# section 3 (im2col); Dumoulin & Visin 2016, [*A guide to convolution arithmetic*](https://arxiv.org/abs/1603.07285),
# chapters 2 and 4 (sizes, and the way back); Dukhan 2019, [*The Indirect Convolution
# Algorithm*](https://arxiv.org/abs/1907.02129) (the product without the matrix).
