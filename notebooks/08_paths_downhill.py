# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   tinydl:
#     budget_seconds: 20
# ---

# %% [markdown]
# # Lesson 8: Paths downhill
#
# **You will be able to** write SGD, momentum, RMSprop and Adam in a few lines each, say what each of them remembers
# and why, let the learning rate rise and fall, and choose between them by measuring.
#
# **It needs** gradients (lessons 1 to 4) and a network (lesson 6). About 40 min to read and try, 10 s to run.

# %% [markdown]
# ## The picture
#
# A long narrow valley, seen from above; the star is its lowest point. Four optimizers start at the same place with
# the same gradients. They differ only in what they remember.

# %%
from tinydl.lessons.pictures.lesson_08 import four_paths

four_paths()

# %% [markdown]
# ## Where ravines come from
#
# Lesson 1 found that a knob matters as much as the number it multiplies. Take two knobs, and let the second
# multiply a measurement five times as large. In a squared loss the factor counts twice: the loss bends 25 times as
# sharply along the second knob. That is our ravine, $\frac12(a^2 + 25\,b^2)$, with the slopes $a$ and $25\,b$.

# %%
import numpy as np

steep = np.array([1.0, 25.0])
start = np.array([-4.0, 1.0])


def loss(p):
    return 0.5 * np.sum(steep * p * p, axis=-1)


print("loss", loss(start), " gradient", steep * start)

# %% [markdown]
# The goal is four units away along $a$ and one along $b$, but the gradient says 4 and 25: it points across the
# valley. A step is a function of the place, the gradient and the number of the step, so that one loop walks them all.

# %%
def walk(step, count=40, steep=steep):
    path = [start]
    for t in range(1, count + 1):
        p = path[-1]
        path.append(step(p, steep * p, t))
    return np.array(path)


def sgd(lr):
    return lambda p, g, t: p - lr * g

# %% [markdown]
# **Predict, then run.** Three rates: 0.02, 0.07 and 0.081. Which comes lowest in 40 steps, and what does the last
# one do?

# %%
from tinydl.lessons.pictures.lesson_08 import paths_in

runs = {f"lr = {lr}": walk(sgd(lr)) for lr in (0.02, 0.07, 0.081)}
for name, path in runs.items():
    print(f"{name:10} loss {loss(path[-1]):7.3f}   after 5 steps a, b = {path[5].round(3)}")
paths_in(loss, runs, "Too slow, zigzag, too far")

# %% [markdown]
# A step turns $a$ into $a - lr \cdot a = (1 - lr)\,a$ and $b$ into $(1 - 25\,lr)\,b$. Each knob has
# a factor of its own.

# %%
for lr in (0.02, 0.07, 0.081):
    print(f"lr = {lr:<6} factors {(1 - lr * steep).round(3)}")
    assert np.allclose(walk(sgd(lr))[7], (1 - lr * steep) ** 7 * start)

# %% [markdown]
# Beyond $2/25 = 0.08$ the second factor lies below −1, and $b$ swings ever wider. So the *steepest* direction sets
# the limit for the rate, and the *flattest* one has to live with it: at 0.07 it keeps 93 % of its distance at every
# step.
#
# ## Momentum: remember the velocity
#
# Across the valley the gradients change sign at each step; along it they all agree. So add them up: what
# alternates cancels, what agrees grows. The *velocity* keeps the share $\beta$ of itself and adds the gradient:
# $v \leftarrow \beta v + g$, then $p \leftarrow p - lr \cdot v$. This is a sum, not a mean, as in PyTorch.
#
# ### Exercise 08.1
#
# Write that step. It must work for numbers and for arrays.

# %%
from tinydl.lessons import check, hint, solution


def momentum_step(p, g, v, lr, beta):
    """Return the next (p, v): v remembers beta of itself and adds g; p goes against v."""
    return ..., ...


check("08.1", momentum_step)

# %%
# hint("08.1")
# solution("08.1")

# %%
momentum_step = solution("08.1").value


def momentum(lr, beta):
    v = np.zeros(2)

    def step(p, g, t):
        nonlocal v
        p, v = momentum_step(p, g, v, lr, beta)
        return p

    return step

# %% [markdown]
# To compare we count the steps after which a path stays below a loss of 0.01.

# %%
def steps_needed(path, goal=0.01):
    above = np.flatnonzero(loss(path) >= goal)
    return int(above[-1]) + 1


print("SGD, lr 0.07          ", steps_needed(walk(sgd(0.07), 200)))
print("momentum, 0.04 and 0.7", steps_needed(walk(momentum(0.04, 0.7), 200)))

