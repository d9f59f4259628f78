# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   tinydl:
#     budget_seconds: 120
# ---

# %% [markdown]
# # Lesson 10: A conv net you can look inside
#
# **You will be able to** work out on paper what every layer of a conv net makes, costs and sees, design a net that
# beats lesson 6 with a tenth of its knobs, and find out what it looks at.
#
# **It needs** the convolution of lesson 9 and the loop of lesson 6. About 45 min to read and try, a minute to run.

# %%
from tinydl.data import load

train, test = load()
print(type(train).__name__, len(train), "to train on,", len(test), "to test with")

# %% [markdown]
# If it says `SyntheticDigits`, then MNIST could not be had, and you work with digits that tinydl draws itself.
# Everything below holds for both; other images will stand in the pictures.
#
# ## The picture
#
# A digit on its way through a net. Eight kernels slide over it, and each draws a *map* of where it found its pattern:
# an edge, a stroke, a stretch of paper. Sixteen more kernels look at those maps. At the end stand ten chances.

# %%
from tinydl.lessons.pictures.lesson_10 import journey

journey(train, test, 0)  # another digit: any number below 10,000

# %% [markdown]
# ## LeNet
#
# An early conv net in daily use was LeNet: it read bank cheques in the 1990s. Here it is as many tutorials have it.
# `MaxPool2d(2)` is new: of each 2 × 2 numbers it keeps the largest. So a map says *that* there is a stroke, and no
# longer exactly where.

# %%
import tinydl
from tinydl import nn


def lenet():
    tinydl.manual_seed(10)
    first = [nn.Conv2d(1, 10, 5), nn.MaxPool2d(2), nn.ReLU()]
    second = [nn.Conv2d(10, 20, 5), nn.MaxPool2d(2), nn.ReLU()]
    dense = [nn.Flatten(), nn.Linear(320, 50), nn.ReLU(), nn.Linear(50, 10)]
    return nn.Sequential(*first, *second, *dense)


# %% [markdown]
# **Predict, then run.** Send a digit through it, layer by layer. Where does the 320 come from? And which layer has
# most of the knobs?

# %%
x = tinydl.tensor(test[0][0]).unsqueeze(0)
for layer in lenet():
    x = layer(x)
    knobs = sum(p.numel() for p in layer.parameters())
    print(f"{type(layer).__name__:10} {'×'.join(map(str, x.shape[1:])):9} {knobs:7,} knobs")

# %% [markdown]
# 20 maps of 4 × 4 are 320 numbers in a row. You should not need to run a net to know that.
#
# ### Exercise 10.1
#
# Work it out: what does a convolution make of maps of `shape` (channels, height, width)? Return four numbers: channels,
# height and width of the result, and how many knobs the layer has, biases too. `padding` is added on all sides.

# %%
from tinydl.lessons import check, hint, solution


def conv_layer(shape, channels, kernel, stride, padding):
    """Return (channels, height, width, knobs) of a convolution on maps of the given shape."""
    return ...


check("10.1", conv_layer)

# %%
# Stuck? Take one # away and run the cell; each run of hint gives the next hint.
# hint("10.1")
# solution("10.1")

# %% [markdown]
# Pooling follows the same rule for height and width: kernel 2, stride 2. It has no knobs.

# %%
conv_layer = solution("10.1").value
*first, knobs_1 = conv_layer((1, 28, 28), 10, 5, 1, 0)
*second, knobs_2 = conv_layer((10, 12, 12), 20, 5, 1, 0)
dense = 320 * 50 + 50, 50 * 10 + 10
print(first, knobs_1, "→ pooled → ", second, knobs_2, "→ pooled → 20 · 4 · 4 =", 20 * 4 * 4)
total = knobs_1 + knobs_2 + sum(dense)
print(f"{total:,} knobs, of which {100 * dense[0] / total:.0f} % stand in one dense layer")
assert total == 21_840

# %% [markdown]
# Remember that when you want a net to be small: the convolutions are not what fills it.
#
# ## What one number sees
#
# A number behind the first layer has seen 5 × 5 pixels. One behind the second has seen 5 × 5 of *those*, after pooling.
# How much of the image is that? It is called the *receptive field*.
#
# ### Exercise 10.2
#
# `layers` is a list of (kernel, stride), from the image on. Return the side of the square of pixels that one number
# behind the last layer sees. Think in steps: two numbers side by side behind a stride of 2 look at places that lie two
# pixels apart.

# %%
def sees(layers):
    """Return how many pixels wide the patch is that one number behind layers of (kernel, stride) sees."""
    return ...


check("10.2", sees)

# %%
# hint("10.2")
# solution("10.2")

