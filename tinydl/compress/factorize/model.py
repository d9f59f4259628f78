"""Factorization of a whole network: which layers, at which rank, and what that saves; first shown, then done."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Generic, TypeVar

from tinydl.compress.factorize.pairs import Pair, channel_pair, linear_pair, spatial_pair
from tinydl.cost import summary
from tinydl.cost.inputs import Shapes
from tinydl.cost.table import Table
from tinydl.nn import Conv2d, ConvTranspose2d, Linear, Module
from tinydl.options import choice, number, whole

M = TypeVar("M", bound=Module)

_CONV = "spatial", "channel"

_BISECTIONS = 12
"""How often the interval of the energy is halved to meet a budget: it ends below 1/4000."""


@dataclass(frozen=True)
class FactorRow:
    """What happens to one layer.

    Attributes:
        name: its place in the model.
        pair: how it is taken apart; None where it stays.
        rank: of the two factors; 0 where it stays.
        weights: before.
        reason: why it stays, in a few words.
    """

    name: str
    pair: Pair | None
    rank: int
    weights: int
    reason: str = ""

    @property
    def weights_after(self) -> int:
        """The weights of both factors."""
        return self.weights if self.pair is None else self.rank * self.pair.weights_per_rank

    @property
    def energy(self) -> float:
        """The share of the weights' energy that is kept."""
        return 1.0 if self.pair is None else self.pair.svd.energy(self.rank)


@dataclass(frozen=True)
class Factorization(Generic[M]):
    """What `factorize` would do; printed, a table. `apply` does it.

    Attributes:
        model: as it was.
        rows: one a linear layer or convolution.
    """

    model: M
    rows: tuple[FactorRow, ...]

    def apply(self) -> M:
        """Return a copy of the model in which two layers in a `Sequential` stand for each that is taken apart.

        A module that is used in several places is replaced in all of them. Other modules keep their names.
        """
        pairs = [(row.pair, row.rank) for row in self.rows if row.pair is not None]
        copied = {id(pair.layer): pair.build(rank) for pair, rank in pairs}  # what deepcopy finds here it takes
        return copy.deepcopy(self.model, copied)

    def __str__(self) -> str:
        return self._table().text()

    def _repr_html_(self) -> str:
        return self._table().html()

    def _table(self) -> Table:
        head = "layer", "how", "rank", "of", "energy kept", "weights", "after"
        lines = [
            (row.name, row.reason, "", "", "", f"{row.weights:,}", f"{row.weights:,}")
            if row.pair is None
            else (
                row.name,
                row.pair.kind,
                str(row.rank),
                str(row.pair.svd.full),
                f"{100 * row.energy:.2f} %",
                f"{row.weights:,}",
                f"{row.weights_after:,}",
            )
            for row in self.rows
        ]
        sums = [f"{sum(getattr(row, column) for row in self.rows):,}" for column in ("weights", "weights_after")]
        notes = [("energy", "squared singular values of the weights; the smallest are left out")]
        return Table("factorization", head, lines, ("total", "", "", "", "", *sums), 2, notes)


@dataclass(frozen=True)
class _Candidate:
    """A layer of the kinds in question: how it can be taken apart, or why it cannot."""

    name: str
    weights: int
    pair: Pair | None
    reason: str = ""

    def kept(self, reason: str) -> FactorRow:
        return FactorRow(self.name, None, 0, self.weights, reason)

    def at(self, rank: int) -> FactorRow:
        return FactorRow(self.name, self.pair, rank, self.weights)

    def with_energy(self, energy: float) -> FactorRow:
        """Return the row for this energy: the layer stays where a pair would not be smaller."""
        if self.pair is None:
            return self.kept(self.reason)
        row = self.at(self.pair.svd.rank_for(energy))
        return row if row.weights_after < self.weights else self.kept(f"stays: rank {row.rank} is no smaller")


def plan(
    model: M,
    *,
    energy: float | None = None,
    ranks: Mapping[str, int] | None = None,
    budget: float | None = None,
    of: str = "params",
    input_shape: Shapes | None = None,
    conv: str = "spatial",
    layers: str | Sequence[str] = "*",
) -> Factorization[M]:
    """Return which layers of `model` would be taken apart, at which rank; give one of `energy`, `ranks`, `budget`.

    Convolutions in groups (depthwise ones above all) and transposed ones stay, and the printed plan says so.

    Args:
        model: any module.
        energy: keep this share of each layer's energy, in (0, 1], where that makes the layer smaller.
        ranks: the rank of each layer by name, whether that makes it smaller or not; no other layer is touched.
        budget: keep as much energy, the same share in each layer, as brings the network's parameters or MACs down to
            this share of what they were, in (0, 1).
        of: what the budget is about: "params" or "macs".
        input_shape: sizes of one input without the batch axis; needed to count MACs.
        conv: how convolutions larger than 1×1 are taken apart: "spatial" or "channel".
        layers: names, or patterns of names as in a shell ("features.*"), of the layers in question.

    Raises: TypeError or ValueError naming the argument; ValueError for a pattern or name that fits no layer, for a
        named layer that cannot be taken apart, and for a budget that rank 1 everywhere would exceed.

    >>> print(plan(Linear(8, 8), ranks={"": 2}))
    layer  how     rank  of  energy kept  weights  after
    ----------------------------------------------------
           linear     2   8  ... %       64     32
    ...
    """
    given = [name for name, value in (("energy", energy), ("ranks", ranks), ("budget", budget)) if value is not None]
    if len(given) != 1:
        raise ValueError(f"give one of energy, ranks and budget; got {' and '.join(given) or 'none'}")
    if ranks is not None:
        return _with_ranks(model, ranks, _candidates(model, choice(conv, "conv", _CONV), list(ranks)))
    share = number(budget, "budget", "(0, 1)") if energy is None else number(energy, "energy", "(0, 1]")
    cost = _cost(choice(of, "of", ("params", "macs")), input_shape) if energy is None else None
    patterns = [layers] if isinstance(layers, str) else list(layers)
    found = _candidates(model, choice(conv, "conv", _CONV), patterns)
    if cost is None:
        return _with_energy(model, share, found)
    return _within(model, share * cost(model), cost, found)


