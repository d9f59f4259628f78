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
# # Lesson 3: Neurons draw lines
#
# **You will be able to** build a network from the numbers of lesson 2, say what one neuron can and cannot separate,
# write the loop that trains it, and recognise a run in which a line of that loop is missing.
#
# **It needs** lesson 2 (or: what `backward` does). About 40 min to read and try, 10 s to run.

# %% [markdown]
# ## The picture
#
# Forty points on two crescents. A network says 1 (orange) or −1 (blue) about every place; the thick line is where it
# cannot decide. Each dashed line belongs to one neuron inside. At first they lie anywhere. Then training moves them,
# and the thick line bends.

# %%
from tinydl.lessons.pictures.lesson_03 import film_strip

film_strip()

# %% [markdown]
# ## The material
#
# `Value` is the box of lesson 2, with `+`, `*` and `tanh`, and `backward` walks through its graph. The points come
# as x, y and the side they belong to, 1 or −1.

# %%
from tinydl.lessons.lesson_03 import moons
from tinydl.lessons.solutions.lesson_02 import Value, backward, order

points = moons(40)
for x, y, side in points[:4]:
    print(f"x {x:6.2f}   y {y:6.2f}   side {side:2}")

# %% [markdown]
# ## One neuron, one line
#
# A neuron has two weights and a bias: it says $\tanh(a x + b y + c)$. That is 0 exactly where $a x + b y + c = 0$, and
# you know this equation from school: it is a straight line. On one side the neuron says more than 0, on the other
# less.

# %%
def neuron(knobs, x, y):
    a, b, c = knobs
    return (a * x + b * y + c).tanh()


knobs = [Value(1.0), Value(2.0), Value(-1.0)]
for x, y in ((1.0, 0.0), (-1.0, 1.0), (1.0, 1.0), (0.0, 0.0)):
    print((x, y), round(neuron(knobs, Value(x), Value(y)).data, 3))

# %% [markdown]
# The first two places lie on the line $x + 2y = 1$, the other two on different sides of it.
#
# **Predict, then run.** All three knobs are doubled. What happens to the line, and what to the answers?

# %%
doubled = [Value(2 * knob.data) for knob in knobs]
for x, y in ((1.0, 0.0), (-1.0, 1.0), (1.0, 1.0), (0.0, 0.0)):
    print((x, y), round(neuron(doubled, Value(x), Value(y)).data, 3))

# %% [markdown]
# The line stays, and the neuron becomes surer on both sides. So the *ratio* of the knobs says where the line is, and
# their *size* how sharp it is.
#
# ## The loss of many points
#
# For one point the loss was $(y - 1)^2$. For many we take the mean. It is one Value again, with one large graph behind
# it.

# %%
def mean_loss(says, points):
    total = Value(0.0)
    for x, y, side in points:
        miss = says(Value(x), Value(y)) + Value(-side)
        total = total + miss * miss
    return total * Value(1 / len(points))


loss = mean_loss(lambda x, y: neuron(knobs, x, y), points)
print(loss, "with", len(order(loss)), "boxes behind it")

# %% [markdown]
# ### Exercise 03.1
#
# The loop that trains everything in this course. In each step: build the loss, sweep the grads of the knobs to zero,
# walk back, turn each knob by `lr` times its slope, downhill. `lr` is the *learning rate*, `loss` a function
# without arguments that builds a fresh graph and returns its Value. Return the numbers that the loss had.

# %%
from tinydl.lessons import check, hint, solution


def train(knobs, loss, steps, lr):
    """Take steps of gradient descent; return what the loss was before each of them."""
    return ...


check("03.1", train)

# %%
# Stuck? Take one # away and run the cell; each run of hint gives the next hint.
# hint("03.1")
# solution("03.1")

# %%
train = solution("03.1").value
history = train(knobs, lambda: mean_loss(lambda x, y: neuron(knobs, x, y), points), 200, 0.5)
single = [knob.data for knob in knobs]
print("loss", [round(history[step], 3) for step in (0, 10, 50, 199)])
print("knobs", [round(k, 2) for k in single])

# %% [markdown]
# **Predict, then run.** The loss hardly falls any more. How many of the forty points are on the wrong side? Find
# them in the first picture: which would a ruler have to miss?

# %%
def mistakes(says):
    return sum((says(Value(x), Value(y)).data > 0) != (side > 0) for x, y, side in points)


wrong = mistakes(lambda x, y: neuron(knobs, x, y))
print("wrong:", wrong, "of", len(points))
assert wrong == 2
assert history[-1] > 0.1

