# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   tinydl:
#     budget_seconds: 15
# ---

# %% [markdown]
# # Lesson 4: From numbers to tensors
#
# **You will be able to** say what shape broadcasting makes of two others, take a stretch back in a gradient,
# differentiate a matrix product by looking at shapes, and train all 49 pixels of a digit at once.
#
# **It needs** lesson 2 (the chain rule walks a graph backwards) and a first acquaintance with NumPy arrays. About
# 40 min to read and try, 5 s to run.

# %% [markdown]
# ## The picture
#
# One bias per neuron, four examples: on the way forward the same row is added to all four. So on the way back the
# bias hears from all four, and what it hears is *added*. That is all of this lesson's calculus.

# %%
import numpy as np

from tinydl.lessons.pictures.lesson_04 import stretched_and_summed

bias = np.array([1.0, 2.0, 3.0])
slopes = np.array([[1.0, 0, -1], [2, 1, 0], [0, 1, 1], [1, -2, 3]])
stretched_and_summed(bias, slopes)

# %% [markdown]
# ## 49 knobs in one line
#
# Until now our seven was two measurements, the ink at the top and the ink on the left. Now the neuron gets all
# 7 × 7 cells, each with a weight of its own. A *tensor* is an array of numbers with a *shape*.

# %%
from tinydl.lessons.story import SEVEN

seven = np.array(SEVEN) / 10
weights = np.random.default_rng(4).normal(size=49)
one_by_one = sum(weights[7 * i + j] * seven[i, j] for i in range(7) for j in range(7))
print("shapes:", seven.shape, seven.reshape(49).shape, weights.shape)
assert np.isclose(seven.reshape(49) @ weights, one_by_one)

# %% [markdown]
# `@` multiplies pairwise and adds up. And one digit is a poor school, so we make twelve: the seven moved about, and
# its image in a mirror. Can a network tell them apart?

# %%
from tinydl.lessons.pictures.lesson_04 import images

moved = [np.roll(seven, (up, side), (0, 1)) for up in (-1, 0) for side in (-1, 0, 1)]
digits = np.stack(moved + [image[:, ::-1] for image in moved])
names = ["seven"] * 6 + ["mirrored"] * 6
images(digits, names)

# %% [markdown]
# Each image becomes a row of 49 numbers. Two neurons, one for "seven", one for "mirrored", are two columns of
# weights. **Predict, then run.** What shape has `x @ w`? And `x @ w + b`?

# %%
x = digits.reshape(12, 49)
w = np.random.default_rng(0).normal(size=(49, 2)) * 0.1
b = np.array([0.5, -0.5])
print("x", x.shape, " w", w.shape, " b", b.shape)
print("x @ w", (x @ w).shape, " x @ w + b", (x @ w + b).shape)

# %% [markdown]
# Twelve examples, two answers each, and the two biases went to all twelve rows though nobody wrote a loop. This is
# *broadcasting*. Its rule: write the two shapes below each other, *aligned at the right*. Where one is missing or
# is 1, it is stretched to the other. Where they differ otherwise, it is an error.

# %%
for one, other in [((12, 2), (2,)), ((12, 2), (12, 1)), ((12, 1), (2,)), ((12, 2), (12,))]:
    try:
        print(one, "with", other, "is", np.broadcast_shapes(one, other))
    except ValueError:
        print(one, "with", other, "does not fit: 2 stands over 12")

# %% [markdown]
# ## Why bother?
#
# Every operation of lesson 2 costs Python the making of an object and of a node. Count the nodes for our two
# neurons and twelve digits, if each number is its own value:

# %%
by_numbers = 12 * 2 * (49 + 49 + 1)  # products, sums with the next one and the bias, tanh
by_tensors = 3  # @, +, tanh
print(f"{by_numbers:,} nodes of numbers, {by_tensors} nodes of tensors")
assert by_numbers == 2376

# %% [markdown]
# The work inside a node then runs in compiled code over memory that lies in a row. Let us race the bare
# multiplications, without any graph: a product of matrices by loops against `@`.

