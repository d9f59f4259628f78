"""What a network costs: parameters, multiply-adds, memory, receptive fields, bytes on disk; and what it takes in time.

`summary(model, (3, 224, 224))` counts, `training_memory(model, (3, 224, 224), batch=8)` counts what backward needs;
`profile(model, x)` measures times. Each has a row a layer and is a table when printed.
"""

from tinydl.cost.kept import Kept, TrainingMemory, training_memory
from tinydl.cost.latency import Profile, TimedRow, profile
from tinydl.cost.layers import Row, Summary, file_size, summary
from tinydl.cost.rounds import Times
from tinydl.cost.window import Window

__all__ = [
    "Kept",
    "Profile",
    "Row",
    "Summary",
    "TimedRow",
    "Times",
    "TrainingMemory",
    "Window",
    "file_size",
    "profile",
    "summary",
    "training_memory",
]
