"""Making a trained network smaller or faster: each function takes any Module and returns a new one."""

from tinydl.compress import integer, quantize
from tinydl.compress.flow import flow
from tinydl.compress.fold import fold_batch_norm

__all__ = ["flow", "fold_batch_norm", "integer", "quantize"]
