# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   tinydl:
#     budget_seconds: 60
# ---

# %% [markdown]
# # Lesson 6: MNIST from scratch
#
# **You will be able to** turn a folder of pictures into batches, write the loop that trains a network on them,
# measure honestly how good it is, and look its worst mistakes in the eye.
#
# **It needs** tensors (lesson 4) and cross-entropy (lesson 5). About 40 min to read and try, half a minute to run.

# %%
from tinydl.data import load

train, test = load()
print(type(train).__name__, len(train), "to train on,", len(test), "to test with")

# %% [markdown]
# If it says `SyntheticDigits`, then MNIST could not be had (no network?), and you work with digits that tinydl
# draws itself. Everything below holds for both; only the last digits of the numbers differ.
#
# ## The picture
#
# Ten neurons, each with a weight for each of 28 × 28 pixels, drawn as images. At the start they are noise. Then the
# network sees digits, and stencils appear that nobody drew: the "0" wants a ring of ink and paper in its middle.

# %%
from tinydl.lessons.pictures.lesson_06 import stencils

stencils(train)

# %% [markdown]
# ## Look at the data first
#
# Always. Half of all trouble in training sits in the data, and a look is cheap.

# %%
from tinydl.plots import images

print(train.images.dtype, train.images.shape, train.labels[:10])
images(train.images[:20], train.labels[:20], columns=10);

# %% [markdown]
# Are some digits more frequent? And where is our old friend, the seven of lesson 1? It is the first *test* image of
# MNIST: the mean of 4 × 4 pixels makes one cell.

# %%
import numpy as np

print("how many of each:", np.bincount(train.labels))
cells = test.images[0].reshape(7, 4, 7, 4).mean((1, 3))
for row in np.rint(9 * cells / 255).astype(int):
    print(" ".join(str(ink) if ink else "·" for ink in row))

# %% [markdown]
# Pixels are bytes from 0 to 255. A knob matters as much as the number that it multiplies (lesson 1), so we bring
# the inputs to size 1: divide by 255, subtract the mean, divide by the standard deviation. The dataset does just
# this when it is asked for an image.

# %%
x0, y0 = test[0]
by_hand = (test.images[0] / 255 - test.mean) / test.std
assert np.allclose(x0[0], by_hand, atol=1e-5)
print("label", y0, " shape", x0.shape, " paper is", round(float(x0.min()), 3))

# %% [markdown]
# ## Three piles
#
# You will change things and keep what works: the learning rate, the size, the number of epochs. Every such choice
# fits the network a bit to the images that you judged by. So we make three piles: one to *train* on, one to choose
# by (*validation*), and one that is touched once, at the end (*test*).

# %%
from tinydl.data import DataLoader, Subset

learn, choose = Subset(train, range(55_000)), Subset(train, range(55_000, 60_000))
print(len(learn), len(choose), len(test))

# %% [markdown]
# ## The network
#
# An image becomes a row of 784 numbers; 128 neurons look at it; ReLU bends; ten neurons give a logit for each
# digit.
#
# **Predict, then run.** How many knobs is that? And before it has learnt anything: what share will it get right,
# and what will the loss be? (Lesson 5: the surprise at one of ten equally likely things is ln 10 = 2.30.)

# %%
import tinydl
from tinydl import nn, no_grad
from tinydl.nn.functional import cross_entropy


def network():
    tinydl.manual_seed(6)
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))


net = network()
knobs = sum(p.numel() for p in net.parameters())

# %%
x, y = next(iter(DataLoader(choose, batch_size=5_000)))
logits = net(x)
print(f"{knobs:,} knobs = {784 * 128 + 128:,} + {128 * 10 + 10:,}")
print("loss", round(cross_entropy(logits, y).item(), 2))
print("right", (logits.argmax(1) == y).numpy().mean())
assert knobs == 101_770
assert abs(cross_entropy(logits, y).item() - np.log(10)) < 0.2