# %%
def loops(a, b):
    columns = list(zip(*b))
    return [[sum(p * q for p, q in zip(row, column)) for column in columns] for row in a]

# %%
from timeit import repeat


def times_faster(n):
    a = np.random.default_rng(n).normal(size=(n, n))
    lists = a.tolist()
    slow = min(repeat(lambda: loops(lists, lists), number=1, repeat=3))
    return slow / min(repeat(lambda: a @ a, number=10, repeat=5)) * 10

# %% [markdown]
# **Predict, then run.** How many times faster is one `@` of two 64 × 64 matrices than its 262,144 multiplications?
# Ten? A hundred? A thousand?

# %%
from tinydl.lessons.pictures.lesson_04 import ladder

sizes = [1, 2, 4, 8, 16, 32, 64]
ratios = [times_faster(n) for n in sizes]
print("more than 50 times faster:", ratios[-1] > 50)
ladder(sizes, ratios)

# %% [markdown]
# For a few numbers there is little to gain. It pays when there is much to do per call: hand it whole batches.
#
# ## The stretch, backwards
#
# Now the price: backward must understand broadcasting. Take a loss in which each number of `y = zeros + bias` has
# the slope that the first picture gave it, and measure the slopes of the bias as in lesson 1.

# %%
def loss(bias):
    y = np.zeros((4, 3)) + bias
    return np.sum(slopes * y)


for j in range(3):
    h = np.eye(3)[j] * 1e-5
    print(f"bias {j}: measured slope {(loss(bias + h) - loss(bias - h)) / 2e-5:.4f}")
print("column sums:", slopes.sum(axis=0))

# %% [markdown]
# Turn one bias, and all four copies turn with it; the loss feels the sum. It is the `+=` of lesson 2 in new
# clothes: a value used four times collects four slopes.
#
# ### Exercise 04.1
#
# Write it for any shapes. `g` is the gradient by the stretched array, `shape` the shape before. Two things can have
# happened: axes were put *in front*, and axes of size 1 were copied. Return an array of exactly that shape.

# %%
from tinydl.lessons import check, hint, solution


def unbroadcast(g, shape):
    """Add g up over every axis along which an array of this shape was stretched."""
    return ...


check("04.1", unbroadcast)

# %%
# Stuck? Take one # away and run the cell; each run of hint gives the next hint.
# hint("04.1")
# solution("04.1")

# %%
unbroadcast = solution("04.1").value
g = np.arange(12.0).reshape(4, 3)
for shape in [(4, 3), (3,), (1, 3), (4, 1), ()]:
    back = unbroadcast(g, shape)
    assert back.shape == shape
    assert back.sum() == g.sum()
    print(f"{shape!s:7} {back.tolist()}")

# %% [markdown]
# ## A tensor that remembers
#
# With that, the engine of lesson 2 grows up in a few lines. A tensor keeps its numbers, and for each parent a
# function that turns its own gradient into the parent's.

# %%
class Tensor:
    def __init__(self, data, parents=()):
        self.data = np.asarray(data, dtype=float)
        self.grad = 0.0
        self.parents = parents  # pairs: a parent, and how my gradient becomes its gradient


def add(a, b):
    return Tensor(
        a.data + b.data,
        [(a, lambda g: unbroadcast(g, a.data.shape)), (b, lambda g: unbroadcast(g, b.data.shape))],
    )

# %%
def mul(a, b):
    return Tensor(
        a.data * b.data,
        [(a, lambda g: unbroadcast(g * b.data, a.data.shape)), (b, lambda g: unbroadcast(g * a.data, b.data.shape))],
    )

# %%
def tanh(a):
    y = np.tanh(a.data)
    return Tensor(y, [(a, lambda g: g * (1 - y * y))])


def mean(a):
    return Tensor(a.data.mean(), [(a, lambda g: np.full(a.data.shape, g / a.data.size))])

# %% [markdown]
# The walk is the old one: parents before children going in, the reverse coming back.