# %% [markdown]
# **Predict, then run.** If the gradient is always 1, how large does the velocity grow with $\beta = 0.9$? Does it
# end at all?

# %%
v = 0.0
for t in range(1, 61):
    _, v = momentum_step(0.0, 1.0, v, 0.1, 0.9)
    if t in (1, 2, 10, 30, 60):
        print(f"after {t:2} steps: {v:.3f}")
assert abs(v - 1 / (1 - 0.9)) < 0.02

# %% [markdown]
# It goes to $1/(1-\beta)$, here 10: where gradients agree, momentum walks ten times as fast. Who turns on momentum
# 0.9 without lowering the rate has turned the rate up as well.
#
# ## RMSprop: remember the size
#
# The other idea: let each knob have its own step. If its gradients are usually 25, divide by 25. The usual size is
# the root of the mean square, and the mean is a running one: $v \leftarrow \alpha v + (1-\alpha)\,g^2$.

# %%
def rmsprop(lr, alpha, eps=1e-8):
    v = np.zeros(2)

    def step(p, g, t):
        nonlocal v
        v = alpha * v + (1 - alpha) * g * g
        return p - lr * g / (np.sqrt(v) + eps)

    return step


print("RMSprop, lr 0.2, alpha 0.9:", steps_needed(walk(rmsprop(0.2, 0.9), 40)))

# %% [markdown]
# **Predict, then run.** `lr` is to be the length of a step. How far does the very first one go, with $\alpha$ = 0.9,
# 0.99 and 0.999?

# %%
for alpha in (0.9, 0.99, 0.999):
    moved = walk(rmsprop(0.2, alpha), 1)[1] - start
    print(f"alpha {alpha:<5} first step {moved.round(3)}, so {abs(moved[0]) / 0.2:5.2f} times lr")

# %% [markdown]
# Up to 32 times too far! A running mean begins at 0, so after one step it holds only $(1-\alpha)$ of the first
# $g^2$, and we divide by its root. After $t$ equal gradients it holds $1 - \alpha^t$ of what it should. That share
# is known, so we can divide by it:

# %%
mean = 0.0
for t in range(1, 6):
    mean = 0.9 * mean + 0.1 * 4.0
    print(f"t = {t}: mean of fours {mean:.4f}, corrected {mean / (1 - 0.9**t):.4f}")
    assert abs(mean / (1 - 0.9**t) - 4.0) < 1e-12

# %% [markdown]
# ## Adam: both, corrected
#
# Adam keeps a running mean $m$ of the gradients (a velocity, but as a mean) and a running mean $v$ of their squares,
# corrects both, and steps by $lr \cdot \hat m / (\sqrt{\hat v} + \epsilon)$. The $\epsilon$ only keeps a division by 0
# away.
#
# ### Exercise 08.2
#
# Write it. `t` counts from 1. The check compares single steps, then the first 20 in the ravine with the library.

# %%
def adam_step(p, g, m, v, t, lr, beta1, beta2, eps):
    """Return the next (p, m, v) of Adam at step t = 1, 2, …; m and v themselves stay uncorrected."""
    return ..., ..., ...


check("08.2", adam_step)

# %%
# hint("08.2")
# solution("08.2")

# %%
adam_step = solution("08.2").value


def adam(lr, beta1=0.8, beta2=0.99, eps=1e-8):
    m, v = np.zeros(2), np.zeros(2)

    def step(p, g, t):
        nonlocal m, v
        p, m, v = adam_step(p, g, m, v, t, lr, beta1, beta2, eps)
        return p

    return step

# %% [markdown]
# Now our seven. Its tiny network has three knobs, whose slopes stand to each other as 2.0 : 0.9 : 1.
#
# **Predict, then run.** With `lr = 0.1`, how far does Adam turn each of the three at its first step?

# %%
from tinydl import float64, tensor

knobs = tensor([0.5, -1.0, 0.2], dtype=float64, requires_grad=True)
((knobs * tensor([2.0, 0.9, 1.0], dtype=float64)).sum().tanh() - 1).pow(2).backward()
g = knobs.grad.numpy()
print("gradient", g.round(4))
print("SGD     ", (-0.1 * g).round(4))
print("Adam    ", adam_step(0.0, g, 0.0, 0.0, 1, 0.1, 0.9, 0.999, 1e-8)[0].round(4))

