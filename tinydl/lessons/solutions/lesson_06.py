"""Lesson 6, answered: shuffled batches, the loop over one epoch, and the share of right answers."""

from tinydl import no_grad
from tinydl.nn.functional import cross_entropy


def batches(rows, size, rng):
    """Cut the row numbers 0 … rows − 1, in a random order, into batches of the given size."""
    order = rng.permutation(rows)
    return [order[start : start + size] for start in range(0, rows, size)]


def train_epoch(model, optimizer, loader):
    """Take one step for each batch (x, y) of the loader; return the list of losses."""
    losses = []
    for x, y in loader:
        loss = cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def accuracy(model, loader):
    """Return the share of all samples whose largest logit is the right one, without recording."""
    right = seen = 0
    with no_grad():
        for x, y in loader:
            right += (model(x).argmax(1) == y).sum().item()
            seen += len(y)
    return right / seen
