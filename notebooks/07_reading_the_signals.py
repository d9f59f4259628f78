# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   tinydl:
#     budget_seconds: 45
# ---

# %% [markdown]
# # Lesson 7: Reading the signals
#
# **You will be able to** tell a sick network by the spread of its signals, start weights so that 20 layers can learn,
# write BatchNorm with its way back, and say what `train()` and `eval()` change.
#
# **It needs** lessons 4 to 6: tensors, cross-entropy, the training loop. About 40 min to read and try, 20 s to run.

# %% [markdown]
# ## The picture
#
# Three networks of 20 layers with 512 neurons each, fresh from the dice, with the same noise sent through them. They
# differ in one factor of the weights. On the left the signal is gone before it reaches the end; on the right it leaves
# the frame. Only the middle one can be trained as it is.

# %%
from tinydl.lessons.pictures.lesson_07 import three_starts

three_starts()

# %% [markdown]
# ## How large is a sum?
#
# A neuron adds up inputs times weights. We take 512 random inputs of standard deviation (sd) 1 and weights of sd 1.
#
# **Predict, then run.** What is the sd of the sum: about 1, about 23, or about 512?

# %%
import numpy as np

rng, n = np.random.default_rng(0), 512
x = rng.normal(0, 1, (500, n))
weight = rng.normal(0, 1, (n, n))
print("sd of the sums", round((x @ weight.T).std(), 1), "  root of 512:", round(n**0.5, 1))

# %% [markdown]
# Variances add: 512 independent terms of variance 1 have a sum of variance 512, so its sd is √512 ≈ 22.6. Twenty such
# layers multiply the signal by 22.6 twenty times. The cure is to divide the weights by √n:


# %%
def signal_after(layers, sd, squash=lambda s: s):
    rng, signal = np.random.default_rng(1), x
    for _ in range(layers):
        signal = squash(signal @ rng.normal(0, sd, (n, n)).T)
    return signal


print(f"weights of sd 1:    {signal_after(20, 1).std():.1e}")
print(f"weights of sd 1/√n: {signal_after(20, n**-0.5).std():.3f}")

# %% [markdown]
# **Predict, then run.** That was without activations. Now a ReLU stands behind each layer. Will sd 1/√n still do?

# %%
def relu(s):
    return np.maximum(s, 0)


for layers in (1, 5, 10, 20):
    print(f"{layers:2} layers: sd {signal_after(layers, n**-0.5, relu).std():.1e}")
assert signal_after(20, n**-0.5, relu).std() < 1e-3

# %% [markdown]
# It dies, slowly but surely. ReLU sets half of the values to 0, and with them half of the *mean square*:

# %%
print("mean square before ReLU", round((x**2).mean(), 3), " behind it", round((relu(x) ** 2).mean(), 3))

# %% [markdown]
# Half of the mean square a layer is $2^{-20}$, a millionth, after twenty, and its root a thousandth: what we saw.
# So the variance of a weight must make up for both, the number of inputs *and* the half that ReLU takes.
#
# ### Exercise 07.1
#
# Write the start for layers with ReLU, due to He and others (2015). A weight has a row for each output, and the
# number of inputs and outputs may differ.

# %%
from tinydl.lessons import check, hint, solution


def he(outputs, inputs, rng):
    """Draw a weight (outputs, inputs) that keeps the size of a signal through the layer and its ReLU."""
    return ...


check("07.1", he)

# %%
# hint("07.1")
# solution("07.1")

# %%
he = solution("07.1").value
rng = np.random.default_rng(1)
signal = x
for layer in range(1, 21):
    signal = relu(signal @ he(n, n, rng).T)
    if layer in (1, 5, 10, 20):
        print(f"{layer:2} layers: sd {signal.std():.2f}")
assert 0.3 < signal.std() < 2

# %% [markdown]
# Beware of pages that tell it the other way round. The older start with $1/n$ (Xavier's, for as many outputs as
# inputs) is for tanh and sigmoid, He's is for ReLU.
#
# ## Does it matter for learning?
#
# Digits again, drawn by tinydl and shrunk to the 7 × 7 cells of our seven: mean 0, sd 1 over all cells.

# %%
from tinydl import data
from tinydl.lessons.story import SEVEN


def cells(digits):
    return digits.images.reshape(-1, 7, 4, 7, 4).mean((2, 4)).reshape(-1, 49) * 9 / 255


