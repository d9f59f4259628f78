"""Recurrent cells (one step) and layers (whole sequences, several layers deep, in one or both directions)."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinydl.kernels.buffers import empty_aligned
from tinydl.nn.init import uniform_
from tinydl.nn.module import Module
from tinydl.nn.parameter import Parameter
from tinydl.nn.recurrence import GRU_RULE, LSTM_RULE, RNN_RULES, Rule, State
from tinydl.ops import cat, dropout, squeeze, stack, unsqueeze
from tinydl.options import choice, number, whole
from tinydl.shapes import Shape


class _Recurrent(Module):
    """What cells and layers share: the rule, the sizes, the parameters and the checks."""

    def __init__(self, rule: Rule, input_size: int, hidden_size: int, bias: bool) -> None:
        self.rule = rule
        self.input_size = whole(input_size, "input_size", 1)
        self.hidden_size = whole(hidden_size, "hidden_size", 1)
        self.bias = bool(bias)

    def _add_parameters(self, input_size: int, suffix: str) -> None:
        rows = self.rule.gates * self.hidden_size
        shapes: dict[str, Shape] = {"weight_ih": (rows, input_size), "weight_hh": (rows, self.hidden_size)}
        if self.bias:
            shapes.update(bias_ih=(rows,), bias_hh=(rows,))
        for name, shape in shapes.items():
            self.register_parameter(name + suffix, Parameter(empty_aligned(shape, np.float32)))

    def _weights(self, suffix: str) -> list[Any]:
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh") if self.bias else ("weight_ih", "weight_hh")
        return [getattr(self, name + suffix) for name in names]

    def reset_parameters(self, generator: np.random.Generator | None = None) -> None:
        """Draw the parameters anew, uniform on ±1/√hidden_size."""
        bound = self.hidden_size**-0.5
        for p in self.parameters():
            uniform_(p, -bound, bound, generator)

    def _check_input(self, x: Any, *axes: str) -> None:
        """Refuse an input that has neither the given axes nor those without N."""
        shape = tuple(x.shape)
        if len(shape) not in (len(axes), len(axes) - 1) or shape[-1] != self.input_size or not all(shape[:-1]):
            raise ValueError(
                f"{type(self).__name__}: input needs axes ({', '.join(axes)}), perhaps without N, none of them empty, "
                f"and I = {self.input_size}; got shape {shape}"
            )

    def _initial(self, hx: Any, shape: Shape, dtype: Any) -> State:
        """Return the state to start from, None meaning zeros. Raises: ValueError unless all its parts have `shape`."""
        if hx is None:
            return tuple(np.zeros(shape, dtype) for _ in range(self.rule.states))
        state: State = (hx,) if self.rule.states == 1 else tuple(hx)
        found = [tuple(part.shape) for part in state]
        if found != [shape] * self.rule.states:
            needed = f"{self.rule.states} of shape {shape}"
            raise ValueError(f"{type(self).__name__}: hx must be {needed}, got {', '.join(map(str, found))}")
        return state

    def _unpacked(self, state: State) -> Any:
        """Return a state as the caller sees it: one array alone, two as a pair."""
        return state[0] if self.rule.states == 1 else state

    def extra_repr(self) -> str:
        """Return the sizes, and whatever is not as by default."""
        plain: dict[str, Any] = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0}
        plain |= {"bidirectional": False, "nonlinearity": "tanh"}
        settings = {name: getattr(self, name, usual) for name, usual in plain.items()}
        special = [f", {name}={value}" for name, value in settings.items() if value != plain[name]]
        return f"{self.input_size}, {self.hidden_size}" + "".join(special)


class _Cell(_Recurrent):
    """One step."""

    def __init__(
        self, rule: Rule, input_size: int, hidden_size: int, bias: bool, generator: np.random.Generator | None
    ) -> None:
        super().__init__(rule, input_size, hidden_size, bias)
        self._add_parameters(self.input_size, "")
        self.reset_parameters(generator)

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Return the next state from an input (N, I) or (I,), and a state of parts (N, H) or (H,)."""
        self._check_input(input, "N", "I")
        lead = tuple(input.shape[:-1])
        state = self._initial(hx, (*lead, self.hidden_size), input.dtype)
        if lead:
            return self._unpacked(self.rule.step(input, state, *self._weights("")))
        state = self.rule.step(unsqueeze(input, 0), tuple(unsqueeze(part, 0) for part in state), *self._weights(""))
        return self._unpacked(tuple(squeeze(part, 0) for part in state))


