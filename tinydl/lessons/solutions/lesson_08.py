"""Lesson 8, answered: a step with momentum, a step of Adam, and a rate that warms up and then follows a cosine."""

import numpy as np


def momentum_step(p, g, v, lr, beta):
    """Return the next (p, v): v remembers beta of itself and adds g; p goes against v."""
    v = beta * v + g
    return p - lr * v, v


def adam_step(p, g, m, v, t, lr, beta1, beta2, eps):
    """Return the next (p, m, v) of Adam at step t = 1, 2, …; m and v themselves stay uncorrected."""
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
    return p - lr * m_hat / (np.sqrt(v_hat) + eps), m, v


def rate(t, total, warmup, top):
    """Return the rate of step t = 0, …, total − 1: a line up to top in `warmup` steps, then half a cosine to 0."""
    if t < warmup:
        return top * (t + 1) / warmup
    progress = (t - warmup) / (total - warmup)
    return top * (1 + np.cos(np.pi * progress)) / 2