drawn, unseen = data.SyntheticDigits(5000, seed=0), data.SyntheticDigits(1000, train=False)
mean, sd = cells(drawn).mean(), cells(drawn).std()
train_x, test_x = [((cells(d) - mean) / sd).astype("float32") for d in (drawn, unseen)]
seven = ((np.array(SEVEN).reshape(1, 49) - mean) / sd).astype("float32")

# %% [markdown]
# And a tower of 20 layers, 100 neurons wide, with a choice of how weights start and of what stands behind each layer.

# %%
from tinydl import nn


def tower(start, norm=False):
    rng, layers, inputs = np.random.default_rng(0), [], 49
    for outputs in [100] * 20 + [10]:
        linear = nn.Linear(inputs, outputs)
        start(linear.weight, rng)
        nn.init.zeros_(linear.bias)
        layers += [linear, *([nn.BatchNorm1d(outputs)] if norm else []), nn.ReLU()]
        inputs = outputs
    return nn.Sequential(*layers[: -2 if norm else -1])

# %% [markdown]
# Three starts: the default of `nn.Linear` (PyTorch's, variance 1 / 3n), Xavier's and He's.

# %%
starts = {
    "default": lambda w, rng: nn.init.default_(w, generator=rng),
    "xavier": lambda w, rng: nn.init.xavier_normal_(w, generator=rng),
    "he": lambda w, rng: nn.init.kaiming_normal_(w, nonlinearity="relu", generator=rng),
}

# %% [markdown]
# Gradients travel the same road backwards, through the same weights.
#
# **Predict, then run.** Which of the three gets a gradient to its first layer?

# %%
from tinydl import tensor
from tinydl.nn.functional import cross_entropy

sizes = {}
for name, start in starts.items():
    net = tower(start)
    cross_entropy(net(tensor(train_x[:200])), tensor(drawn.labels[:200])).backward()
    sizes[name] = net[0].weight.grad.data.std()
    print(f"{name:8} sd of the gradient: first layer {sizes[name]:.0e}, last {net[-1].weight.grad.data.std():.0e}")
assert sizes["default"] < sizes["xavier"] < sizes["he"]

# %%
import tinydl
from tinydl import optim

# %% [markdown]
# The loop of lesson 6 in short, with plain gradient descent; it ends with a look at unseen digits.

# %%
def train(net, lr=0.02, steps=300):
    optimizer, rng = optim.SGD(net.parameters(), lr), np.random.default_rng(1)
    for _ in range(steps):
        i = rng.integers(0, len(train_x), 64)
        loss = cross_entropy(net(tensor(train_x[i])), tensor(drawn.labels[i]))
        net.zero_grad()
        loss.backward()
        optimizer.step()
    return tinydl.evaluate(net, [(tensor(test_x), tensor(unseen.labels))])

# %%
plain = {name: tower(start) for name, start in starts.items()}
scores = {name: train(net) for name, net in plain.items()}
for name, score in scores.items():
    print(f"{name:8} loss {score.loss:.2f}   accuracy {score.accuracy:.0%}")
assert scores["default"].accuracy < 0.2
assert scores["he"].accuracy > 0.5

# %% [markdown]
# Same layers, same data, same steps. A loss of 2.30 is ln 10: the network says "a tenth each", whatever it sees. If
# you ever meet that number, look at the signals before you touch anything else.
#
# ## Why not set it right in every layer?
#
# A good start is only a start: training moves the weights. *BatchNorm* (Ioffe and Szegedy, 2015) measures mean and
# deviation of each neuron over the batch, and takes them out. A scale and a shift, both learned, follow; they are
# lesson 4's broadcasting, so we leave them aside.

# %%
def normalise(x, eps):
    return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps)


sums = np.random.default_rng(2).normal([5, -3, 0], [0.1, 20, 1], (64, 3))
for name, values in (("before", sums), ("after", normalise(sums, 1e-5))):
    print(f"{name:7} mean {values.mean(0).round(2) + 0.0}   sd {values.std(0).round(2)}")
assert np.all(abs(normalise(sums, 1e-5).std(0) - 1) < 0.1)

# %% [markdown]
# The small `eps` keeps us from dividing by 0. On the way back, every $x$ of a column reaches the result $\hat x$ by
# three paths:
#
# 1. directly, with slope $1 / sd$;
# 2. through the mean, which shifts the whole column: takes the mean of $g$ out;
# 3. through the deviation, which stretches the whole column: takes out the part of $g$ that lies along $\hat x$.
#
# That has to be so. Add a constant to a column and nothing changes behind BatchNorm, so a gradient must have no part
# in that direction; double the column, and (but for eps) nothing changes either.
#
# ### Exercise 07.2
#
# Write the way back. First recompute $\hat x$ and $sd = \sqrt{var + eps}$.