# %% [markdown]
# **Predict, then run.** How wide is it behind each layer of LeNet: 5, …?

# %%
sees = solution("10.2").value
layers = [(5, 1), (2, 2), (5, 1), (2, 2)]
print([sees(layers[:n]) for n in range(1, 5)])

# %% [markdown]
# Is it true? Ask the slopes. A pixel that a number does not see cannot change it, so its slope is 0. We take one place
# of the last maps, go backward to the pixels (lesson 9), and count which of them ever get a slope, over 200 pictures of
# noise.

# %%
import numpy as np

rng = np.random.default_rng(10)
noise = tinydl.tensor(rng.normal(size=(200, 1, 28, 28)).astype(np.float32), requires_grad=True)
lenet()[:5](noise)[:, :, 2, 2].sum().backward()
touched = (noise.grad.numpy() != 0).any((0, 1))
rows = np.flatnonzero(touched.any(1))
print(f"rows {rows.min()} to {rows.max()}: {len(rows)} of them")
assert len(rows) == sees(layers) == 16

# %% [markdown]
# tinydl counts it for every layer of every network, with much else, and draws it:

# %%
from tinydl.cost import summary
from tinydl.plots import receptive_fields

counted = summary(lenet(), (1, 28, 28))
receptive_fields(counted);

# %% [markdown]
# ## A net under a cap
#
# In lesson 6 a dense net with 101,770 knobs got about 97.5 % right. You get a tenth of them: at most 10,000. We train
# with Adam and a rate that rises and falls (lesson 8), for two epochs.

# %%
from tinydl.callbacks import Schedule
from tinydl.data import DataLoader, Subset

learn, choose = Subset(train, range(55_000)), Subset(train, range(55_000, 60_000))


def practise(net, data):
    loader = DataLoader(data, batch_size=100, shuffle=True, generator=10)
    optimizer = tinydl.optim.Adam(net.parameters())
    rate = tinydl.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.005, total_steps=2 * len(loader))
    tinydl.fit(net, loader, epochs=2, optimizer=optimizer, callbacks=[Schedule(rate, "step")])


# %% [markdown]
# ### Exercise 10.3
#
# Design it. `check` counts the knobs, trains your net just so, and wants 98.5 % of the 5,000 validation images right.
# Let it work for some seconds.

# %%
def small_net():
    """Return an untrained network: digits (N, 1, 28, 28) → logits (N, 10), with at most 10,000 knobs."""
    return ...


check("10.3", small_net)

# %%
# hint("10.3")
# solution("10.3")

# %% [markdown]
# We go on with a net that has only eight kernels, then sixteen, and *one* dense layer. **Predict, then run:** how much
# better than the dense net of lesson 6 will it be, with 6 % of its knobs?

# %%
def dense_net():
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))


small_net = solution("10.3").value
tinydl.manual_seed(10)
net, dense = small_net(), dense_net()
for one in (net, dense):
    practise(one, learn)
validated = tinydl.evaluate(net, DataLoader(choose, 1_000)).accuracy
print(f"validation: {100 * validated:.1f} %")
assert validated >= 0.985

# %% [markdown]
# It passes on validation. Now the test, once, for both:

# %%
for name, one in (("conv", net), ("dense", dense)):
    measured = tinydl.evaluate(one, DataLoader(test, 1_000))
    p, knobs = measured.accuracy, sum(p.numel() for p in one.parameters())
    print(f"{name:5} {knobs:7,} knobs  {100 * p:.2f} % ± {100 * np.sqrt(p * (1 - p) / len(test)):.2f}")

# %% [markdown]
# ## Look inside
#
# First the eight kernels. Some are light on one side and dark on the other: edges, as in lesson 9, but nobody drew
# them.

# %%
from tinydl import no_grad
from tinydl.plots import confusion, feature_maps, filters, images

filters(net[0].weight);

# %% [markdown]
# And what they find in *your* digit. Choose one.

# %%
chosen = 0
with no_grad():
    maps = net[:3](tinydl.tensor(test[chosen][0]).unsqueeze(0))
feature_maps(maps);

# %% [markdown]
# The sixteen kernels of the second layer reach through eight maps, so they are hard to read as pictures. Ask them
# another way: which patches of 2,000 test images turn each of them on the most? Exercise 10.2 says how large a patch
# to cut out.

# %%
pictures, labels = next(iter(DataLoader(test, 2_000)))
with no_grad():
    found = net[:4](pictures).numpy()
side = sees([(5, 1), (2, 2), (5, 1)])


def strongest(channel, count=10):
    for n in np.argsort(-found[:, channel].max((1, 2)))[:count]:
        h, w = np.unravel_index(found[n, channel].argmax(), found[n, channel].shape)
        yield test.images[n, 2 * h : 2 * h + side, 2 * w : 2 * w + side]