# %%
def parents_first(t, seen):
    if t not in seen:
        for parent, _ in t.parents:
            parents_first(parent, seen)
        seen.append(t)
    return seen

# %%
def backward(y):
    y.grad = np.ones(y.data.shape)
    for t in reversed(parents_first(y, [])):
        for parent, pull in t.parents:
            parent.grad = parent.grad + pull(t.grad)

# %% [markdown]
# **Predict, then run.** A column (4, 1) times a row (3,): of what shape is the product, and of what shape are the
# two gradients?

# %%
column, row = Tensor([[1], [2], [3], [4]]), Tensor([10, 20, 30])
product = mul(column, row)
backward(product)
print("product", product.data.shape, "column.grad", column.grad.shape, "row.grad", row.grad)
assert (column.grad == 60).all()
assert (row.grad == 10).all()

# %% [markdown]
# A gradient always has the shape of what it belongs to. This sentence will solve the next exercise, too.
#
# ### Exercise 04.2
#
# The product $y = a\,b$ of matrices means $y_{no} = \sum_k a_{nk}\, b_{ko}$. Here $b_{ko}$ is multiplied by $a_{nk}$
# for every row $n$, so by lesson 1's rule its slope is $\sum_n a_{nk}\, g_{no}$. Write both gradients as products.
# If you get lost, let the shapes lead you: often only one product fits.

# %%
def matmul_grads(g, a, b):
    """Return the gradients of a and of b, when that of a @ b is g."""
    return ...


check("04.2", matmul_grads)

# %%
# hint("04.2")
# solution("04.2")

# %%
matmul_grads = solution("04.2").value


def matmul(a, b):
    return Tensor(
        a.data @ b.data,
        [(a, lambda g: matmul_grads(g, a.data, b.data)[0]), (b, lambda g: matmul_grads(g, a.data, b.data)[1])],
    )

# %% [markdown]
# ## Train all pixels
#
# The neurons should say (1, −1) for a seven and (−1, 1) for its mirror image. The loss is the mean square of what
# is missing.

# %%
target = np.array([[1.0, -1.0]] * 6 + [[-1.0, 1.0]] * 6)


def loss_of(w, b):
    missing = add(tanh(add(matmul(Tensor(x), w), b)), Tensor(-target))
    return mean(mul(missing, missing))


w_t, b_t = Tensor(w), Tensor(b)
backward(loss_of(w_t, b_t))
print("w.grad", w_t.grad.shape, " b.grad", b_t.grad.round(4))
first_w, first_b = w_t.grad, b_t.grad

# %% [markdown]
# `missing` is used twice, and its gradient is collected twice. Never trust, measure; all 98 weights and both
# biases:

# %%
from tinydl.gradcheck import numeric_jacobian

measured = numeric_jacobian(lambda w: loss_of(Tensor(w), b_t).data, w).reshape(49, 2)
assert np.allclose(measured, first_w, atol=1e-8)
measured = numeric_jacobian(lambda b: loss_of(w_t, Tensor(b)).data, b).reshape(2)
assert np.allclose(measured, first_b, atol=1e-8)
print("200 runs of the network agree with one walk backwards")

# %%
for step in range(401):
    w_t, b_t = Tensor(w_t.data), Tensor(b_t.data)
    loss_now = loss_of(w_t, b_t)
    backward(loss_now)
    if step % 100 == 0:
        print(f"step {step:3}  loss {loss_now.data:.4f}")
    w_t.data, b_t.data = w_t.data - 0.5 * w_t.grad, b_t.data - 0.5 * b_t.grad
assert loss_now.data < 0.05

# %% [markdown]
# **Predict, then run.** The 49 weights of a neuron can be drawn as an image, purple where ink speaks for its answer,
# orange where ink speaks against it. What will you see?

# %%
images([*w_t.data.T.reshape(2, 7, 7), digits[1], digits[7]], ["for 'seven'", "for 'mirrored'", "a seven", "mirrored"])