# %% [markdown]
# All three by 0.1: at the first step $\hat m = g$ and $\sqrt{\hat v} = |g|$, so only the sign is left. Adam does not
# ask how large a gradient is, but how large it is *compared with what is usual for this knob*. That has a
# consequence.
#
# **Predict, then run.** We make the ravine 100 times as steep along $b$. What becomes of the two paths?

# %%
with np.errstate(over="ignore"):
    for factor in (1, 4, 100):
        steeper = np.array([1.0, 25.0 * factor])
        a, s = (walk(step, 40, steeper)[-1] for step in (adam(0.1), momentum(0.04, 0.7)))
        print(f"b {factor:3} times as steep: Adam ends at {a.round(4)}, momentum at b = {s[1]:.0e}")
        assert np.allclose(a, walk(adam(0.1))[-1], atol=1e-6)

# %% [markdown]
# Adam ends at the same place, to six digits. For Adam this ravine is a round bowl! In the first picture it was not the
# quickest: momentum's two settings were chosen for a steepness of 25, and Adam does not have to know it.
#
# **Predict, then run.** Now turn the valley by 45°, so that it lies across both knobs. Whose count changes?

# %%
turn = np.array([[1.0, -1.0], [1.0, 1.0]]) / np.sqrt(2)


def turned(step, count=200):
    path = [turn @ start]
    for t in range(1, count + 1):
        path.append(step(path[-1], turn @ (steep * (turn.T @ path[-1])), t))
    return np.array(path) @ turn

# %%
for name, make in {"momentum": lambda: momentum(0.04, 0.7), "Adam": lambda: adam(0.1)}.items():
    straight, across = walk(make(), 200), turned(make())
    print(f"{name:8} steps needed: straight {steps_needed(straight)}, turned {steps_needed(across)}")
assert np.allclose(turned(momentum(0.04, 0.7)), walk(momentum(0.04, 0.7), 200))

# %% [markdown]
# Momentum walks the same path, turned. Adam sizes its steps knob by knob, and this valley belongs to no single knob.
#
# ## The S of SGD, and schedules
#
# So far the gradient was exact. From a mini-batch it is a sample: right on average, and noisy. We add noise to
# the gradient, let 500 walkers go at once, and take their mean loss. The rate may depend on the step.

# %%
def noisy(rate, count=300):
    noise, p, losses = np.random.default_rng(0), np.tile(start, (500, 1)), []
    for t in range(count):
        g = steep * p + 3 * noise.standard_normal(p.shape)
        p = p - rate(t) * g
        losses.append(loss(p).mean())
    return np.array(losses)


noisy_runs = {f"constant {lr}": noisy(lambda t, lr=lr: lr) for lr in (0.06, 0.02, 0.005)}
for name, losses in noisy_runs.items():
    print(f"{name:14} loss at step 50: {losses[49]:.3f}, at step 300: {losses[-1]:.3f}")

# %% [markdown]
# A large rate is quick and then stuck: noise kicks it up as fast as the slope brings it down. A small rate would
# come lower, but after 300 steps it has not arrived. So begin large and end small. A popular curve is half a
# cosine: $top \cdot (1 + \cos(\pi \cdot progress))/2$. Before it, a short *warm-up* on a line, because the first
# gradients of a fresh network are the wildest. Step 0 already moves, by $top/warmup$.
#
# ### Exercise 08.3
#
# Write the rate of step `t` (from 0). Progress goes from 0, at the first step after the warm-up, towards 1 at `total`.

# %%
def rate(t, total, warmup, top):
    """Return the rate of step t = 0, …, total − 1: a line up to top in `warmup` steps, then half a cosine to 0."""
    return ...


check("08.3", rate)

# %%
# hint("08.3")
# solution("08.3")

# %%
from tinydl.lessons.pictures.lesson_08 import losses_of

rate = solution("08.3").value
noisy_runs["warm-up, then cosine"] = noisy(lambda t: rate(t, 300, 10, 0.06))
losses_of(noisy_runs, "Begin large, end small")
print({name: round(float(values[-1]), 4) for name, values in noisy_runs.items()})

# %% [markdown]
# The schedule gets both: quick at first, lowest in the end. Mind the words: Adam is an *optimizer*, it divides the
# step knob by knob; this is a *schedule*, it says how long steps are today. You can use both.
#
# ## Choose by measuring
#
# Now a network: our seven's family, 1,000 digits drawn by tinydl, shrunk to 7 × 7 cells. The edge cells are nearly
# always blank and the middle ones often inked, so there are ravines enough.

# %%
from tinydl import manual_seed, nn, optim
from tinydl.data import SyntheticDigits

