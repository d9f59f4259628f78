"""What is pruned at a time: single weights, blocks of a matrix, kernels, channels, or N of every M weights.

A granularity divides a weight into units, each of which lives or is pruned as a whole; their order is the position by
which ties are broken. Units are rows of flat (C-order) indices into the weight.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinydl.compress.prune.selection import lowest, lowest_each
from tinydl.compress.prune.targets import Target
from tinydl.nn import ConvTranspose2d
from tinydl.options import choice, number, whole
from tinydl.shapes import Array


class Granularity:
    """The base: how a weight is divided, and which units are pruned for a sparsity."""

    def units(self, target: Target) -> Array:
        """Return the flat indices of the members of each unit (units, members).

        Raises: ValueError naming the weight when it cannot be divided so.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say what its units are")

    def choose(self, scores: Sequence[Array], pruned: Sequence[Array], sparsity: float, scope: str) -> list[Array]:
        """Return for each weight which units to prune: round(sparsity · units) of the lowest scores.

        Args:
            scores: what each unit is worth, (units,) a weight.
            pruned: which units are pruned already and stay so.
            sparsity: the share of units to prune.
            scope: "layer", the share of each weight, or "global", the share of all together.

        Raises: ValueError when more units than that are pruned already.
        """
        choice(scope, "scope", ("layer", "global"))
        if scope == "layer":
            return [lowest(s, done, round(sparsity * len(s))) for s, done in zip(scores, pruned)]
        together = np.concatenate(scores)
        chosen = lowest(together, np.concatenate(pruned), round(sparsity * len(together)))
        return np.split(chosen, np.cumsum([len(s) for s in scores])[:-1])

    def checked(self, sparsity: float | None) -> float:
        """Return the sparsity as a float. Raises: TypeError, ValueError unless it is a number in [0, 1)."""
        return number(sparsity, "sparsity", "[0, 1)")


class Weight(Granularity):
    """Every weight by itself: the highest sparsity for an accuracy, and the least regular.

    >>> from tinydl.compress.prune import sparsify
    >>> from tinydl.nn import Linear
    >>> layer = Linear(2, 2)
    >>> layer.load_state_dict({"weight": np.array([[1.0, -2.0], [-3.0, 4.0]]), "bias": np.zeros(2)}, strict=False)
    <All keys matched successfully>
    >>> sparsify(layer, 0.5, granularity=Weight()).report().rows
    (('weight', (2, 2), 4, 2),)
    >>> layer.weight.tolist()
    [[0.0, 0.0], [-3.0, 4.0]]
    """

    def units(self, target: Target) -> Array:
        """Return one index a unit."""
        return _indices(target).reshape(-1, 1)


