# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   tinydl:
#     budget_seconds: 5
# ---

# %% [markdown]
# # Lesson 2: The chain rule is a graph
#
# **You will be able to** write a number that remembers how it was made, find the slopes of a result by everything it
# was made from in one walk backwards, and say why that walk adds, multiplies and keeps an order.
#
# **It needs** lesson 1 (or: what a slope is) and Python classes. About 40 min to read and try, 5 s to run.

# %% [markdown]
# ## The picture
#
# The neuron of lesson 1, taken apart: every box is one number. On top the numbers go forward, from the knobs to the
# loss. Below, slopes come back: the one after ∂ tells how fast the loss changes with that box. At the end the knobs
# hold −2.5942, −1.1674 and −1.2971, the gradient that lesson 1 had to measure.

# %%
from tinydl.lessons.pictures.lesson_02 import walk_back

walk_back()

# %% [markdown]
# ## Two gears
#
# Lesson 1 measured each knob by itself: two runs a knob. What if we look *inside* instead? The tail of our neuron
# is two steps: a sum `s` goes through tanh, and the result goes into the loss. Let us measure each step alone.

# %%
import math


def slope(f, x, h=1e-5):
    return (f(x + h) - f(x - h)) / (2 * h)


s = 0.5 * 2.0 - 1.0 * 0.9 + 0.2
y = math.tanh(s)
first = slope(math.tanh, s)
second = slope(lambda y: (y - 1) ** 2, y)
print("y moves", round(first, 4), "times as fast as s, the loss", round(second, 4), "times as fast as y")

# %% [markdown]
# **Predict, then run.** How fast does the loss move when `s` moves? Think of two gears: the first turns 0.9151
# times as fast as the crank, the second −1.4174 times as fast as the first.

# %%
together = slope(lambda s: (math.tanh(s) - 1) ** 2, s)
print("product ", round(first * second, 4))
print("measured", round(together, 4))
assert abs(together - first * second) < 1e-8

# %% [markdown]
# Slopes along a chain multiply. That is the *chain rule*, and there is nothing more to it. So nobody has to know
# the slope of a whole network, only that of each small step. A step is a rule with three answers: its value, and
# its slope by each of its numbers. For a sum, both slopes are 1: move `a` by a little, and the sum moves by as much.

# %%
def add(a, b):
    """Return a + b, then its slopes by a and by b."""
    return a + b, 1.0, 1.0


print(add(3.0, 4.0))

# %% [markdown]
# ### Exercise 02.1
#
# Write the rule of a product: again the value, the slope by `a`, the slope by `b`. Lesson 1 ended with a sentence
# that will help: a knob matters as much as the number that it multiplies.

# %%
from tinydl.lessons import check, hint, solution


def mul(a, b):
    """Return a * b, then its slopes by a and by b."""
    return ...


check("02.1", mul)

# %%
# Stuck? Take one # away and run the cell; each run of hint gives the next hint.
# hint("02.1")
# solution("02.1")

# %% [markdown]
# The rule of tanh has one slope only. It is $1 - y^2$, where $y$ is the value itself. Steep where the neuron is
# undecided ($y = 0$), flat where it is sure ($y$ near ±1). We do not believe it, we measure it:

# %%
mul = solution("02.1").value


def tanh(a):
    """Return tanh a, then its slope by a."""
    y = math.tanh(a)
    return y, 1 - y * y


for a in (-2.0, 0.0, 0.3):
    print(a, "rule", round(tanh(a)[1], 6), "measured", round(slope(math.tanh, a), 6))

# %% [markdown]
# ## A number with a memory
#
# A rule knows its slopes at the moment it is used, and then all is forgotten. So we put the result into a box that
# keeps three more things: the boxes it was made from (its *parents*), the slope by each of them, and a place for the
# slope of the final result by this box, its *grad*.

# %%
class Value:
    def __init__(self, data, parents=(), slopes=()):
        self.data, self.parents, self.slopes = data, parents, slopes
        self.grad = 0.0

    def __repr__(self):
        return f"Value({self.data:.4f})"


def apply(rule, *parents):
    data, *slopes = rule(*[parent.data for parent in parents])
    return Value(data, parents, slopes)


# %%
a, b = Value(3.0), Value(4.0)
c = apply(mul, a, b)
print(c, "made from", c.parents, "with slopes", c.slopes)
assert c.slopes == [4.0, 3.0]

# %% [markdown]
# Nobody wants to write `apply(mul, a, b)`. Python lets a class say what its `*` and `+` mean:

# %%
Value.__add__ = lambda a, b: apply(add, a, b)
Value.__mul__ = lambda a, b: apply(mul, a, b)
Value.tanh = lambda a: apply(tanh, a)
print((a * b + a).tanh())

