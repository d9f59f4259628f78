"""Structured pruning: whole channels go, and the network really is smaller afterwards.

`dependencies(model, input_shape)` says what is tied to what, `plan(...)` what would go, `plan(...).apply()` returns the
smaller network; `prune_channels` and `prune_to` do both at once. `shrink_like` makes room for a pruned network's saved
weights.
"""

from tinydl.compress.structured.groups import Dependencies, Group, dependencies
from tinydl.compress.structured.importance import Importance, Slices, magnitude, norm_scale, random, taylor
from tinydl.compress.structured.plan import Plan
from tinydl.compress.structured.prune import plan, prune_channels, prune_to
from tinydl.compress.structured.resize import shrink_like

__all__ = [
    "Dependencies",
    "Group",
    "Importance",
    "Plan",
    "Slices",
    "dependencies",
    "magnitude",
    "norm_scale",
    "plan",
    "prune_channels",
    "prune_to",
    "random",
    "shrink_like",
    "taylor",
]