digits = SyntheticDigits(1000, seed=8)
cells = digits.images.reshape(-1, 7, 4, 7, 4).mean((2, 4)).reshape(-1, 49) / 255
x, y = tensor(cells.astype(np.float32)), tensor(digits.labels)
usual = np.sqrt((cells**2).mean(0))
print(f"usual ink of a cell: from {usual.min():.3f} to {usual.max():.3f}")

# %%
def trained(rule, lr, steps=300):
    manual_seed(0)
    net = nn.Sequential(nn.Linear(49, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer, draw = rule(net.parameters(), lr), np.random.default_rng(1)
    for _ in range(steps):
        batch = draw.integers(0, 1000, 50)
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x[batch]), y[batch]).backward()
        optimizer.step()
    return nn.functional.cross_entropy(net(x), y).item()

# %% [markdown]
# **Predict, then run.** Same network, same batches, 300 steps, eight rates. Which optimizer wins, and whose best rate
# is the smallest?

# %%
from tinydl.lessons.pictures.lesson_08 import best_rates

rates = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0]
rules = {
    "SGD": optim.SGD,
    "momentum 0.9": lambda p, lr: optim.SGD(p, lr, momentum=0.9),
    "Adam": optim.Adam,
}
table = {name: [trained(rule, lr) for lr in rates] for name, rule in rules.items()}
best_rates(table, rates)
print({name: (rates[int(np.argmin(column))], round(min(column), 3)) for name, column in table.items()})

# %% [markdown]
# Adam comes lowest here, at the smallest rate of the three. Momentum needs a smaller rate than plain SGD, as its
# velocity foretold, and gets as far. But see how steep the lines are: an optimizer at a wrong rate loses more than the
# wrong optimizer at its best. This is one network, one seed and the training loss: a measurement, no law. What is
# general: compare optimizers each at its *own* best rate.

# %%
best = {name: rates[int(np.argmin(column))] for name, column in table.items()}
assert best["Adam"] < best["momentum 0.9"] < best["SGD"]
assert min(table["Adam"]) < min(min(table["SGD"]), min(table["momentum 0.9"]))
spread = {name: round(max(column) / min(column), 1) for name, column in table.items()}
lowest = [min(column) for column in table.values()]
print("worst rate / best rate:          ", spread)
print("worst optimizer / best optimizer:", round(max(lowest) / min(lowest), 1))
assert max(lowest) / min(lowest) < min(spread.values())

# %% [markdown]
# **Stretch** (no check, no net). Nesterov looks ahead: it renews $v$ as before and then steps along $g + \beta v$.
# Write it. Does it need fewer than momentum's 20 steps? At which rate?

# %%
def nesterov_step(p, g, v, lr, beta):
    return ...


print(nesterov_step(np.array([1.0]), np.array([2.0]), np.array([10.0]), 0.1, 0.5), "should be [0.45] and [7.]")

# %% [markdown]
# ## Now the real one
#
# tinydl's [tinydl/optim/adam.py](../tinydl/optim/adam.py) and [tinydl/optim/sgd.py](../tinydl/optim/sgd.py) keep the
# memory of every parameter; the formulas stand in
# [tinydl/kernels/reference/optim.py](../tinydl/kernels/reference/optim.py). Yours walk the same paths:

# %%
def library(make, count=20):
    p = tensor(start, requires_grad=True)
    optimizer, path = make([p]), [p.tolist()]
    for _ in range(count):
        optimizer.zero_grad()
        (tensor(steep) * p * p / 2).sum().backward()
        optimizer.step()
        path.append(p.tolist())
    return np.array(path)

# %%
pairs = {
    "SGD": (sgd(0.07), lambda p: optim.SGD(p, lr=0.07)),
    "momentum": (momentum(0.04, 0.7), lambda p: optim.SGD(p, lr=0.04, momentum=0.7)),
    "RMSprop": (rmsprop(0.2, 0.9), lambda p: optim.RMSprop(p, lr=0.2, alpha=0.9)),
    "Adam": (adam(0.4), lambda p: optim.Adam(p, lr=0.4, betas=(0.8, 0.99))),
}
for name, (ours, theirs) in pairs.items():
    assert np.allclose(walk(ours, 20), library(theirs), rtol=0, atol=1e-12)
    print(f"{name:8} 20 steps, the same path")

# %% [markdown]
# And the schedule is two of [tinydl/optim/lr_scheduler.py](../tinydl/optim/lr_scheduler.py), one after the other:

