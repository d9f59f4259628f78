"""Lesson 2, answered: the rule of a product, an order in which to walk, and the walk; and the finished `Value`."""

import math


def add(a, b):
    """Return a + b, then its slopes by a and by b."""
    return a + b, 1.0, 1.0


def mul(a, b):
    """Return a * b, then its slopes by a and by b."""
    return a * b, b, a


def tanh(a):
    """Return tanh a, then its slope by a."""
    y = math.tanh(a)
    return y, 1 - y * y


def order(root):
    """Return all boxes that root was made from, and root: each once, and after its parents."""
    found, seen = [], set()

    def visit(box):
        if box not in seen:
            seen.add(box)
            for parent in box.parents:
                visit(parent)
            found.append(box)

    visit(root)
    return found


def backward(root):
    """Add to the grad of every box the slope of root by that box."""
    root.grad = 1.0
    for box in reversed(order(root)):
        for parent, slope in zip(box.parents, box.slopes):
            parent.grad += slope * box.grad


class Value:
    """A number that remembers what it was made from: lesson 2's box with +, * and tanh."""

    def __init__(self, data, parents=(), slopes=()):
        self.data, self.parents, self.slopes = data, parents, slopes
        self.grad = 0.0

    def __repr__(self):
        return f"Value({self.data:.4f})"

    def __add__(self, other):
        return apply(add, self, other)

    def __mul__(self, other):
        return apply(mul, self, other)

    def tanh(self):
        """Return tanh of the value."""
        return apply(tanh, self)


def apply(rule, *parents):
    """Return the Value that a rule makes of its parents."""
    data, *slopes = rule(*[parent.data for parent in parents])
    return Value(data, parents, slopes)
