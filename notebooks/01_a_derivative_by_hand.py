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
# # Lesson 1: A derivative by hand
#
# **You will be able to** measure how steeply any function rises, choose the step to measure with, say why a
# smaller step is not always a better one, and use slopes to make a wrong answer less wrong.
#
# **It needs** Python functions and school algebra. No calculus: we measure. About 35 min to read and try, 5 s to run.

# %% [markdown]
# ## The picture
#
# On the left the height of $x^3$ is compared at two points, and the line through them is drawn. As the second
# point comes nearer, the orange lines turn into the blue one. On the right is the surprise: from some point on,
# coming nearer makes it worse. By the end you can make the numbers of both halves yourself.

# %%
from tinydl.lessons.pictures.lesson_01 import secant_to_tangent

secant_to_tangent()

# %% [markdown]
# ## One digit, one neuron, one knob
#
# This seven will stay with us. It is the first test image of MNIST, the best known collection of handwritten
# digits, shrunk to 7 × 7 cells: 0 is paper, 9 is ink.

# %%
from tinydl.lessons.story import SEVEN

for row in SEVEN:
    print(" ".join(str(ink) if ink else "·" for ink in row))

# %% [markdown]
# Two measurements will do for a start: the ink in the top three rows, and the ink in the left three columns, both
# divided by ten to keep numbers small. Count one of them yourself before you run the cell.

# %%
top = sum(sum(row) for row in SEVEN[:3]) / 10
left = sum(sum(row[:3]) for row in SEVEN) / 10
print("top", top, " left", left)

# %% [markdown]
# A *neuron* multiplies each measurement by a number of its own (a *weight*), adds one more number, and squashes
# the sum into the range from −1 to 1 with the function tanh. Ours is to say 1 for "this is a seven". Think of its
# weight `w` as a knob; the −1 and the 0.2 are knobs too, but for now they are glued.

# %%
import math


def neuron(w):
    return math.tanh(w * top - 1.0 * left + 0.2)


print(neuron(0.5))

# %% [markdown]
# It says 0.29, it should say 1. How wrong is that? We square the distance and call the result the *loss*: 0 would be
# perfect, and a large miss counts more than two small ones.

# %%
def loss(w):
    return (neuron(w) - 1) ** 2


for w in (0.3, 0.5, 0.7):
    print(w, round(loss(w), 4))

# %% [markdown]
# **Predict, then run.** We turn the knob from 0.5 to 0.501. Will the loss rise or fall? By more or by less than
# the 0.001 that we turn? Write your guess down.

# %%
change = loss(0.501) - loss(0.5)
print("change of the loss:", change)
print("per unit of turning:", change / 0.001)

# %% [markdown]
# It falls, and about 2.6 times as fast as we turn. *That* is a derivative: the change that comes out, divided by
# the change that went in. Its sign says which way to turn. Its size says how much it matters.

# %% [markdown]
# ## How good is the measurement?
#
# To judge it we need a curve whose slope we know. School algebra gives us one. From 3 to $3 + h$ the square rises by
# $(3+h)^2 - 9 = 6h + h^2$, and divided by $h$ that is $6 + h$. So the slope at 3 is 6, and we measure too much by
# exactly $h$.

# %%
def square(x):
    return x * x


for h in (1.0, 0.5, 0.25, 0.125):
    measured = (square(3 + h) - square(3)) / h
    assert measured == 6 + h
    print(f"h = {h:<6} measured {measured}")

# %% [markdown]
# **Predict, then run.** If the error is $h$, then $h = 10^{-12}$ should give 6.000000000001. What will the
# computer say?

# %%
for k in range(2, 15, 2):
    h = 10.0**-k
    measured = (square(3 + h) - square(3)) / h
    print(f"h = 1e-{k:<3} measured {measured:<20} off by {abs(measured - 6):.0e}")

# %% [markdown]
# Down to $10^{-8}$ it gets better, then worse and worse. The algebra is not wrong; the numbers are coarse. A
# Python float keeps about 16 digits, so between 9 and the next number that it can store there is a gap:

# %%
gap = math.ulp(9.0)
print("gap behind 9:", gap)
print("gap / 1e-12: ", gap / 1e-12)

# %% [markdown]
# The height at $3 + h$ is rounded into such a gap, and then we divide by $h$. With $h = 10^{-12}$ the measured
# slope can only move in jumps of 0.0018. So two errors fight: the *bend* of the curve, which shrinks with $h$,
# and *rounding*, which grows like $1/h$. Their sum makes the V in the picture.
#
# ## Look to both sides
#
# To the right of 3 the square gives $6 + h$. To the left it gives $6 - h$. The mean of the two is 6, without any
# error. For $x^3$ not everything cancels, but look what is left:

# %%
def cube(x):
    return x**3