class RNNCell(_Cell):
    """One step of an Elman network: h′ = tanh(W_ih x + b_ih + W_hh h + b_hh), or with ReLU.

    Args:
        input_size: I.
        hidden_size: H.
        bias: whether there are b_ih and b_hh.
        nonlinearity: "tanh" or "relu".
        generator: draws the start, uniform on ±1/√H.

    Shapes: weight_ih (H, I), weight_hh (H, H), bias_ih and bias_hh (H,); (N, I) and (N, H) -> (N, H).

    Raises: TypeError or ValueError naming the argument.

    >>> RNNCell(3, 5)(np.zeros((2, 3), np.float32)).shape
    (2, 5)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        *,
        generator: np.random.Generator | None = None,
    ) -> None:
        self.nonlinearity = choice(nonlinearity, "nonlinearity", tuple(RNN_RULES))
        super().__init__(RNN_RULES[nonlinearity], input_size, hidden_size, bias, generator)


class LSTMCell(_Cell):
    """One step of a long short-term memory; see `tinydl.nn.recurrence.lstm_step` for the equations.

    Arguments as `RNNCell`. Shapes: weight_ih (4H, I), weight_hh (4H, H), gates in the order i, f, g, o; state (h, c).

    >>> h, c = LSTMCell(3, 5)(np.zeros((2, 3), np.float32))
    >>> h.shape, c.shape
    ((2, 5), (2, 5))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        generator: np.random.Generator | None = None,
    ) -> None:
        super().__init__(LSTM_RULE, input_size, hidden_size, bias, generator)