# %% [markdown]
# ## One step by hand
#
# Forward, backward, and a step against the gradient, as in lesson 3, for a hundred images at once.

# %%
x, y = next(iter(DataLoader(learn, batch_size=100)))
loss = cross_entropy(net(x), y)
net.zero_grad()
loss.backward()
with no_grad():
    for p in net.parameters():
        p -= 0.2 * p.grad
print("loss of these 100:", round(loss.item(), 3), "→", round(cross_entropy(net(x), y).item(), 3))
assert cross_entropy(net(x), y) < loss

# %% [markdown]
# ## Why batches?
#
# The honest gradient is the mean over all 55,000 images. But is so much needed to find the way down? Let us ask 1,
# 10, 100 and 1,000 images for the direction, and compare it with that of 10,000 by the cosine of the angle between
# them: 1 is the same direction, 0 is at right angles.
#
# **Predict, then run.** How many images does it take for a cosine above 0.9?

# %%
def direction(net, rows):
    x, y = next(iter(DataLoader(Subset(train, rows), batch_size=len(rows))))
    net.zero_grad()
    cross_entropy(net(x), y).backward()
    flat = np.concatenate([p.grad.numpy().ravel() for p in net.parameters()])
    return flat / np.linalg.norm(flat)


many = direction(net, range(10_000))
cosine = {n: many @ direction(net, range(20_000, 20_000 + n)) for n in (1, 10, 100, 1_000)}
print({n: round(float(c), 2) for n, c in cosine.items()})
assert cosine[1] < cosine[10] < cosine[100] < cosine[1_000] < 2 * cosine[100]

# %% [markdown]
# A single image hardly knows the way. A hundred have a fair idea, and from there ten times the work buys less than
# twice the cosine. So we spend the work on many rough steps instead of a single exact one. That is *stochastic
# gradient descent*; a pass through all images is an *epoch*.
#
# ### Exercise 06.1
#
# Cut an epoch into batches. Each row must come exactly once, in an order that `rng`, a NumPy generator, decides; all
# batches have `size` rows, except that the last takes what is left.

# %%
from tinydl.lessons import check, hint, solution


def batches(rows, size, rng):
    """Cut the row numbers 0 … rows − 1, in a random order, into batches of the given size."""
    return ...


check("06.1", batches)

# %%
# hint("06.1")
# solution("06.1")

# %%
batches = solution("06.1").value
rng = np.random.default_rng(6)
print([part.tolist() for part in batches(10, 4, rng)])
print([part.tolist() for part in batches(10, 4, rng)], "another epoch, another order")

# %% [markdown]
# `DataLoader` does the same and hands you the images and labels of each batch. **Predict, then run:** how many
# batches of 100 are in an epoch of 55,000?

# %%
loader = DataLoader(learn, batch_size=100, shuffle=True, generator=6)
print(len(loader), "=", len(batches(55_000, 100, rng)))
assert len(loader) == 550

# %% [markdown]
# ## The loop
#
# What you did by hand to each knob, an *optimizer* does: `optimizer.zero_grad()` clears the gradients of all
# parameters, and `optimizer.step()` moves them.
#
# ### Exercise 06.2
#
# Write the most famous loop of deep learning: for each batch `x, y` compute the loss, clear the gradients, go
# backward, step. Return the list of the losses, as plain numbers (`loss.item()`).

# %%
def train_epoch(model, optimizer, loader):
    """Take one step for each batch (x, y) of the loader; return the list of losses."""
    return ...


check("06.2", train_epoch)

# %%
# hint("06.2")
# solution("06.2")

# %% [markdown]
# ### Exercise 06.3
#
# Now the measure: which share of all images gets its largest logit at the right digit? Nothing needs a gradient
# here, so nothing should be recorded. Beware of the last batch: it may be short.

# %%
train_epoch = solution("06.2").value


def accuracy(model, loader):
    """Return the share of all samples whose largest logit is the right one, without recording."""
    return ...


check("06.3", accuracy)

# %%
# hint("06.3")
# solution("06.3")

