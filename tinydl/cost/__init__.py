"""What a network costs: parameters, multiply-adds, memory, receptive fields, bytes on disk; and what it takes in time.

print(summary(model, (3, 224, 224)))     one row a layer: counted, not timed
"""

from tinydl.cost.layers import Row, Summary, file_size, summary
from tinydl.cost.window import Window

__all__ = ["Row", "Summary", "Window", "file_size", "summary"]