# %% [markdown]
# The foot of the seven leans to one side, its mirror image's to the other; the neurons found that, and each has
# learnt about the opposite of its sister.
#
# **Stretch** (no check, no net). `mean` runs a stretch in reverse: forward adds up, backward copies. Write
# `total(a, axis)` as a Tensor with its gradient, and test it against `numeric_jacobian`.

# %%
def total(a, axis):
    return ...


print(total(Tensor(np.ones((4, 3))), 0))

# %% [markdown]
# ## Now the real one
#
# tinydl's `unbroadcast` is called `sum_to` and lives in [tinydl/ops/movement.py](../tinydl/ops/movement.py). Its two
# neighbours are worth a look: `expand` and `sum_stretched` are each other's gradient.

# %%
from tinydl.ops.movement import sum_to

for shape in [(4, 3), (3,), (1, 3), (4, 1), ()]:
    assert np.array_equal(sum_to(g, shape), unbroadcast(g, shape))

# %%
from tinydl import float64, tensor

weight, offset = (tensor(v, dtype=float64, requires_grad=True) for v in (w, b))
((tensor(x, dtype=float64) @ weight + offset).tanh() - tensor(target, dtype=float64)).pow(2).mean().backward()
assert np.allclose(weight.grad.numpy(), first_w)
assert np.allclose(offset.grad.numpy(), first_b)
print("the library's gradients are ours")

# %% [markdown]
# ## Break it on purpose
#
# Three accidents with shapes. Before each cell: will it stop with an error?

# %%
per_example = 2 * (np.tanh(x @ w + b) - target) / 24  # a gradient that nobody took back
careless = b - 0.5 * per_example
print("no unbroadcast: the bias was", b.shape, "and is now", careless.shape)
print("x @ w + bias still runs:", (x @ w + careless).shape)

# %%
answers, wanted = np.ones((12, 1)), np.ones(12)
print("a column minus a row:", (answers - wanted).shape, "differences for 12 answers")

# %%
averaged = slopes.mean(axis=0)
print("mean for sum:", averaged, "where", slopes.sum(axis=0), "is right")

# %% [markdown]
# None of them stops. The symptoms: a parameter that *grows an axis* in training was given a gradient which was not
# taken back. A loss that looks healthy while nothing is learnt may compare every answer with every label; print
# the shape of the difference (tinydl's losses refuse). And a gradient that is too small by exactly the number of
# copies was averaged.
#
# ## Five questions
#
# 1. What shape is (5, 1, 4) + (3, 1)?
#
# <details><summary>Answer</summary>
#
# (5, 3, 4): aligned at the right, 4 meets 1, 1 meets 3, and 5 meets nothing.
#
# </details>
#
# 2. And which axes are summed on the way back to the (3, 1)?
#
# <details><summary>Answer</summary>
#
# The first (it is new) and the last (it was 1, and stays as an axis of size 1).
#
# </details>
#
# 3. Why are the slopes of the copies added, not averaged?
#
# <details><summary>Answer</summary>
#
# Turning the one bias turns every copy, and the changes of the loss add up.
#
# </details>
#
# 4. a is 32×784, b is 784×10. What shape has the gradient of b, and which product gives it?
#
# <details><summary>Answer</summary>
#
# 784×10, like b; `a.T @ g`, with g 32×10.
#
# </details>
#
# 5. Why does a batch of one make poor use of a computer?
#
# <details><summary>Answer</summary>
#
# Every call costs the same overhead, however little it has to do; with much work per call the overhead is lost in
# it.
#
# </details>
#
# ## What next
#
# tanh and squares were a makeshift for "which of ten digits is it?". [Lesson
# 5](05_softmax_and_surprise.ipynb) turns scores into probabilities and measures surprise.
#
# To read: Harris et al. 2020, [*Array programming with NumPy*](https://arxiv.org/abs/2006.10256), figure 1, on
# broadcasting; Parr & Howard 2018, [*The Matrix Calculus You Need for Deep
# Learning*](https://arxiv.org/abs/1802.01528), section 4.