# %% [markdown]
# Everything is in place. **Predict, then run:** what share of the validation images is right after a single
# epoch? After four?

# %%
accuracy = solution("06.3").value
net = network()
optimizer = tinydl.optim.SGD(net.parameters(), lr=0.2)
curves = {"training": [], "validation": []}
for epoch in range(1, 5):
    losses = train_epoch(net, optimizer, loader)
    curves["training"].append(accuracy(net, DataLoader(learn, 1_000)))
    curves["validation"].append(accuracy(net, DataLoader(choose, 1_000)))
    shares = " ".join(f"{name} {100 * curve[-1]:.1f} %" for name, curve in curves.items())
    print(f"epoch {epoch}: mean loss {np.mean(losses):.3f}, {shares}")

# %%
from tinydl.lessons.pictures.lesson_06 import learning_curves

learning_curves(curves)

# %% [markdown]
# The lines part: the network begins to know its training images by heart. As long as validation still rises, that
# does no harm. Where it falls, stop.
#
# ## The test, once
#
# A share of 10,000 images is itself a measurement. Its standard error is $\sqrt{p(1-p)/n}$: two networks that
# differ by less than about three of those cannot be told apart by this test set.

# %%
p = accuracy(net, DataLoader(test, 1_000))
error = np.sqrt(p * (1 - p) / len(test))
print(f"{type(test).__name__}: {100 * p:.2f} % ± {100 * error:.2f}")
assert p >= 0.97

# %% [markdown]
# ## Look at the mistakes
#
# A number says how many, not which. Here are the 25 at which the network was most surprised. Decide for each: would
# you have known?

# %%
from tinydl.plots import confusion_matrix, mistakes

with no_grad():
    x, y = next(iter(DataLoader(test, batch_size=10_000)))
    chances = tinydl.softmax(net(x), 1)
answers = chances.argmax(1)
mistakes(test.images, y, answers, chances);

# %% [markdown]
# Read its confidence, too: it is often sure when it is wrong. And which digits are taken for which?
# (`tinydl.plots.confusion` draws the whole table.)

# %%
counts = confusion_matrix(y, answers) * (1 - np.eye(10, dtype=int))
for place in np.argsort(-counts, axis=None)[:6]:
    is_digit, said_digit = divmod(int(place), 10)
    print(f"{counts.flat[place]:3} times a {is_digit} was taken for a {said_digit}")

# %% [markdown]
# And here are the weights of 16 of the 128 hidden neurons, as images. They are no longer stencils of whole digits:
# each looks for strokes and gaps, from which the second layer puts digits together.

# %%
from tinydl.plots import filters

filters(net[1].weight, n=16);

# %% [markdown]
# **Stretch** (no check, no net). Shift the test images to the right by 1, 2, 3 and 4 pixels with `np.roll`. A shifted
# seven is a seven; what does the network say? Why? Lesson 9 has the cure.

# %%
def shifted_accuracy(pixels):
    return ...


print([shifted_accuracy(pixels) for pixels in range(5)])

# %% [markdown]
# ## Now the real one
#
# tinydl's loop is in [tinydl/train.py](../tinydl/train.py): `fit` and `evaluate`. It also validates, calls back,
# clips gradients and can be interrupted, but its core is your four lines. From the same start, with the same
# batches, it must come to the same weights.

# %%
few = Subset(learn, range(5_000))
ours, theirs = network(), network()
order = {"batch_size": 100, "shuffle": True}
train_epoch(ours, tinydl.optim.SGD(ours.parameters(), lr=0.2), DataLoader(few, generator=1, **order))

optimizer = tinydl.optim.SGD(theirs.parameters(), lr=0.2)
tinydl.train.fit(theirs, DataLoader(few, generator=1, **order), epochs=1, optimizer=optimizer)
for a, b in zip(ours.parameters(), theirs.parameters()):
    assert np.allclose(a.numpy(), b.numpy(), atol=1e-6)