# %%
images(np.stack([patch for channel in range(6) for patch in strongest(channel)]), columns=10);

# %% [markdown]
# Each row is one of the first six kernels, and each has its own taste. What would you call them?
#
# Which digits does the whole net take for which?

# %%
measured = tinydl.evaluate(net, DataLoader(test, 1_000))
confusion(measured.targets, measured.predictions);

# %% [markdown]
# ## What must not be covered?
#
# A simple question to a net, and it works for every net: lay a square of paper over the digit, in each place in turn.
# How far does the logit of the right digit still *lead*, ahead of the best other one? Below 0, the net reads another
# digit.

# %%
def lead(net, x, digit):
    with no_grad():
        logits = net(tinydl.tensor(x)).numpy()
    return logits[:, digit] - np.delete(logits, digit, axis=1).max(1)


def under_covers(net, x, digit, paper, side=7):
    places = 28 - side + 1
    covered = np.repeat(x[None], places * places, axis=0)
    for one, (h, w) in zip(covered, np.ndindex(places, places)):
        one[:, h : h + side, w : w + side] = paper
    return lead(net, covered, digit).reshape(places, places)


# %% [markdown]
# **Predict.** Point at the place in your digit that you would cover to fool the net. Then run.

# %%
from tinydl.lessons.pictures.lesson_10 import cover_map

x, digit = test[chosen]
leads = under_covers(net, x, digit, paper=x.min())
cover_map(test.images[chosen], leads, side=7)

# %%
print("it is a", digit, "with a lead of", round(float(lead(net, x[None], digit)[0]), 1))
print("lowest lead under a cover:", round(float(leads.min()), 1), " highest:", round(float(leads.max()), 1))
print("places at which the cover makes it another digit:", int((leads < 0).sum()), "of", leads.size)

# %% [markdown]
# Dark blue is where the cover does nothing; pale, where the net needs what it hides. Try `chosen = 4`, and a digit that
# the net gets wrong.
#
# ## Shift it
#
# The stretch exercise of lesson 6 promised a cure. All test images move to the right.
# **Predict, then run:** at 4 pixels, what is left of the dense net, and of yours?

# %%
from tinydl.lessons.pictures.lesson_10 import shift_curves


def shifted(net, pixels):
    with no_grad():
        logits = net(tinydl.tensor(np.roll(pictures.numpy(), pixels, axis=3))).numpy()
    return float((logits.argmax(1) == labels.numpy()).mean())


shares = {name: [shifted(one, n) for n in range(7)] for name, one in (("conv", net), ("dense", dense))}
shift_curves(shares)

# %%
for name, line in shares.items():
    print(f"{name:5}", " ".join(f"{100 * share:3.0f} %" for share in line))
assert all(conv > dense for conv, dense in zip(shares["conv"][2:5], shares["dense"][2:5]))

# %% [markdown]
# A cure in part. The maps move along with the digit, and pooling forgives a pixel or two. But the dense layer at the
# end has a weight for each *place* of the 4 × 4 maps, and when the digit moves on, they no longer meet.
#
# **Stretch** (no check, no net). How few knobs are enough for 98.5 %? Take channels away until your net fails. Or put
# `nn.AdaptiveAvgPool2d(1)` before the dense layer, so that it no longer knows of places: what happens to both curves?

# %%
def smaller_net():
    return ...


# %% [markdown]
# ## Now the real one
#
# The LeNet of this lesson is `lenetish` in [tinydl/zoo/small.py](../tinydl/zoo/small.py). Give it the same knobs and it
# must give the same logits.

# %%
from tinydl import zoo

ours, theirs = lenet(), zoo.lenetish().eval()
with no_grad():
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        b.copy_(a)
assert np.array_equal(ours(pictures).numpy(), theirs(pictures).numpy())
print("the same", sum(b.numel() for b in theirs.parameters()), "knobs, the same logits")

# %% [markdown]
# Your formula is `conv_output_size` in [tinydl/shapes.py](../tinydl/shapes.py), and your `sees` is `Window.through` in
# [tinydl/cost/window.py](../tinydl/cost/window.py). What `summary` counted must be what you work out, layer by layer.

# %%
ours = [conv_layer((1, 28, 28), 10, 5, 1, 0), conv_layer((10, 12, 12), 20, 5, 1, 0)]
theirs = [(*row.shape, row.params) for row in counted.rows if row.kind == "Conv2d"]
assert ours == theirs
windows = [row.field[0].size for row in counted.rows if row.kind in ("Conv2d", "MaxPool2d")]
assert windows == [sees(layers[:n]) for n in range(1, 5)]
print(theirs, windows)