# %%
def normalise_backward(g, x, eps):
    """Return the gradient by x (N, C) of (x − mean) / √(var + eps), given the gradient g by the result."""
    return ...


check("07.2", normalise_backward)

# %%
# hint("07.2")
# solution("07.2")

# %% [markdown]
# Measured as in lesson 1, it had better be the same:

# %%
from tinydl.gradcheck import numeric_jacobian

normalise_backward = solution("07.2").value
rng = np.random.default_rng(3)
x, g = rng.normal(2, 3, (5, 2)), rng.normal(0, 1, (5, 2))
measured = numeric_jacobian(lambda x: (normalise(x, 1e-5) * g).sum(), x).reshape(x.shape)
print(f"off by {abs(measured - normalise_backward(g, x, 1e-5)).max():.0e}")
assert np.allclose(measured, normalise_backward(g, x, 1e-5), atol=1e-7)

# %% [markdown]
# **Predict, then run.** With BatchNorm in each layer, how much will the start still matter?

# %%
normed = {name: tower(start, norm=True) for name, start in starts.items()}
normed_scores = {name: train(net) for name, net in normed.items()}
for name, score in normed_scores.items():
    print(f"{name:8} accuracy {scores[name].accuracy:.0%} without BatchNorm, {score.accuracy:.0%} with")
assert min(score.accuracy for score in normed_scores.values()) > 0.4

# %% [markdown]
# The start no longer decides whether a tower learns. That is no free gift: He's start, the right one without
# BatchNorm, does worse with it here. (One seed, 300 steps: read no more than that into it.)
#
# Now the signals over time. A *hook* is a function that a layer calls each time it runs; ours keeps what goes into the
# tenth ReLU. We train the He tower with five times the step.

# %%
def watched(norm):
    net, kept = tower(starts["he"], norm), []
    relus = [layer for layer in net if isinstance(layer, nn.ReLU)]
    with relus[9].register_forward_hook(lambda layer, inputs, output: kept.append(inputs[0].data.copy())):
        train(net, lr=0.1, steps=120)
    return kept[:-1]


without, with_norm = watched(norm=False), watched(norm=True)

# %%
from tinydl.lessons.pictures.lesson_07 import over_time

over_time(without, with_norm)
assert abs(with_norm[-1].std() - 1) < 0.2

# %% [markdown]
# Read such a picture like a patient's chart: a steady band is healthy; a band that collapses, explodes or drifts to
# one side is not. Mind the two vertical scales.
#
# ## What if the batch is one digit?
#
# In training, a digit's result depends on its company. We ask the normed tower for our seven's score, first among 31
# ones, then among 31 eights.

# %%
net = normed["he"].train()
for digit in (1, 8):
    crowd = train_x[drawn.labels == digit][:31]
    scores_of_seven = net(tensor(np.concatenate([seven, crowd]))).data[0]
    print("score of a 7:", round(float(scores_of_seven[7]), 3), "  it reads", scores_of_seven.argmax())

# %% [markdown]
# Nobody wants a reader that is swayed by its neighbours. So BatchNorm remembers: in training it moves a running mean
# and variance a tenth of the way to those of the batch. In evaluation it uses that memory, and leaves it alone.
#
# ### Exercise 07.3
#
# Write both modes. The memory takes the *unbiased* variance, `x.var(axis=0, ddof=1)`, since it guesses at digits not
# seen; the batch itself is normalised by the plain one.

# %%
class RunningNorm:
    """Normalise by the batch in training, and remember; by the memory in evaluation."""

    def __init__(self, channels):
        self.mean, self.var, self.training = np.zeros(channels), np.ones(channels), True

    def __call__(self, x, eps=1e-5):
        return ...


check("07.3", RunningNorm)

# %%
# hint("07.3")
# solution("07.3")

# %%
RunningNorm = solution("07.3").value
net.load_state_dict(normed["he"].eval().state_dict())
alone, in_company = [net(tensor(x)).data[0] for x in (seven, np.concatenate([seven, train_x[:31]]))]
print("alone: ", round(float(alone[7]), 3), "  in company:", round(float(in_company[7]), 3))
assert np.allclose(alone, in_company, atol=1e-3)

# %% [markdown]
# `net.train()` and `net.eval()` set that one switch in every layer. Only BatchNorm and dropout look at it.
#
# **Stretch** (no check, no net). Start without a formula: run a batch through the tower, and divide each layer's
# weights by the sd of its sums before you go to the next. Does it train as well as He's?