class Block(Granularity):
    """Tiles of rows × columns of the matrix (O, I·kh·kw) that the weight multiplies by.

    Args:
        rows: how many outputs a tile spans.
        columns: how many inputs a tile spans.
    """

    def __init__(self, rows: int, columns: int) -> None:
        self.rows, self.columns = whole(rows, "rows", 1), whole(columns, "columns", 1)

    def units(self, target: Target) -> Array:
        """Return the tiles, row by row. Raises: ValueError unless they fill the matrix."""
        matrix = _indices(target).reshape(target.parameter.shape[0], -1)
        height, width = matrix.shape
        if height % self.rows or width % self.columns:
            raise ValueError(
                f"{target.name}: a matrix of {height} × {width} does not divide into blocks of {self.rows} × "
                f"{self.columns}"
            )
        tiles = matrix.reshape(height // self.rows, self.rows, width // self.columns, self.columns)
        return tiles.transpose(0, 2, 1, 3).reshape(-1, self.rows * self.columns)


class Kernel(Granularity):
    """Each k × k slice of a convolution: what one output channel takes from one input channel.

    Source: Mao et al. 2017, Exploring the regularity of sparse structure in convolutional neural networks,
    arXiv:1705.08922.
    """

    def units(self, target: Target) -> Array:
        """Return O · C/groups kernels. Raises: ValueError for a weight without spatial axes."""
        shape = target.parameter.shape
        if len(shape) < 3:
            raise ValueError(f"{target.name}: kernels are slices of convolutions, and this weight is {shape}")
        return _indices(target).reshape(shape[0] * shape[1], -1)


class Filter(Granularity):
    """All weights of an output channel (a row of a linear layer).

    Only weights are masked: the channel's bias, and the norm behind it, go on producing a constant. To take channels
    out of the network, see `tinydl.compress.structured`.

    Source: Li et al. 2017, Pruning filters for efficient ConvNets, arXiv:1608.08710.
    """

    def units(self, target: Target) -> Array:
        """Return one unit an output channel."""
        return _second_axis(target) if isinstance(target.module, ConvTranspose2d) else _first_axis(target)


class Channel(Granularity):
    """All weights on an input channel (a column of a linear layer); of a depthwise layer these are its filters.

    Source: He, Zhang & Sun 2017, Channel pruning for accelerating very deep neural networks, arXiv:1707.06168.
    """

    def units(self, target: Target) -> Array:
        """Return one unit an input channel."""
        return _first_axis(target) if isinstance(target.module, ConvTranspose2d) else _second_axis(target)


class NM(Granularity):
    """N of every M weights in a row survive, consecutive along the input channels, at the same place of the kernel.

    The scope does not matter: every group of M is pruned alike, and the sparsity is 1 − N/M and nothing else.

    Args:
        n: how many survive.
        m: of how many.

    Source: Mishra et al. 2021, Accelerating sparse deep neural networks, arXiv:2104.08378, section 3 (2:4).

    >>> NM(2, 4).sparsity
    0.5
    """

    def __init__(self, n: int, m: int) -> None:
        self.n, self.m = whole(n, "n", 1), whole(m, "m", 1)
        if n > m:
            raise ValueError(f"n of m weights survive: n must be at most m, got {n}:{m}")

    @property
    def sparsity(self) -> float:
        """1 − N/M."""
        return 1 - self.n / self.m

    def checked(self, sparsity: float | None) -> float:
        """Return 1 − N/M. Raises: ValueError when another sparsity is asked for."""
        if sparsity is not None and number(sparsity, "sparsity", "[0, 1)") != self.sparsity:
            raise ValueError(f"sparsity: {self.n}:{self.m} is {self.sparsity}, got {sparsity}")
        return self.sparsity

    def units(self, target: Target) -> Array:
        """Return single weights, the M of a group after another. Raises: ValueError unless M divides the inputs."""
        inputs = target.parameter.shape[1]
        if inputs % self.m:
            raise ValueError(f"{target.name}: {self.n}:{self.m} needs a multiple of {self.m} inputs, got {inputs}")
        return np.moveaxis(_indices(target), 1, -1).reshape(-1, 1)

    def choose(self, scores: Sequence[Array], pruned: Sequence[Array], sparsity: float, scope: str) -> list[Array]:
        """Return the M − N lowest of each M."""
        rows = [(s.reshape(-1, self.m), done.reshape(-1, self.m)) for s, done in zip(scores, pruned)]
        return [lowest_each(s, done, self.m - self.n).reshape(-1) for s, done in rows]


def _indices(target: Target) -> Array:
    """Return the flat index of every element, in the shape of the weight."""
    return np.arange(target.parameter.numel()).reshape(target.parameter.shape)


def _first_axis(target: Target) -> Array:
    return _indices(target).reshape(target.parameter.shape[0], -1)


def _second_axis(target: Target) -> Array:
    """Return the slices along axis 1, which counts the channels of each group anew."""
    outer, inner = target.parameter.shape[:2]
    grouped = _indices(target).reshape(target.groups, outer // target.groups, inner, -1)
    return grouped.transpose(0, 2, 1, 3).reshape(target.groups * inner, -1)