# %% [markdown]
# Now the neuron is ordinary Python, and while it runs it leaves its own graph behind. Note the last line: `miss` is
# squared by multiplying it by itself, so one box is used twice.

# %%
def network(knobs, inks=(2.0, 0.9)):
    w_top, w_left, bias = knobs
    top, left = Value(inks[0]), Value(inks[1])
    y = (w_top * top + w_left * left + bias).tanh()
    miss = y + Value(-1.0)
    return miss * miss


knobs = [Value(0.5), Value(-1.0), Value(0.2)]
loss = network(knobs)
print(loss, "made from", loss.parents)

# %% [markdown]
# ## Back, by hand
#
# The slope of the loss by itself is 1. A box that knows its own grad tells each parent: *your slope in me, times my
# grad*. The chain rule, one link at a time.
#
# **Predict, then run.** `loss` is `miss * miss`, so it has two things to tell `miss`: −0.7087 through the first
# hand, −0.7087 through the second. What is the slope of a square by its side, and so: which of them counts?

# %%
miss = loss.parents[0]
told = [slope * 1.0 for slope in loss.slopes]
print("told:    ", [round(t, 4) for t in told])
print("measured:", round(slope(lambda m: m * m, miss.data), 4))
assert abs(sum(told) - slope(lambda m: m * m, miss.data)) < 1e-8

# %% [markdown]
# Both: their *sum*. When `miss` moves, the loss is moved through both hands at once, and the movements add up. So
# there are two rules, and they are all of reverse-mode differentiation: **multiply along a path, add over paths.**
#
# ## Who goes first?
#
# A box must not pass its grad on before all of it has arrived. So it waits until every box that was made from it has
# had its turn. If we have a list in which each box stands *after its parents*, then walking it from the end will do.
# Such a list is called a *topological order*.
#
# ### Exercise 02.2
#
# Return all boxes behind `root`, and `root` itself, each once and each after its parents. A function inside that
# calls itself is the short way.

# %%
def order(root):
    """Return all boxes that root was made from, and root: each once, and after its parents."""
    return ...


check("02.2", order)

# %%
# hint("02.2")
# solution("02.2")

# %%
order = solution("02.2").value
boxes = order(loss)
for box in boxes:
    places = [boxes.index(parent) for parent in box.parents]
    print(f"{boxes.index(box):2} {box.data:8.4f}", f"made from {places}" if places else "")
assert len(boxes) == 13

# %% [markdown]
# Thirteen boxes, as in the picture. Read the list from the bottom and you see the walk: 12 tells 11 (twice), 11 tells
# 9 and 10, and so on, and every arrow leads upwards.
#
# ### Exercise 02.3
#
# The walk itself, with both rules. Set `root.grad`, go through the boxes backwards, and let each of them tell its
# parents. `check` tries 200 random expressions, and the simplest of them is `a + a`.

# %%
def backward(root):
    """Add to the grad of every box the slope of root by that box."""
    return ...


check("02.3", backward)

# %%
# hint("02.3")
# solution("02.3")

# %% [markdown]
# **Predict, then run.** Lesson 1 measured −2.5942, −1.1674 and −1.2971 with six runs of the network. Which box will
# hold the same number as the bias, and why? (A sum passes on what it gets.)

# %%
backward = solution("02.3").value
backward(loss)
print([round(knob.grad, 4) for knob in knobs])
print("boxes with the grad of the bias:", sum(box.grad == knobs[2].grad for box in boxes))
assert [round(knob.grad, 4) for knob in knobs] == [-2.5942, -1.1674, -1.2971]

# %% [markdown]
# One run forward, one walk back. With a million knobs it would still be one of each. And it is not a measurement:
# there is no $h$, so there is no V. As in lesson 1 we do not trust, we compare:

# %%
def loss_at(i, x):
    start = [0.5, -1.0, 0.2]
    start[i] = x
    return network([Value(k) for k in start]).data


for i, knob in enumerate(knobs):
    measured = slope(lambda x, i=i: loss_at(i, x), knob.data)
    print(f"walked {knob.grad:.10f}  measured {measured:.10f}")
    assert abs(knob.grad - measured) < 1e-8

# %% [markdown]
# A bonus: the inks got slopes too, though they are no knobs. The walk answers a question that nobody asked: which
# change of the *picture* would make the neuron surer of its seven?

# %%
inks = [box for box in boxes if box.data in (2.0, 0.9)]
print({box.data: round(box.grad, 4) for box in inks})

# %% [markdown]
# More ink on top lowers the loss, more ink on the left raises it. That fits a seven.
#
# **Stretch** (no check, no net). Write the rule of `exp`, and a rule `power(a)` for $a^{-1}$; with them, divide two
# Values, and make a sigmoid $1 / (1 + e^{-a})$. Hold its grad against `slope`.