for h in (0.5, 0.25, 0.125):
    ahead = (cube(1 + h) - cube(1)) / h
    back = (cube(1) - cube(1 - h)) / h
    print(f"h = {h:<6} ahead {ahead:<9} back {back:<9} mean {(ahead + back) / 2}")
    assert (ahead + back) / 2 == 3 + h * h

# %% [markdown]
# The mean is $3 + h^2$: halve the step, and the error is a quarter. The two halves can be written as one
# quotient, the *central difference*, in which the middle point drops out. Its two points lie $h$ to the left and
# $h$ to the right of $x$.
#
# ### Exercise 01.1
#
# Write it. Put your code in the place of `...` and run the cell: `check` tries it on many inputs and shows you
# the smallest one that fails.

# %%
from tinydl.lessons import check, hint, solution


def slope(f, x, h):
    """Measure the slope of f at x between the points h to the left and h to the right."""
    return ...


check("01.1", slope)

# %%
# Stuck? Take one # away and run the cell; each run of hint gives the next hint.
# hint("01.1")
# solution("01.1")

# %% [markdown]
# From here on the lesson uses the library's answer, so that nothing below depends on yours. Here are five curves
# whose true slopes mathematicians have worked out for us.

# %%
slope = solution("01.1").value
truth = {
    "square": (square, lambda x: 2 * x),
    "cube": (cube, lambda x: 3 * x * x),
    "sin": (math.sin, math.cos),
    "exp": (math.exp, math.exp),
    "tanh": (math.tanh, lambda x: 1 - math.tanh(x) ** 2),
}

# %%
for name, (f, derivative) in truth.items():
    error = abs(slope(f, 1.0, 1e-5) - derivative(1.0))
    assert error < 1e-8
    print(f"{name:7} true slope at 1: {derivative(1.0):.8f}   error {error:.0e}")

# %% [markdown]
# **Predict, then run.** One-sided measuring was best near $h = 10^{-8}$. With both sides, will the best step be
# larger or smaller? Guess, then find out by writing the search.
#
# ### Exercise 01.2
#
# Given the exact slope and a list of steps, return the step at which `slope` comes closest.

# %%
steps = [10.0**-k for k in range(1, 13)]


def best_step(f, x, exact, steps):
    """Return the h among the steps at which the measured slope comes closest to the exact one."""
    return ...


check("01.2", best_step)

# %%
# hint("01.2")
# solution("01.2")

# %%
best_step = solution("01.2").value
for name in ("cube", "sin", "exp", "tanh"):
    f, derivative = truth[name]
    h = best_step(f, 1.0, derivative(1.0), steps)
    assert 1e-7 < h < 1e-3
    print(f"{name:5} best h {h:.0e}")

# %% [markdown]
# Larger! The bend now costs only $h^2$, so we can afford a wider step, and a wider step suffers less from
# rounding. A rule of thumb for values near 1: floats are good to about $10^{-16}$; take its square root,
# $10^{-8}$, for one side, and its cube root, about $10^{-5}$, for both.
#
# ## Turn the knob
#
# Back to the seven. We know how to measure, so we can roll downhill: measure the slope, take a small step against
# it, repeat.
#
# **Predict, then run.** Will the steps become longer or shorter?

# %%
w, path = 0.5, [0.5]
for step in range(8):
    w = w - 0.1 * slope(loss, w, 1e-5)
    path.append(w)
print("w   ", [round(w, 2) for w in path])
print("loss", [round(loss(w), 3) for w in path])

# %%
from tinydl.lessons.pictures.lesson_01 import downhill

downhill(loss, path)

# %% [markdown]
# The loss fell from 0.50 to 0.02, and nobody told the neuron how. This is *gradient descent*, and it trains every
# network in this course. The steps shrink because the curve flattens: a small slope makes a small step.
#
# ## All knobs
#
# Now we take the glue off. A list holds all three: two weights and the number that is added, called the *bias*.

# %%
def loss_of(knobs):
    w_top, w_left, bias = knobs
    return (math.tanh(w_top * top + w_left * left + bias) - 1) ** 2


start = [0.5, -1.0, 0.2]
assert loss_of(start) == loss(0.5)
print(loss_of(start))

# %% [markdown]
# ### Exercise 01.3
#
# Measure one slope for each knob: move that knob to both sides while the others stay put. The list of slopes is
# called the *gradient*. Leave `point` itself as you found it.

# %%
def gradient(f, point, h):
    """Return the list of slopes of f at a point (a list of numbers), one knob at a time."""
    return ...


check("01.3", gradient)

# %%
# hint("01.3")
# solution("01.3")

# %%
gradient = solution("01.3").value
slopes = gradient(loss_of, start, 1e-5)
print([round(s, 4) for s in slopes])
print("top : left : bias =", [round(s / slopes[2], 4) for s in slopes])

