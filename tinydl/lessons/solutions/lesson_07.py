"""Lesson 7, answered: a start that keeps signals alive, the way back through a normalisation, and its memory."""

import numpy as np


def he(outputs, inputs, rng):
    """Draw a weight (outputs, inputs) that keeps the size of a signal through the layer and its ReLU."""
    return rng.normal(0, (2 / inputs) ** 0.5, (outputs, inputs))


def normalise_backward(g, x, eps):
    """Return the gradient by x (N, C) of (x − mean) / √(var + eps), given the gradient g by the result."""
    sd = np.sqrt(x.var(axis=0) + eps)
    xhat = (x - x.mean(axis=0)) / sd
    return (g - g.mean(axis=0) - xhat * (g * xhat).mean(axis=0)) / sd


class RunningNorm:
    """Normalise by the batch in training, and remember; by the memory in evaluation."""

    def __init__(self, channels):
        self.mean, self.var, self.training = np.zeros(channels), np.ones(channels), True

    def __call__(self, x, eps=1e-5):
        """Return x (N, C) normalised."""
        mean, var = self.mean, self.var
        if self.training:
            mean, var = x.mean(axis=0), x.var(axis=0)
            self.mean = 0.9 * self.mean + 0.1 * mean
            self.var = 0.9 * self.var + 0.1 * x.var(axis=0, ddof=1)
        return (x - mean) / np.sqrt(var + eps)
