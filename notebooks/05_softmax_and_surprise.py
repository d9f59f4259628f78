# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   tinydl:
#     budget_seconds: 10
# ---

# %% [markdown]
# # Lesson 5: Softmax and surprise
#
# **You will be able to** turn any scores into probabilities, measure how surprised a network is by the truth, write
# both so that they survive scores of 10,000, and say by heart what the gradient is.
#
# **It needs** lesson 4 (shapes, broadcasting) and the rules of logarithms. About 35 min to read and try, 3 s to run.

# %% [markdown]
# ## The picture
#
# A network gave four digits a score. Softmax makes shares of them. And the gradient, which sounds like the hard part,
# is one subtraction: the right digit is pulled up by what it lacks to 1, each other is pushed down by what it has.

# %%
import numpy as np

from tinydl.lessons.pictures.lesson_05 import pushes as picture_of_pushes

names = ["1", "4", "7", "9"]
scores = np.array([1.0, 0.5, 2.0, 1.5])
picture_of_pushes(scores, 2, names)

# %% [markdown]
# ## From scores to shares
#
# Which of ten digits is it? In lesson 4 two neurons shouted between −1 and 1. For ten that is clumsy: we want
# probabilities, all positive and together 1. The scores (people say *logits*) may be any numbers. The exponential
# makes them positive, division by the sum makes them shares. This is *softmax*: $p_i = e^{s_i} / \sum_j e^{s_j}$.

# %%
def softmax(scores):
    return np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)


print("e^s     ", np.exp(scores).round(3))
print("softmax ", softmax(scores).round(3), "sum", softmax(scores).sum().round(12))

# %% [markdown]
# Two scores that differ by 1 give shares that differ by the factor $e$, wherever they lie. Only differences count.
#
# **Predict, then run.** We add 5 to all four scores. What happens to the shares? And if we double the scores?

# %%
print("as they are ", softmax(scores).round(3))
print("plus 5      ", softmax(scores + 5).round(3))
print("doubled     ", softmax(2 * scores).round(3))
assert np.allclose(softmax(scores + 5), softmax(scores))

# %% [markdown]
# A shift changes nothing, because $e^{s+5} = e^5 e^s$ and the factor cancels. Doubling makes the winner more certain.
# Remember the shift; it will save us.
#
# ## Surprise
#
# It was a seven. How badly did the network do? If it gave the seven the probability $p$, we call $-\log p$ its
# *surprise*: 0 if it was sure and right, and the more the less it had expected the truth.

# %%
for p in (1.0, 0.5, 0.25, 0.1, 0.001):
    print(f"p = {p:<6} surprise {abs(np.log(p)):.4f}   square {(1 - p) ** 2:.4f}")

# %% [markdown]
# Halve $p$ and the surprise grows by $\log 2 = 0.6931$, always. The square of the miss never exceeds 1: being certain
# and wrong costs hardly more than being unsure.

# %%
from tinydl.lessons.pictures.lesson_05 import surprise_curve

surprise_curve()

# %% [markdown]
# The mean surprise over many examples is called *cross-entropy*, and nearly every classifier is trained on it.
#
# **Predict, then run.** A fresh network knows nothing and gives each of ten digits the same score. How surprised is it,
# on average?

# %%
nothing_known = softmax(np.zeros(10))
print("p", nothing_known[7].round(12), " surprise", -np.log(nothing_known[7]).round(4))
assert np.isclose(-np.log(nothing_known[7]), np.log(10))

# %% [markdown]
# $\log 10 = 2.3026$, whatever the digit. If the first loss of a ten-class network is far from 2.3, something is wrong
# before training has begun.
#
# ## A NaN made on purpose
#
# **Predict, then run.** What does our softmax make of the scores 1000 and 0? It should be 1 and 0.

# %%
with np.errstate(all="ignore"):  # NumPy would warn
    print("e^1000 =", np.exp(1000.0))
    print("softmax", softmax(np.array([1000.0, 0.0])))
    print("softmax", softmax(np.array([-1000.0, -1000.0])))

# %% [markdown]
# `inf / inf` and `0 / 0` are *nan*, not a number, and a single step along a nan gradient turns the weights to nan.
# The limit is near: float64 ends at $e^{709}$, and float32, in which networks are trained, already at $e^{88}$.