# %%
optimizer = optim.SGD([tensor(start, requires_grad=True)], lr=0.06)
warm = optim.lr_scheduler.LinearLR(optimizer, start_factor=1 / 10, total_iters=9)
fall = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=290)
schedule = optim.lr_scheduler.SequentialLR(optimizer, [warm, fall], milestones=[10])
for t in range(300):
    assert abs(schedule.get_last_lr()[0] - rate(t, 300, 10, 0.06)) < 1e-12
    optimizer.step()
    schedule.step()
print("300 rates, all equal")

# %% [markdown]
# ## Break it on purpose
#
# Three runs of Adam that go wrong. Say what will come out before you run each. First, no correction (at a huge $t$ it
# is 1), with the usual betas, and $t$ from 0:

# %%
usual = (0.1, 0.9, 0.999, 1e-8)
with np.errstate(all="ignore"):
    for name, t in (("right", 1), ("no correction", 10**6), ("t from 0", 0)):
        print(f"{name:14} first step {adam_step(0.0, np.array([2.0]), 0.0, 0.0, t, *usual)[0]}")

# %% [markdown]
# Second, a rate that is never lowered. We watch the loss for 600 steps.

# %%
quiet = loss(walk(adam(0.4), 600))
for t in (100, 200, 300, 400, 440, 460, 480, 600):
    print(f"step {t}: loss {quiet[t]:.1e}")
worst = 300 + int(quiet[300:].argmax())
print("highest after step 300:", f"{quiet[worst]:.1e} at step {worst}")

# %% [markdown]
# The loss was as good as 0, and then it was up again! As the gradients vanish, so does $\sqrt{\hat v}$, and `lr`
# divided by almost nothing is an enormous rate. Now with a rate that ends at 0:

# %%
p, m, v, calm = start, np.zeros(2), np.zeros(2), []
for t in range(1, 601):
    p, m, v = adam_step(p, steep * p, m, v, t, rate(t - 1, 600, 10, 0.4), 0.8, 0.99, 1e-8)
    calm.append(loss(p))
print(f"highest after step 300: {max(calm[300:]):.1e}")
assert quiet[300:].max() > 1e-3 > 1e-9 > max(calm[300:])

# %% [markdown]
# The symptoms: a first step too large by a factor ($0.1/\sqrt{0.001} = 3.16$) means a missing correction. NaN at once
# means a division by $1 - \beta^0 = 0$. A loss that lay still for a long time and then leaps means that Adam's rate is
# too large for so small gradients: lower it with a schedule, or raise $\epsilon$.
#
# ## Five questions
#
# 1. The loss of plain SGD grows from step to step, in zigzag. Which direction is to blame, and what do you do?
#
# <details><summary>Answer</summary>
#
# The steepest one: there the rate is above 2 / steepness. Lower the rate.
#
# </details>
#
# 2. You go from momentum 0 to 0.9 and leave the rate. What has changed for gradients that agree?
#
# <details><summary>Answer</summary>
#
# The steps become up to ten times as long: $1/(1 - 0.9)$.
#
# </details>
#
# 3. You multiply the loss by 1,000. What happens to the path of SGD, and to Adam's?
#
# <details><summary>Answer</summary>
#
# SGD's steps are 1,000 times as long; it will fly off. Adam's path stays, as long as $\epsilon$ is small beside
# $\sqrt{\hat v}$.
#
# </details>
#
# 4. Spot the mistake: "Adam is a learning rate schedule."
#
# <details><summary>Answer</summary>
#
# It is an optimizer: it sizes the step of each knob by that knob's gradients. A schedule says how `lr` changes over
# time, and Adam can have one too.
#
# </details>
#
# 5. Training stands still at a constant rate, though the gradient is not 0 for any batch. Why may a lower rate help?
#
# <details><summary>Answer</summary>
#
# Noise lifts the loss as fast as the slope lowers it. With shorter steps the noise averages out over more of them.
#
# </details>
#
# ## What next
#
# [Lesson 9](09_convolution_three_ways.ipynb) builds the operation that made networks good at images, in three ways.
#
# To read: Kingma & Ba 2015, [*Adam*](https://arxiv.org/abs/1412.6980), algorithm 1 and section 3 on the correction;
# Sutskever et al. 2013, *On the importance of initialization and momentum in deep learning*, section 2; Loshchilov &
# Hutter 2017, [*SGDR*](https://arxiv.org/abs/1608.03983), equation 5, the cosine; Goyal et al. 2017, [*Accurate, Large
# Minibatch SGD*](https://arxiv.org/abs/1706.02677), section 2.2, the warm-up.
