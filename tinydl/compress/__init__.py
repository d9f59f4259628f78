"""Making a trained network smaller or faster: each function takes any Module and returns a new one."""

from tinydl.compress.distill import Distillation, DistillationLoss, Hint, distill
from tinydl.compress.factorize import factorize, fuse_linear
from tinydl.compress.fold import fold_batch_norm
from tinydl.compress.ledger import Entry, Ledger

__all__ = [
    "Distillation",
    "DistillationLoss",
    "Entry",
    "Hint",
    "Ledger",
    "distill",
    "factorize",
    "fold_batch_norm",
    "fuse_linear",
]