# %%
def measured_start(net, x):
    return ...


# %% [markdown]
# ## Now the real one
#
# He's start is `kaiming_normal_` in [tinydl/nn/init.py](../tinydl/nn/init.py). From the same dice it draws the same
# numbers:

# %%
theirs = tinydl.zeros(30, 20, dtype=tinydl.float64)
nn.init.kaiming_normal_(theirs, nonlinearity="relu", generator=np.random.default_rng(5))
assert np.allclose(theirs.data, he(30, 20, np.random.default_rng(5)), rtol=1e-12)

# %% [markdown]
# BatchNorm's layer is in [tinydl/nn/norm.py](../tinydl/nn/norm.py), its way back in
# [tinydl/ops/norm.py](../tinydl/ops/norm.py). Forwards, backwards, memory and evaluation agree:

# %%
layer, ours = nn.BatchNorm1d(2).double(), RunningNorm(2)
x_real = tensor(x, requires_grad=True)
y = layer(x_real)
y.backward(tensor(g))
assert np.allclose(y.data, ours(x))
assert np.allclose(x_real.grad.data, normalise_backward(g, x, 1e-5))
assert np.allclose(layer.running_var.data, ours.var)
ours.training = layer.eval().training
assert np.allclose(layer(tensor(x)).data, ours(x))
print("the same: forwards, backwards, memory, evaluation")

# %% [markdown]
# ## Break it on purpose
#
# Say what will come out before you run each. First: forget `eval()`, and hand in the test digits sorted, a class at a
# time.

# %%
net = tower(starts["he"], norm=True)
honest, right = train(net).accuracy, 0
net.train()
for digit in range(10):
    batch = test_x[unseen.labels == digit]
    right += (net(tensor(batch)).data.argmax(1) == digit).sum()
print(f"eval: {honest:.0%}   train mode, sorted digits: {right / len(test_x):.0%}")
assert right / len(test_x) < honest - 0.2

# %% [markdown]
# Second: start all weights at the same value.

# %%
net = tower(lambda w, rng: nn.init.constant_(w, 0.01))
train(net, steps=20)
rows = net[5 * 2].weight.data
print("different rows among the 100 neurons of a layer:", len(np.unique(rows, axis=0)))
assert len(np.unique(rows, axis=0)) == 1

# %% [markdown]
# Third: forget the path through the mean. The gradient of a column should sum to 0.

# %%
broken = (g - normalise(x, 1e-5) * (g * normalise(x, 1e-5)).mean(0)) / x.std(0)
print("sum of a column:", broken.sum(0).round(3), " should be", normalise_backward(g, x, 1e-5).sum(0).round(3) + 0.0)

# %% [markdown]
# The symptoms: good figures in training and bad ones in use mean a forgotten `eval()`. Neurons that are all alike
# get the same gradient and stay alike: dice are what sets them apart. And a gradient that has a part where nothing
# can change is a wrong gradient.
#
# ## Five questions
#
# 1. A layer of 50 inputs is followed by ReLU. What should the sd of its weights be?
#
# <details><summary>Answer</summary>
#
# √(2 / 50) = 0.2.
#
# </details>
#
# 2. The loss of a ten-class network stays at 2.30 from the first step. What do you look at?
#
# <details><summary>Answer</summary>
#
# The sd of signals and gradients, layer by layer: they have probably died on the way.
#
# </details>
#
# 3. Why does a bias in front of BatchNorm do nothing?
#
# <details><summary>Answer</summary>
#
# It shifts a whole column, and the mean of the column is taken out. Its gradient is 0.
#
# </details>
#
# 4. Why can a batch of one digit not be normalised in training?
#
# <details><summary>Answer</summary>
#
# It is its own mean: every sum would become 0. The library refuses it.
#
# </details>
#
# 5. You evaluate in training mode, without any update of weights. What changes all the same?
#
# <details><summary>Answer</summary>
#
# The running mean and variance: the memory has now seen test data.
#
# </details>
#
# ## What next
#
# [Lesson 8](08_paths_downhill.ipynb) looks at the other half of the loop: better steps than plain descent.
#
# To read: He, Zhang, Ren & Sun 2015, [*Delving Deep into Rectifiers*](https://arxiv.org/abs/1502.01852), section 2.2;
# Ioffe & Szegedy 2015, [*Batch Normalization*](https://arxiv.org/abs/1502.03167), section 3; Glorot & Bengio 2010,
# *Understanding the Difficulty of Training Deep Feedforward Neural Networks*, section 4.2.
