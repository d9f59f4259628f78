"""Pruning: masks that live with the weights, criteria, units, schedules, and the loops around them.

    pruner = Pruner(model, Magnitude(), scope="global")
    fit(model, data, callbacks=[Pruning(pruner, PolynomialDecay(0.0, 0.9, begin=0, end=2000), frequency=100)])

A mask is a property of the weight itself (`Parameter.mask`): the layers stay what they are, their weights hold zeros,
and training cannot move them. `remove` makes the zeros permanent.
"""

from tinydl.compress.prune.callback import Pruning
from tinydl.compress.prune.criterion import Criterion, Magnitude, Random
from tinydl.compress.prune.derivatives import hessian_diagonal
from tinydl.compress.prune.expansion import OptimalBrainDamage, Taylor
from tinydl.compress.prune.fisher import Fisher
from tinydl.compress.prune.granularity import NM, Block, Channel, Filter, Granularity, Kernel, Weight
from tinydl.compress.prune.masks import Report, masks, remove, report
from tinydl.compress.prune.movement import Movement
from tinydl.compress.prune.penalty import L1Penalty, ProximalL1
from tinydl.compress.prune.pruner import Pruner, sparsify
from tinydl.compress.prune.rounds import Rewind, geometric, iterate
from tinydl.compress.prune.schedules import AGP, Constant, OneShot, PolynomialDecay, Schedule, Steps
from tinydl.compress.prune.sensitivity import Sensitivity, sensitivity
from tinydl.compress.prune.targets import Target, targets

__all__ = [
    "AGP",
    "NM",
    "Block",
    "Channel",
    "Constant",
    "Criterion",
    "Filter",
    "Fisher",
    "Granularity",
    "Kernel",
    "L1Penalty",
    "Magnitude",
    "Movement",
    "OneShot",
    "OptimalBrainDamage",
    "PolynomialDecay",
    "ProximalL1",
    "Pruner",
    "Pruning",
    "Random",
    "Report",
    "Rewind",
    "Schedule",
    "Sensitivity",
    "Steps",
    "Target",
    "Taylor",
    "Weight",
    "geometric",
    "hessian_diagonal",
    "iterate",
    "masks",
    "remove",
    "report",
    "sensitivity",
    "sparsify",
    "targets",
]
