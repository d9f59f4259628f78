"""A layer that deals out channels, so that the next grouped convolution sees all groups."""

from __future__ import annotations

from typing import Any

from tinydl import ops
from tinydl.nn.module import Module
from tinydl.options import whole


class ChannelShuffle(Module):
    """Channel i·C/groups + j of x (N, C, …) goes to place j·groups + i.

    Raises: TypeError or ValueError naming `groups`, which must divide C.

    Source: Zhang et al. 2018, ShuffleNet, arXiv:1707.01083, section 3.1.

    >>> import numpy as np
    >>> ChannelShuffle(2)(np.arange(6).reshape(1, 6))
    array([[0, 3, 1, 4, 2, 5]])
    """

    def __init__(self, groups: int) -> None:
        self.groups = whole(groups, "groups", 1)

    def forward(self, input: Any) -> Any:
        """Return x with its channels dealt out."""
        return ops.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        """Return the number of groups."""
        return f"groups={self.groups}"