class GRUCell(_Cell):
    """One step of a gated recurrent unit; see `tinydl.nn.recurrence.gru_step` for the equations.

    Arguments as `RNNCell`. Shapes: weight_ih (3H, I), weight_hh (3H, H), gates in the order r, z, n.

    >>> GRUCell(3, 5)(np.zeros((2, 3), np.float32)).shape
    (2, 5)
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        generator: np.random.Generator | None = None,
    ) -> None:
        super().__init__(GRU_RULE, input_size, hidden_size, bias, generator)


class _Layers(_Recurrent):
    """A recurrence run over sequences: several layers, each reading the outputs of the one below."""

    def __init__(
        self,
        rule: Rule,
        input_size: int,
        hidden_size: int,
        num_layers: int,
        bias: bool,
        batch_first: bool,
        dropout: float,
        bidirectional: bool,
        generator: np.random.Generator | None,
    ) -> None:
        super().__init__(rule, input_size, hidden_size, bias)
        self.num_layers = whole(num_layers, "num_layers", 1)
        self.batch_first, self.bidirectional = bool(batch_first), bool(bidirectional)
        self.dropout = number(dropout, "dropout", "[0, 1]")
        for layer in range(self.num_layers):
            suffixes = self._suffixes(layer)
            for suffix in suffixes:
                self._add_parameters(self.hidden_size * len(suffixes) if layer else self.input_size, suffix)
        self.reset_parameters(generator)

    def _suffixes(self, layer: int) -> list[str]:
        """Return how the names of a layer's parameters end, for each direction."""
        return [f"_l{layer}", f"_l{layer}_reverse"] if self.bidirectional else [f"_l{layer}"]

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Return the outputs of the last layer at every step, and the last states of all layers and directions."""
        self._check_input(input, *(("N", "L", "I") if self.batch_first else ("L", "N", "I")))
        batch = 0 if self.batch_first else 1
        if len(input.shape) == 3:
            return self._run(input, hx, batch)
        if hx is not None:
            hx = unsqueeze(hx, 1) if self.rule.states == 1 else tuple(unsqueeze(part, 1) for part in hx)
        y, state = self._run(unsqueeze(input, batch), hx, batch)
        return squeeze(y, batch), squeeze(state, 1) if self.rule.states == 1 else tuple(squeeze(s, 1) for s in state)

    def _run(self, x: Any, hx: Any, batch: int) -> tuple[Any, Any]:
        """Run all layers; steps stay a list from layer to layer, so that no sequence is cut twice."""
        directions = 2 if self.bidirectional else 1
        shape = (self.num_layers * directions, x.shape[batch], self.hidden_size)
        initial = self._initial(hx, shape, x.dtype)
        steps = [x[:, t] if batch == 0 else x[t] for t in range(x.shape[1 - batch])]
        finals: list[State] = []
        for layer in range(self.num_layers):
            if layer and self.training and self.dropout:
                steps = [dropout(step, self.dropout) for step in steps]
            sides = []
            for suffix in self._suffixes(layer):
                outputs, final = self._scan(steps, tuple(part[len(finals)] for part in initial), suffix)
                sides.append(outputs)
                finals.append(final)
            steps = sides[0] if directions == 1 else [cat(both, dim=1) for both in zip(*sides)]
        state = tuple(stack([final[i] for final in finals]) for i in range(self.rule.states))
        return stack(steps, 1 - batch), self._unpacked(state)

    def _scan(self, steps: list[Any], state: State, suffix: str) -> tuple[list[Any], State]:
        """Run one layer in one direction; outputs are in the order of time, whichever way it went."""
        weights = self._weights(suffix)
        order = -1 if suffix.endswith("_reverse") else 1
        outputs = []
        for x in steps[::order]:
            state = self.rule.step(x, state, *weights)
            outputs.append(state[0])
        return outputs[::order], state


class RNN(_Layers):
    """An Elman network over sequences.

    Args:
        input_size: I.
        hidden_size: H.
        num_layers: how many layers stand on each other.
        nonlinearity: "tanh" or "relu".
        bias: whether there are biases.
        batch_first: sequences are (N, L, I) and not (L, N, I); states are never batch first.
        dropout: the probability of dropping outputs between layers, in training.
        bidirectional: run also from the end to the beginning; outputs of both ways stand side by side (2H).
        generator: draws the start, uniform on ±1/√H.

    Shapes: weight_ih_l0 (H, I), weight_hh_l0 (H, H), bias_ih_l0, bias_hh_l0 (H,), weight_ih_l1 …, with _reverse for the
    way back; input (L, N, I) or (L, I), hx (layers · directions, N, H) -> output (L, N, directions · H), h_n like hx.

    Raises: TypeError or ValueError naming the argument.

    >>> output, h_n = RNN(3, 5, num_layers=2)(np.zeros((7, 2, 3), np.float32))
    >>> output.shape, h_n.shape
    ((7, 2, 5), (2, 2, 5))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        generator: np.random.Generator | None = None,
    ) -> None:
        self.nonlinearity = choice(nonlinearity, "nonlinearity", tuple(RNN_RULES))
        rule = RNN_RULES[nonlinearity]
        super().__init__(
            rule, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, generator
        )


class LSTM(_Layers):
    """A long short-term memory over sequences; returns output, (h_n, c_n). Arguments as `RNN`, without nonlinearity.

    Shapes: as `RNN`, with 4H rows in every parameter; equations: `tinydl.nn.recurrence.lstm_step`.

    >>> output, (h_n, c_n) = LSTM(3, 5, batch_first=True, bidirectional=True)(np.zeros((2, 7, 3), np.float32))
    >>> output.shape, c_n.shape
    ((2, 7, 10), (2, 2, 5))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        generator: np.random.Generator | None = None,
    ) -> None:
        super().__init__(
            LSTM_RULE, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, generator
        )


class GRU(_Layers):
    """A gated recurrent unit over sequences; returns output, h_n. Arguments as `RNN`, without nonlinearity.

    Shapes: as `RNN`, with 3H rows in every parameter; equations: `tinydl.nn.recurrence.gru_step`.

    >>> output, h_n = GRU(3, 5)(np.zeros((7, 2, 3), np.float32))
    >>> output.shape, h_n.shape
    ((7, 2, 5), (1, 2, 5))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        generator: np.random.Generator | None = None,
    ) -> None:
        super().__init__(
            GRU_RULE, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, generator
        )
