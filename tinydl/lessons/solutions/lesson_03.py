"""Lesson 3, answered: the training loop, and the run in which nobody swept the gradients."""

from tinydl.lessons.solutions.lesson_02 import backward


def train(knobs, loss, steps, lr):
    """Take steps of gradient descent; return what the loss was before each of them."""
    history = []
    for _ in range(steps):
        now = loss()
        history.append(now.data)
        for knob in knobs:
            knob.grad = 0.0
        backward(now)
        for knob in knobs:
            knob.data -= lr * knob.grad
    return history


# It rolls past the valley and up the other side: old gradients push on like momentum that never fades.
culprit = "B"