# %%
with np.errstate(all="ignore"):
    print("float64:", np.exp(709.0), np.exp(710.0))
    print("float32:", np.exp(np.float32(88.0)), np.exp(np.float32(89.0)))

# %% [markdown]
# The rescue is the shift that changes nothing. Subtract each row's largest score: then the largest exponential is
# $e^0 = 1$, the sum is at least 1, and nothing can overflow.

# %%
def safe_softmax(scores):
    return softmax(scores - scores.max(axis=-1, keepdims=True))


for extreme in ([1000.0, 0.0], [-1000.0, -1000.0]):
    print(extreme, "→", safe_softmax(np.array(extreme)))

# %% [markdown]
# One hole is left. The second probability of (1000, 0) is $e^{-1000}$, which is rounded to 0, and $-\log 0$ is
# infinite. So never take the logarithm of a softmax: simplify first. $\log(e^{s_i} / \sum_j e^{s_j})$ is
# $s_i - \log \sum_j e^{s_j}$.
#
# ### Exercise 05.1
#
# Write it for rows of scores, with the shift. (`axis=-1` runs along a row; `keepdims=True` keeps a column that
# broadcasts back.)

# %%
from tinydl.lessons import check, hint, solution


def log_softmax(scores):
    """Return the logarithms of the probabilities of each row."""
    return ...


check("05.1", log_softmax)

# %%
# Stuck? Take one # away and run the cell; each run of hint gives the next hint.
# hint("05.1")
# solution("05.1")

# %%
log_softmax = solution("05.1").value
print(log_softmax(np.array([[1000.0, 0.0], [-1000.0, -1000.0], [1e4, -1e4]])))
assert np.allclose(np.exp(log_softmax(scores)), softmax(scores))

# %% [markdown]
# ### Exercise 05.2
#
# Now the loss of a batch. `labels[n]` is the number of the right column in row `n`. Pick one log-probability per
# row, turn the sign, take the mean.

# %%
def cross_entropy(scores, labels):
    """Return the mean surprise at the right classes."""
    return ...


check("05.2", cross_entropy)

# %%
# hint("05.2")
# solution("05.2")

# %%
cross_entropy = solution("05.2").value
batch = np.array([[1.0, 0.5, 2.0, 1.5], [0.0, 3.0, 0.0, 0.0], [1e4, 0.0, 0.0, 9999.0]])
labels = np.array([2, 1, 0])
print("surprises", -log_softmax(batch)[[0, 1, 2], labels].round(4))
print("mean     ", cross_entropy(batch, labels).round(4))

# %% [markdown]
# ## The gradient is a subtraction
#
# One example, right class $t$: the loss is $\log \sum_j e^{s_j} - s_t$. The slope of the first part by $s_i$ is
# $e^{s_i} / \sum_j e^{s_j}$, which is $p_i$. The slope of the second is −1 at $t$ and 0 elsewhere. Write $y$ for the
# row with a 1 at $t$: the gradient is $p - y$. Measure it:

# %%
from tinydl.gradcheck import numeric_jacobian

measured = numeric_jacobian(lambda s: cross_entropy(s[None], [2]), scores)[0]
print("p       ", softmax(scores).round(4))
print("measured", measured.round(4))
assert np.allclose(measured, softmax(scores) - np.array([0, 0, 1, 0]), atol=1e-8)

# %% [markdown]
# These are the arrows of the first picture, turned round (downhill is against the slope). They add up to 0: what the
# right class gains, the others lose.
#
# ### Exercise 05.3
#
# Write the gradient for a batch. Mind that the loss is a *mean* over the rows.

# %%
def pushes(scores, labels):
    """Return the gradient of cross_entropy(scores, labels) by the scores."""
    return ...


check("05.3", pushes)

# %%
# hint("05.3")
# solution("05.3")

# %%
pushes = solution("05.3").value
print(pushes(batch, labels).round(4))
assert np.allclose(pushes(batch, labels).sum(axis=1), 0)

# %% [markdown]
# ## Our seven, among ten
#
# The seven again, ten neurons, all knobs at 0. Lesson 4 gives the rest of the way: the weights' gradient is `x.T @ g`.
#
# **Predict, then run.** The first loss is known already. Which way will the other nine probabilities go?

# %%
from tinydl.lessons.story import SEVEN

