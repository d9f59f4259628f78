"""Making a trained network smaller or faster: each function takes any Module and returns a new one."""

from tinydl.compress import coding, prune
from tinydl.compress.fold import fold_batch_norm
from tinydl.compress.sharing import share_weights, unshare

__all__ = ["coding", "fold_batch_norm", "prune", "share_weights", "unshare"]