# %% [markdown]
# ## Break it on purpose
#
# The error that everybody meets: the dense layer does not fit the maps. Read it; which number must be changed?

# %%
broken = nn.Sequential(nn.Conv2d(1, 8, 5), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 24 * 24, 10))
try:
    broken(pictures)
except ValueError as error:
    print(error)

# %% [markdown]
# Second: the cover is 0. But the inputs have mean 0 (lesson 6), so 0 is *grey*, not paper.

# %%
grey = under_covers(net, x, digit, paper=0)
bare = np.lib.stride_tricks.sliding_window_view(x[0], (7, 7)).max((2, 3)) == x.min()
change = np.abs(np.stack([leads, grey])[:, bare] - lead(net, x[None], digit)).max(1)
print(bare.sum(), "covers hide nothing but paper, and change the lead by up to")
print(f"{change[0]:.1f} when they are paper, {change[1]:.1f} when they are grey")
assert change[0] < 0.01 < change[1]

# %% [markdown]
# Third: mix the pixels, in every image in the same way. No information is lost. **Predict, then run:** who minds?

# %%
from tinydl.data import TensorDataset


def some(pile, order):
    x, y = next(iter(DataLoader(Subset(pile, range(5_000)), 5_000)))
    return TensorDataset(x.reshape(5_000, 784)[:, order].reshape(5_000, 1, 28, 28), y)


def learns(make, order):
    tinydl.manual_seed(10)
    practise(one := make(), some(learn, order))
    return tinydl.evaluate(one, DataLoader(some(choose, order), 1_000)).accuracy


# %%
cost, mixing = {}, rng.permutation(784)
for name, make in (("conv", small_net), ("dense", dense_net)):
    plain, mixed = learns(make, np.arange(784)), learns(make, mixing)
    cost[name] = plain - mixed
    print(f"{name:5} plain {100 * plain:.1f} %  mixed {100 * mixed:.1f} %")
assert cost["conv"] > 0.03 > abs(cost["dense"])

# %% [markdown]
# The symptoms: an error that names an axis of `linear` wants the arithmetic of exercise 10.1. A map that changes where
# there was nothing to cover means that your "nothing" is something: check what paper *is* after all that was done to
# the data. And a conv net that is no better than a dense one may be looking at data in which neighbours mean nothing.
# A dense net never knew which pixels are neighbours; a convolution is a bet that it matters.
#
# ## Five questions
#
# 1. A 3 × 3 convolution with padding 1 and stride 1: what happens to height and width?
#
# <details><summary>Answer</summary>
#
# Nothing: $n + 2 - 3 + 1 = n$. That is why it is so common.
#
# </details>
#
# 2. Two 3 × 3 convolutions, or one of 5 × 5, from 16 channels to 16: what do they see, and what do they cost?
#
# <details><summary>Answer</summary>
#
# Both see 5 × 5. Two cost 2 · 9 · 256 = 4,608 weights, one 25 · 256 = 6,400; and between the two you can bend once
# more.
#
# </details>
#
# 3. Which of your layers has most knobs, and how could you do without it?
#
# <details><summary>Answer</summary>
#
# The second convolution, 3,216 of 5,994; the dense layer has 2,570. A mean over each map before the dense layer leaves
# it 16 · 10 + 10 = 170.
#
# </details>
#
# 4. In our code the pooling stands before the ReLU. Would the other order give other numbers?
#
# <details><summary>Answer</summary>
#
# No: the largest of four, then cut at 0, is the same as cut at 0, then the largest. Pooling first leaves a quarter of
# the numbers to cut.
#
# </details>
#
# 5. Does the map of covers prove that the net reads as we do?
#
# <details><summary>Answer</summary>
#
# No. It shows where this net breaks under this cover. Paper over a stroke can also *make* a pattern that was not there.
#
# </details>
#
# ## What next
#
# This is the last lesson of the path. You have written, by hand, every kind of part of which `tinydl train` is made.
# `tinydl zoo` lists the networks that others built of such layers, `tinydl summary mobilenet_v2` takes one apart.
#
# To read: LeCun, Bottou, Bengio & Haffner 1998, *Gradient-Based Learning Applied to Document Recognition*, section II
# (LeNet); Zeiler & Fergus 2014, [*Visualizing and Understanding Convolutional
# Networks*](https://arxiv.org/abs/1311.2901), section 4.2 (covers); Araujo, Norris & Sim 2019, [*Computing Receptive
# Fields of Convolutional Neural Networks*](https://distill.pub/2019/computing-receptive-fields/); Zhang 2019, [*Making
# Convolutional Networks Shift-Invariant Again*](https://arxiv.org/abs/1904.11486), section 3 (why a shift hurts).