# %% [markdown]
# The slopes stand to each other as 2.0 : 0.9 : 1, which are the two measurements and a 1. A knob matters as much
# as the number that it multiplies. Keep that in mind: lesson 2 is built on it.
#
# **Stretch** (no check, no net). The slope of the slope tells how the curve bends: $(f(x+h) - 2f(x) + f(x-h)) /
# h^2$. Write it, test it on sin (whose bend is −sin), and find its best $h$. Why is it larger still?

# %%
def bend(f, x, h):
    return ...


print([bend(math.sin, 1.0, h) for h in (1e-2, 1e-4, 1e-6)], "should be near", -math.sin(1.0))

# %% [markdown]
# ## Now the real one
#
# tinydl measures slopes in exactly this way: `numeric_jacobian` in [tinydl/gradcheck.py](../tinydl/gradcheck.py)
# moves one number at a time to both sides. Its tests hold the derivative of every operation against such
# measurements.

# %%
from tinydl.gradcheck import numeric_jacobian

ours = gradient(loss_of, start, 1e-6)
theirs = numeric_jacobian(loss_of, start, eps=1e-6)[0]
print([float(s) for s in theirs])
assert all(math.isclose(a, b, rel_tol=1e-12) for a, b in zip(ours, theirs))

# %% [markdown]
# And this is what it checks: `backward`, which finds the same slopes without measuring anything.

# %%
from tinydl import float64, tensor

w_top, w_left, bias = [tensor(k, dtype=float64, requires_grad=True) for k in start]
((w_top * top + w_left * left + bias).tanh() - 1).pow(2).backward()
exact = [w_top.grad.item(), w_left.grad.item(), bias.grad.item()]
print(exact)
assert all(abs(a - b) < 1e-8 for a, b in zip(exact, slopes))

# %% [markdown]
# Why bother, if measuring works? Count. A gradient of $n$ knobs costs $2n$ runs of the network. Here is tinydl's
# default network for digits:

# %%
from tinydl import zoo

knobs = sum(p.numel() for p in zoo.convnet().parameters())
print(f"{knobs:,} knobs, so {2 * knobs:,} runs for a single step")
assert knobs == 29_178

# %% [markdown]
# ## Break it on purpose
#
# Three ways to get a slope wrong. Say what will come out before you run each.

# %%
h = 1e-17
print("h too small: ", (loss(0.5 + h) - loss(0.5)) / h, "because 0.5 + h == 0.5 is", 0.5 + h == 0.5)

# %%
h = 0.01
print("no brackets: ", (cube(1 + h) - cube(1 - h)) / 2 * h, "where 3.0001 is right")

# %%
print("at a corner: ", slope(abs, 0.0, 1e-5), "ahead", (abs(1e-5) - abs(0.0)) / 1e-5)

# %% [markdown]
# The symptoms: a slope of exactly 0 where the curve is steep means that the step was lost in rounding. A slope
# that shrinks with $h^2$ means that it was multiplied where it should be divided. And at a corner there is no one
# slope to find: both sides together say 0, one side says 1, and neither is wrong. Remember the corner when you
# meet ReLU.
#
# ## Five questions
#
# 1. The slope of the loss by a knob is −2.6. Which way do you turn the knob?
#
# <details><summary>Answer</summary>
#
# Up: turning it up by a little lowers the loss by 2.6 times as much.
#
# </details>
#
# 2. You halve $h$ in a central difference and the error becomes four times *larger*. What happened?
#
# <details><summary>Answer</summary>
#
# You are on the left arm of the V. Rounding rules there; make the step wider.
#
# </details>
#
# 3. Why is the central difference of $x^2$ free of error in algebra?
#
# <details><summary>Answer</summary>
#
# The right side gives $2x + h$, the left side $2x - h$; the mean is $2x$.
#
# </details>
#
# 4. How many times must a network run to measure the gradient of 1,000 knobs from both sides?
#
# <details><summary>Answer</summary>
#
# 2,000 times.
#
# </details>
#
# 5. A measurement of our digit is 0. What is the slope by the weight that multiplies it?
#
# <details><summary>Answer</summary>
#
# 0: whatever the weight is, it adds nothing to the sum.
#
# </details>
#
# ## What next
#
# [Lesson 2](02_the_chain_rule_is_a_graph.ipynb) finds all slopes in a single walk backwards, whatever their number.
#
# To read: Baydin, Pearlmutter, Radul & Siskind 2018, [*Automatic Differentiation in Machine Learning: a
# Survey*](https://arxiv.org/abs/1502.05767), section 2.1, on exactly these two errors; Goldberg 1991, *What Every
# Computer Scientist Should Know About Floating-Point Arithmetic*, the section on cancellation.