# %%
from tinydl.lessons.pictures.lesson_03 import region

region([single], [2.0, 0.0], points, "one neuron, one line")

# %% [markdown]
# It did what it could: a line is a line. No learning rate and no patience will bend it.
#
# ## Neurons that listen to neurons
#
# So we let six neurons look at the point, and a seventh look at what these six say. The six are called *hidden*. Each
# draws its line; the last one weighs their votes. It still draws a straight line, but in the space of votes, where
# the points lie elsewhere.

# %%
def network(hidden, last, x, y):
    *weights, bias = last
    total = bias
    for knobs, weight in zip(hidden, weights):
        total = total + weight * neuron(knobs, x, y)
    return total.tanh()

# %% [markdown]
# Where to begin? With random knobs, and you will see why not with equal ones. `beginning` returns numbers, always the
# same ones, so that your run and this page agree.

# %%
from tinydl.lessons.lesson_03 import beginning


def fresh():
    lines, last = beginning(6)
    return [[Value(k) for k in line] for line in lines], [Value(k) for k in last]


hidden, last = fresh()
knobs = [knob for line in hidden for knob in line] + last
print(len(knobs), "knobs")
assert len(knobs) == 6 * 3 + 7

# %%
loss = mean_loss(lambda x, y: network(hidden, last, x, y), points)
backward(loss)
print(loss, "with", len(order(loss)), "boxes behind it")
print("the first slopes:", [round(knob.grad, 3) for knob in knobs[:6]])

# %% [markdown]
# Nearly two thousand boxes, and one walk fills 25 slopes. To measure them as in lesson 1 would take 50 runs, for each
# step.
#
# **Predict, then run.** The same loop, the same points, the same 200 steps. Where will the loss end?

# %%
history = train(knobs, lambda: mean_loss(lambda x, y: network(hidden, last, x, y), points), 200, 0.5)
for step in (0, 10, 50, 100, 199):
    print(f"step {step:3}   loss {history[step]:.4f}")
print("wrong:", mistakes(lambda x, y: network(hidden, last, x, y)))
assert history[-1] < 0.1

# %%
region([[k.data for k in line] for line in hidden], [k.data for k in last], points, "six lines, one bend")

# %% [markdown]
# Nobody told the hidden neurons where to draw. The slopes did: for each knob, each step, one small turn in the
# direction that helps. (Two of the six lines have left the frame.)
#
# ## Which run was never swept?
#
# Lesson 2 ended with a warning: `backward` *adds*. Below is the simplest valley there is, $(k - 1)^2$ with its bottom
# at 1 (dashed), and one knob $k$ in four runs. One is healthy but slow, one has too large a learning rate, one
# climbs. In one nobody swept the grad.

# %%
from tinydl.lessons.pictures.lesson_03 import four_runs

four_runs()

# %% [markdown]
# ### Exercise 03.2
#
# Which one is it? Think about what piles up in the grad before the knob reaches 1, and what the pile does there. Answer
# with a letter, like `"A"`.

# %%
culprit = ...

check("03.2", culprit)

# %%
# hint("03.2")
# solution("03.2")

# %%
culprit = solution("03.2").value
knob, path = Value(-0.5), []
for step in range(32):
    path.append(round(knob.data, 2))
    miss = knob + Value(-1.0)
    backward(miss * miss)
    knob.data -= 0.02 * knob.grad
print(path[::4], "is run", culprit)
assert max(path) > 2.4

# %% [markdown]
# It swings, as far up on the other side as it came from, and forever. The slope at the bottom is 0, but the pile of
# old slopes is not. Lesson 8 makes a virtue of this: a pile that *fades* is called momentum.
#
# **Stretch** (no check, no net). What is the smallest number of hidden neurons with which all forty points come out
# right? Guess, then try `beginning(n)` with n from 1 up, and a few seeds: `beginning(n, seed=2)`.

# %%
def smallest():
    return ...


print("smallest number of hidden neurons:", smallest())

# %% [markdown]
# ## Now the real one
#
# In tinydl the loop reads the same, with arrays in the place of numbers: all forty points go through at once.
# `zero_grad` sweeps, `backward` walks, and `step`, in [tinydl/optim/sgd.py](../tinydl/optim/sgd.py), turns the knobs.

# %%
from tinydl import float64, optim, tensor

lines, out = beginning(6)
W = tensor([line[:2] for line in lines], dtype=float64, requires_grad=True)
b = tensor([line[2] for line in lines], dtype=float64, requires_grad=True)
v = tensor(out[:6], dtype=float64, requires_grad=True)
c = tensor(out[6], dtype=float64, requires_grad=True)
inputs = tensor([[x, y] for x, y, _ in points], dtype=float64)
sides = tensor([float(side) for *_, side in points], dtype=float64)

