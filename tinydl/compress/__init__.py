"""Making a trained network smaller or faster: each function takes any Module and returns a new one."""

from tinydl.compress import coding, integer, prune, quantize, stages, structured
from tinydl.compress.distill import Distillation, DistillationLoss, Hint, distill
from tinydl.compress.exits import EarlyExit, exit_curve, exit_head
from tinydl.compress.factorize import factorize, fuse_linear
from tinydl.compress.flow import flow
from tinydl.compress.fold import fold_batch_norm
from tinydl.compress.ledger import Entry, Ledger
from tinydl.compress.pipeline import Pipeline, Step, pipeline
from tinydl.compress.recipe import Materials, read_recipe
from tinydl.compress.sharing import share_weights, unshare
from tinydl.compress.transfer import freeze, replace_head, unfreeze

__all__ = [
    "Distillation",
    "DistillationLoss",
    "EarlyExit",
    "Entry",
    "Hint",
    "Ledger",
    "Materials",
    "Pipeline",
    "Step",
    "coding",
    "distill",
    "exit_curve",
    "exit_head",
    "factorize",
    "flow",
    "fold_batch_norm",
    "freeze",
    "fuse_linear",
    "integer",
    "pipeline",
    "prune",
    "quantize",
    "read_recipe",
    "replace_head",
    "share_weights",
    "stages",
    "structured",
    "unfreeze",
    "unshare",
]