# %%
def exp(a):
    """Return e to the a, then its slope by a."""
    return ...


print(exp(0.3), "should be near", (math.exp(0.3), slope(math.exp, 0.3)))

# %% [markdown]
# ## Now the real one
#
# tinydl does the same with arrays in the place of numbers. `ancestors` in [tinydl/graph.py](../tinydl/graph.py) is
# our `order`, and `propagate` is our `backward`. It numbers its nodes as they are made, and falling numbers are an
# order already: no function has to call itself, so a graph may be as deep as it likes.

# %%
from tinydl import float64, tensor

real = [tensor(k.data, dtype=float64, requires_grad=True) for k in knobs]
w_top, w_left, bias = real
miss = (w_top * 2.0 + w_left * 0.9 + bias).tanh() - 1
real_loss = miss * miss
real_loss.backward(retain_graph=True)
print([round(k.grad.item(), 4) for k in real])
assert all(abs(ours.grad - theirs.grad.item()) < 1e-15 for ours, theirs in zip(knobs, real))

# %% [markdown]
# And it can draw what it recorded. (`retain_graph=True` kept the graph for this; else it is thrown away behind the
# walk, to save memory.)

# %%
from tinydl.plots import graph

graph(real_loss, {"w_top": w_top, "w_left": w_left, "bias": bias})

# %% [markdown]
# ## Break it on purpose
#
# First: `=` in the place of `+=`. What will happen to the three slopes? Look at the graph before you answer.

# %%
def overwriting(root):
    root.grad = 1.0
    for box in reversed(order(root)):
        for parent, slope in zip(box.parents, box.slopes):
            parent.grad = slope * box.grad


broken = [Value(k.data) for k in knobs]
overwriting(network(broken))
print([round(b.grad / k.grad, 4) for b, k in zip(broken, knobs)])
assert all(2 * b.grad == k.grad for b, k in zip(broken, knobs))

# %% [markdown]
# All are half of what they should be: the second hand of `miss` overwrote the first. Training would still
# work, only slower, and that makes it a nasty mistake: nothing crashes. Second: walk each path as you meet it, without
# an order. What will it make of four times $x$?

# %%
def hasty(box):
    for parent, slope in zip(box.parents, box.slopes):
        parent.grad += slope * box.grad
        hasty(parent)

for walk in (backward, hasty):
    x = Value(1.0)
    double = x + x
    result = double + double
    result.grad = 1.0
    walk(result)
    print(walk.__name__, x.grad)

# %% [markdown]
# $x + x + x + x$ has slope 4. Without an order `double` passed on its half-filled grad, then passed it on again. Third:
# build the graph twice with the same knobs, and walk back both times.

# %%
backward(network(knobs))
print([round(knob.grad, 4) for knob in knobs])
assert all(abs(knob.grad - real.grad.item() * 2) < 1e-15 for knob, real in zip(knobs, real))

# %% [markdown]
# Twice the gradient, as `+=` never forgets. Within one walk we want that, between two steps of training we do not:
# someone has to sweep the grads to zero. Lesson 3 will show what happens if nobody does.
#
# ## Five questions
#
# 1. A chain of three steps has the slopes 2, −1 and 0.5. What is the slope of the whole?
#
# <details><summary>Answer</summary>
#
# −1, their product.
#
# </details>
#
# 2. Why `+=` and not `=`?
#
# <details><summary>Answer</summary>
#
# A box may be used more than once, and the movements that it causes along different paths add up.
#
# </details>
#
# 3. What does a `+` box do with the grad it receives, and what does a `×` box do?
#
# <details><summary>Answer</summary>
#
# A sum hands it on unchanged to both parents. A product hands each parent the grad times the *other* parent's value.
#
# </details>
#
# 4. A neuron's tanh says 0.999. How much of the grad gets through?
#
# <details><summary>Answer</summary>
#
# $1 - 0.999^2$, about 0.002. A neuron that is sure hardly learns, even if it is wrong. Lesson 7 comes back to this.
#
# </details>
#
# 5. A network has 29,178 knobs and one loss. How many walks backwards does its gradient cost?
#
# <details><summary>Answer</summary>
#
# One. (With two results and one knob, measuring would be the cheaper way: the walk is made for many knobs, one loss.)
#
# </details>
#
# ## What next
#
# [Lesson 3](03_neurons_draw_lines.ipynb) builds a network of these boxes and trains it.
#
# To read: Griewank & Walther 2008, *Evaluating Derivatives*, chapter 3; Baydin, Pearlmutter, Radul & Siskind 2018,
# [*Automatic Differentiation in Machine Learning: a Survey*](https://arxiv.org/abs/1502.05767), section 3.2; and
# Karpathy's [micrograd](https://github.com/karpathy/micrograd), which grows one such object and draws its graph.