# %%
sgd = optim.SGD([W, b, v, c], lr=0.5)
theirs = []
for step in range(200):
    answers = ((inputs @ W.T + b).tanh() @ v + c).tanh()
    loss = (answers - sides).pow(2).mean()
    theirs.append(loss.item())
    sgd.zero_grad()
    loss.backward()
    sgd.step()
print(theirs[-1], history[-1])
assert all(abs(a - b) < 1e-9 for a, b in zip(theirs, history))

# %% [markdown]
# The same losses, step by step, from your loop and from the library.
#
# ## Break it on purpose
#
# First: take the tanh out of the hidden neurons, so that each passes on its sum. Still 25 knobs. Will it bend?

# %%
def straight(hidden, last, x, y):
    total = last[-1]
    for (a, b, c), weight in zip(hidden, last):
        total = total + weight * (a * x + b * y + c)
    return total.tanh()


flat, end = fresh()
every = [knob for line in flat for knob in line] + end
losses = train(every, lambda: mean_loss(lambda x, y: straight(flat, end, x, y), points), 100, 0.05)
wrong = mistakes(lambda x, y: straight(flat, end, x, y))
print("loss", round(losses[-1], 3), " wrong:", wrong)

# %% [markdown]
# A sum of sums is a sum: six straight votes make one straight line, and two points stay on its wrong side, as with
# one neuron. Second: begin with all knobs equal.

# %%
same, end = [[Value(0.5) for _ in range(3)] for _ in range(6)], [Value(0.5) for _ in range(7)]
every = [knob for line in same for knob in line] + end
losses = train(every, lambda: mean_loss(lambda x, y: network(same, end, x, y), points), 100, 0.1)
lines = {tuple(round(knob.data, 6) for knob in line) for line in same}
print("loss", round(losses[-1], 3), " different lines:", len(lines))
assert len(lines) == 1

# %% [markdown]
# Equal knobs get equal slopes, so they stay equal for good: six neurons draw one line. That is why networks begin with
# random numbers. Third: nobody sweeps, in the network of the moons.

# %%
unswept, end = fresh()
every = [knob for line in unswept for knob in line] + end
for step in range(60):
    loss = mean_loss(lambda x, y: network(unswept, end, x, y), points)
    if step % 12 == 0:
        print(f"step {step:2}  unswept {loss.data:.3f}   swept {history[step]:.3f}")
    backward(loss)
    for knob in every:
        knob.data -= 0.5 * knob.grad
assert abs(loss.data - 2 * 4 / 40) < 1e-3

# %% [markdown]
# Nothing crashes. It even begins well, then stands still at 0.2: the pile has pushed the knobs so far that the last
# tanh is flat at every point, with two of forty points as wrong as can be, $2 · 2^2 / 40$.
#
# Symptoms to remember: one straight border, no bend between the layers; neurons all alike, equal beginnings; waves, or
# a good start and then nothing, look for the sweep.
#
# ## Five questions
#
# 1. Where does the neuron $\tanh(3x - y + 2)$ say 0?
#
# <details><summary>Answer</summary>
#
# On the line $y = 3x + 2$.
#
# </details>
#
# 2. What changes when you multiply all knobs of a neuron by −1?
#
# <details><summary>Answer</summary>
#
# The line stays, its two sides change places.
#
# </details>
#
# 3. Why must the loss be built anew in each step?
#
# <details><summary>Answer</summary>
#
# A graph holds the values and slopes of the moment it was built. The knobs have moved since.
#
# </details>
#
# 4. A network with two inputs and ten hidden neurons, each with a bias, and one output with a bias: how many knobs?
#
# <details><summary>Answer</summary>
#
# 10 · 3 + 11 = 41.
#
# </details>
#
# 5. Why is a network without tanh (or another bend) between its layers no better than a single neuron?
#
# <details><summary>Answer</summary>
#
# A weighted sum of weighted sums is a weighted sum of the inputs.
#
# </details>
#
# ## What next
#
# [Lesson 4](04_from_numbers_to_tensors.ipynb) replaces thousands of boxes by a few that hold arrays.
#
# To read: Rumelhart, Hinton & Williams 1986, [*Learning representations by back-propagating
# errors*](https://doi.org/10.1038/323533a0), the four pages that made it known; Nielsen 2015, [*Neural
# Networks and Deep Learning*](https://neuralnetworksanddeeplearning.com/chap4.html), chapter 4, on what bends can
# build.