measured = tinydl.train.evaluate(theirs, DataLoader(choose, 1_000)).accuracy
print("the same weights;", measured, "=", accuracy(ours, DataLoader(choose, 1_000)))

# %% [markdown]
# ## Break it on purpose
#
# Three classics. Say what will happen before you run each. First: the gradients are never cleared.

# %%
validation = DataLoader(choose, 1_000)


def forgetful_epoch(model, optimizer, loader):
    for x, y in loader:
        cross_entropy(model(x), y).backward()
        optimizer.step()


# %%
broken = network()
optimizer = tinydl.optim.SGD(broken.parameters(), lr=0.2)
forgetful_epoch(broken, optimizer, loader)
print("gradients pile up:", accuracy(broken, validation), "instead of", curves["validation"][0])
lost = tinydl.train.evaluate(broken, validation).loss
print("loss", round(lost, 1), "where a guess costs", round(np.log(10), 1))
assert lost > np.log(10)

# %% [markdown]
# Second: the images come sorted by their label, all zeros first, nines last.

# %%
sorted_rows = np.argsort(train.labels[:55_000], kind="stable")
broken = network()
optimizer = tinydl.optim.SGD(broken.parameters(), lr=0.2)
train_epoch(broken, optimizer, DataLoader(Subset(train, sorted_rows), batch_size=100))
said = tinydl.train.evaluate(broken, validation).predictions
print("how often it says each digit:", np.bincount(said, minlength=10))
assert np.bincount(said).argmax() == 9

# %% [markdown]
# Third: you judge by the images that you trained on.

# %%
tiny = DataLoader(Subset(train, range(300)), batch_size=50, shuffle=True, generator=6)
broken = network()
optimizer = tinydl.optim.SGD(broken.parameters(), lr=0.2)
for epoch in range(30):
    train_epoch(broken, optimizer, tiny)
print("on what it has seen:", accuracy(broken, tiny), " on what it has not:", accuracy(broken, validation))
assert accuracy(broken, tiny) > 0.99
assert accuracy(broken, validation) < 0.95

# %% [markdown]
# The symptoms: a loss above that of a guess, at a learning rate that worked before, means that gradients pile up. A
# network that answers with whatever it saw last means that the order is not random. And a perfect score means that
# you asked the wrong images: the network knows those 300 by heart.
#
# ## Five questions
#
# 1. An untrained network with ten classes starts with a loss of 7. What does that tell you?
#
# <details><summary>Answer</summary>
#
# It is sure of things that it cannot know: ln 10 = 2.30 is what a fair guess costs. Its first weights are too large,
# or its inputs are not brought to size 1.
#
# </details>
#
# 2. You have 1,050 images and batches of 100. How many steps has an epoch, and how many images has the last batch?
#
# <details><summary>Answer</summary>
#
# 11 steps; the last has 50 images.
#
# </details>
#
# 3. Why not average the accuracies of the batches?
#
# <details><summary>Answer</summary>
#
# A short last batch would count as much as a full one, so each of its images would count more.
#
# </details>
#
# 4. You tried twenty learning rates and kept the one that was best on the test set. What is wrong with its score?
#
# <details><summary>Answer</summary>
#
# It is the luckiest of twenty: the test images helped to choose, so they can no longer judge. Choose by validation.
#
# </details>
#
# 5. Network A has 97.5 % on 10,000 test images, network B 97.6 %. Is B better?
#
# <details><summary>Answer</summary>
#
# Nobody can tell from this: one standard error is about 0.16 points.
#
# </details>
#
# ## What next
#
# [Lesson 7](07_reading_the_signals.ipynb) makes networks deeper, sees them fall ill, and reads the signals inside.
#
# To read: LeCun, Bottou, Bengio & Haffner 1998, *Gradient-Based Learning Applied to Document Recognition*, section
# III, on MNIST and what was tried on it; Bottou, Curtis & Nocedal 2018, [*Optimization Methods for Large-Scale Machine
# Learning*](https://arxiv.org/abs/1606.04838), section 3, on why rough steps win.
