"""Weight sharing: k-means codebooks in the place of weights, and their training."""

from tinydl.compress.sharing.kmeans import exact_kmeans, lloyd
from tinydl.compress.sharing.shared import share_weights, unshare

__all__ = ["exact_kmeans", "lloyd", "share_weights", "unshare"]