def factorize(
    model: M,
    *,
    energy: float | None = None,
    ranks: Mapping[str, int] | None = None,
    budget: float | None = None,
    of: str = "params",
    input_shape: Shapes | None = None,
    conv: str = "spatial",
    layers: str | Sequence[str] = "*",
) -> M:
    """Return a copy of `model` with two thin layers for each one that `plan` takes apart; its arguments are those.

    >>> from tinydl.nn import Sequential
    >>> model = Sequential(Linear(100, 50))
    >>> sum(p.numel() for p in factorize(model, ranks={"0": 5}).parameters())
    800
    """
    return plan(
        model,
        energy=energy,
        ranks=ranks,
        budget=budget,
        of=of,
        input_shape=input_shape,
        conv=conv,
        layers=layers,
    ).apply()


def _candidates(model: Module, conv: str, patterns: Sequence[str]) -> list[_Candidate]:
    """Return the layers whose names fit. Raises: ValueError for a pattern that fits none."""
    layers = [(name, m) for name, m in model.named_modules() if isinstance(m, Linear | Conv2d | ConvTranspose2d)]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name, _ in layers):
            raise ValueError(f"no linear layer or convolution has a name like {pattern!r}")
    owners = Counter(id(m.weight) for _, m in layers)
    chosen = [(name, m) for name, m in layers if any(fnmatchcase(name, pattern) for pattern in patterns)]
    return [_candidate(name, m, conv, owners[id(m.weight)] > 1) for name, m in chosen]


def _candidate(name: str, layer: Linear | Conv2d | ConvTranspose2d, conv: str, shared: bool) -> _Candidate:
    weights = layer.weight.numel()
    reason = _obstacle(layer, shared)
    if reason:
        return _Candidate(name, weights, None, f"stays: {reason}")
    if isinstance(layer, Linear):
        return _Candidate(name, weights, linear_pair(layer))
    assert isinstance(layer, Conv2d)
    make = spatial_pair if conv == "spatial" and min(layer.kernel_size) > 1 else channel_pair
    return _Candidate(name, weights, make(layer))


def _obstacle(layer: Linear | Conv2d | ConvTranspose2d, shared: bool) -> str:
    """Return why a layer cannot be taken apart, or nothing."""
    if isinstance(layer, ConvTranspose2d):
        return "transposed"
    if isinstance(layer, Conv2d) and layer.groups > 1:
        return "depthwise" if layer.groups == layer.in_channels else f"{layer.groups} groups"
    if type(layer).forward not in (Linear.forward, Conv2d.forward):
        return "a forward of its own"
    return "its weight is another layer's too" if shared else ""


def _with_ranks(model: M, ranks: Mapping[str, int], found: Sequence[_Candidate]) -> Factorization[M]:
    rows = []
    for one in found:
        if one.pair is None:
            raise ValueError(f"ranks: {one.name!r} cannot be taken apart, it {one.reason}")
        rank = whole(ranks[one.name], f"ranks[{one.name!r}]", 1)
        if rank > one.pair.svd.full:
            raise ValueError(f"ranks[{one.name!r}] must be at most {one.pair.svd.full}, got {rank}")
        rows.append(one.at(rank))
    return Factorization(model, tuple(rows))


def _with_energy(model: M, energy: float, found: Sequence[_Candidate]) -> Factorization[M]:
    return Factorization(model, tuple(one.with_energy(energy) for one in found))


def _cost(of: str, input_shape: Shapes | None) -> Callable[[Module], int]:
    if of == "params":
        return lambda model: sum(p.numel() for p in model.parameters())
    if input_shape is None:
        raise ValueError("input_shape must be given for a budget of MACs, got None")
    return lambda model: summary(model, input_shape).macs


def _within(model: M, limit: float, cost: Callable[[Module], int], found: Sequence[_Candidate]) -> Factorization[M]:
    """Halve the interval of the energy until the plan with the most energy that costs no more than `limit` is left."""
    low, high = 1e-6, 1.0
    best = _with_energy(model, low, found)
    least = cost(best.apply())
    if least > limit:
        raise ValueError(f"budget: rank 1 everywhere costs {least:,}, more than the {limit:,.0f} allowed")
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        trial = _with_energy(model, middle, found)
        if cost(trial.apply()) <= limit:
            low, best = middle, trial
        else:
            high = middle
    return best
