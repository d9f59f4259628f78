"""Optimizers, one update rule each, learning rate schedules, and the moving average of weights."""

from tinydl.optim import lr_scheduler
from tinydl.optim.adam import Adam, AdamW
from tinydl.optim.ema import EMA
from tinydl.optim.optimizer import Optimizer
from tinydl.optim.rmsprop import RMSprop
from tinydl.optim.sgd import SGD

__all__ = ["EMA", "SGD", "Adam", "AdamW", "Optimizer", "RMSprop", "lr_scheduler"]