x, seven = np.array(SEVEN).reshape(1, 49) / 10, np.array([7])
w, history = np.zeros((49, 10)), []
for step in range(31):
    if step % 10 == 0:
        print(f"step {step:2}  loss {cross_entropy(x @ w, seven):.4f}")
    history.append(softmax(x @ w)[0])
    w = w - 0.5 * x.T @ pushes(x @ w, seven)
assert history[-1][7] > 0.8

# %%
from tinydl.lessons.pictures.lesson_05 import shares_over_time

shares_over_time(history, [str(digit) for digit in range(10)])

# %% [markdown]
# The curve flattens by itself: the nearer $p$ comes to 1, the smaller $p - y$.
#
# **Stretch** (no check, no net). Divide the scores by a *temperature* $T$ before softmax. What happens at $T = 10$,
# at $T = 0.1$? What becomes of the gradient?

# %%
def at_temperature(scores, temperature):
    return ...


print([at_temperature(scores, t) for t in (0.1, 1.0, 10.0)])

# %% [markdown]
# ## Now the real one
#
# tinydl's versions stand in [tinydl/ops/softmax.py](../tinydl/ops/softmax.py) and
# [tinydl/ops/cross_entropy.py](../tinydl/ops/cross_entropy.py), with exactly your shift.

# %%
import tinydl
from tinydl.nn import functional as F

t = tinydl.tensor(batch, dtype=tinydl.float64, requires_grad=True)
theirs = F.cross_entropy(t, tinydl.tensor(labels))
theirs.backward()
assert np.allclose(tinydl.log_softmax(t, 1).numpy(), log_softmax(batch))
assert np.isclose(theirs.item(), cross_entropy(batch, labels))
assert np.allclose(t.grad.numpy(), pushes(batch, labels))
print("loss", round(theirs.item(), 4), "as ours; gradient as ours")

# %% [markdown]
# ## Break it on purpose
#
# Three mistakes from real programs. What will each print?

# %%
print("softmax twice:", cross_entropy(softmax(20 * scores)[None], [2]).round(4), "for a network that is certain")
print("              ", cross_entropy(20 * scores[None], [2]).round(4), "is right")

# %%
down = np.exp(batch[:2]) / np.exp(batch[:2]).sum(axis=0)
print("along the wrong axis, the rows add up to", down.sum(axis=1).round(3))

# %%
with np.errstate(all="ignore"):
    certain_and_wrong = -np.log(safe_softmax(np.array([1000.0, 0.0])))[1]
print("log of a softmax:", certain_and_wrong, "where", cross_entropy(np.array([[1000.0, 0.0]]), [1]), "is right")

# %% [markdown]
# The symptoms: a loss that will not fall below a floor although the accuracy is good means that softmax was applied
# twice (`cross_entropy` wants raw scores). Rows that do not add up to 1 mean the wrong axis. And a loss of inf or nan
# after hours of peace means that somebody took the logarithm of a probability.
#
# ## Five questions
#
# 1. The scores are 3, 3 and 3. What are the probabilities?
#
# <details><summary>Answer</summary>
#
# A third each; only differences count.
#
# </details>
#
# 2. Why subtract the largest score and not, say, the mean?
#
# <details><summary>Answer</summary>
#
# Above the mean a score may still be 1000 larger, and overflow. After the largest is subtracted none is above 0.
#
# </details>
#
# 3. A network with 100 classes has just been made. Which loss do you expect?
#
# <details><summary>Answer</summary>
#
# About log 100 = 4.6.
#
# </details>
#
# 4. The right class has p = 0.9. What is the gradient by its score?
#
# <details><summary>Answer</summary>
#
# 0.9 − 1 = −0.1 (divided by the number of rows, in a batch).
#
# </details>
#
# 5. Can the gradient by a score be larger than 1?
#
# <details><summary>Answer</summary>
#
# Never: p and y lie between 0 and 1. That is one reason why this loss trains so calmly.
#
# </details>
#
# ## What next
#
# All parts are there. [Lesson 6](06_mnist_from_scratch.ipynb) puts them together: real digits, batches, a loop, and
# an honest evaluation.
#
# To read: Goodfellow, Bengio & Courville 2016, [*Deep Learning*](https://www.deeplearningbook.org), sections 4.1
# (overflow and underflow) and 6.2.2.3 (softmax units).
