"""One step of a recurrent network under a constant input, as a map of its whole state, with its closed-form Jacobian.

A state is one vector of float64: h of every layer, lowest first, and then, of an LSTM, c of every layer. A copy of the
weights is what is mapped with; the module itself is never run here.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lstm_probe.core.errors import InputError

#: What there is a map of.
Recurrent = nn.LSTM | nn.LSTMCell | nn.RNN | nn.RNNCell
_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")


@dataclass(frozen=True)
class Layer:
    """One layer's weights; the two biases are added up, and of an LSTM gates stand in PyTorch's order i f g o.

    Attributes:
        w_ih, w_hh: (gate · unit, what goes in).
        bias: (gate · unit).
        w_hr: the projection, (output, unit), or None.
    """

    w_ih: Float[Tensor, "row feature"]
    w_hh: Float[Tensor, "row output"]
    bias: Float[Tensor, " row"]
    w_hr: Float[Tensor, "output unit"] | None


class StepMap:
    """The map of a state to the next one.

    Attributes:
        features: how many numbers an input has.
        size: of a state.
        layers: from the lowest.
        gated: whether it is an LSTM, with a memory c.
        shown, held: where h and c of each layer stand in a state.
        unit: the least that distances between states are relative to.
    """

    def __init__(self, module: Recurrent) -> None:
        if getattr(module, "bidirectional", False):
            raise InputError(
                "fixed points: the layer is bidirectional: it reads from both ends, so that no state follows from the "
                "one before alone"
            )
        self.unit = 1.0
        self.gated = isinstance(module, nn.LSTM | nn.LSTMCell)
        self.relu = not self.gated and module.nonlinearity == "relu"
        self.layers = [_layer(module, k) for k in range(getattr(module, "num_layers", 1))]
        self.features = self.layers[0].w_ih.shape[1]
        self.units = self.layers[0].w_hh.shape[0] // (4 if self.gated else 1)
        wide = [layer.w_hh.shape[1] for layer in self.layers] + [self.units] * len(self.layers) * self.gated
        ends = [sum(wide[: k + 1]) for k in range(len(wide))]
        places = [slice(end - own, end) for own, end in zip(wide, ends)]
        self.size = ends[-1]
        self.shown, self.held = places[: len(self.layers)], places[len(self.layers) :]

    def scale(self, states: Float[Tensor, "n size"]) -> Float[Tensor, " n"]:
        """Return what distances from these states are relative to: their length, or `unit` where that is more."""
        lengths: Tensor = states.norm(dim=1)
        return lengths.clamp(min=self.unit)

    def step(self, state: Float[Tensor, "n size"], x: Float[Tensor, "*one feature"]) -> Float[Tensor, "n size"]:
        """Return the states after one more step with this input, the same for all or one for each."""
        return self._go(state, x, False)[0]

    def jacobian(
        self, state: Float[Tensor, "n size"], x: Float[Tensor, "*one feature"]
    ) -> tuple[Float[Tensor, "n size"], Float[Tensor, "n size size"]]:
        """Return the next states, and the derivative of each of their numbers by each number of the state."""
        return self._go(state, x, True)

    def _go(self, state: Tensor, x: Tensor, derive: bool) -> tuple[Tensor, Tensor]:
        after = torch.empty_like(state)
        whole = state.new_zeros(len(state), self.size if derive else 0, self.size)
        below: Tensor | None = None  # the derivative of what a layer reads
        for k, layer in enumerate(self.layers):
            h = state[:, self.shown[k]]
            pre = x @ layer.w_ih.T + h @ layer.w_hh.T + layer.bias
            slope = pre.new_zeros(0)
            if derive:  # of the pre-activations, (n or 1, row, size)
                slope = pre.new_zeros(1 if below is None else len(state), len(layer.bias), self.size)
                if below is not None:
                    slope = slope + layer.w_ih @ below
                slope[:, :, self.shown[k]] += layer.w_hh
            if self.gated:
                x, below = self._gates(k, state, pre, slope, after, whole, derive)
            else:
                x = pre.relu() if self.relu else pre.tanh()
                # At 0 itself a relu is taken to rise, so that nothing is called stable that it moves away from.
                below = ((pre >= 0).to(x) if self.relu else 1 - x.square()).unsqueeze(-1) * slope if derive else None
            after[:, self.shown[k]] = x
            if below is not None:
                whole[:, self.shown[k]] = below
        return after, whole

    def _gates(
        self, k: int, state: Tensor, pre: Tensor, slope: Tensor, after: Tensor, whole: Tensor, derive: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Write c of one layer of an LSTM and its derivative; return h and its derivative."""
        c, w_hr = state[:, self.held[k]], self.layers[k].w_hr
        i, f, g, o = pre.chunk(4, dim=1)
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        memory = f * c + i * g
        seen = memory.tanh()
        after[:, self.held[k]] = memory
        h = o * seen if w_hr is None else (o * seen) @ w_hr.T
        if not derive:
            return h, None
        by_i, by_f, by_g, by_o = slope.chunk(4, dim=1)

        def rows(values: Tensor) -> Tensor:
            return values.unsqueeze(-1)

        own = rows(g * i * (1 - i)) * by_i + rows(c * f * (1 - f)) * by_f + rows(i * (1 - g.square())) * by_g
        own[:, :, self.held[k]] += torch.diag_embed(f)
        whole[:, self.held[k]] = own
        shown = rows(o * (1 - seen.square())) * own + rows(seen * o * (1 - o)) * by_o
        return h, shown if w_hr is None else w_hr @ shown


def _layer(module: Recurrent, k: int) -> Layer:
    suffix = "" if isinstance(module, nn.LSTMCell | nn.RNNCell) else f"_l{k}"
    named = {name: getattr(module, name + suffix, None) for name in _NAMES}
    own = {name: value.detach().double().cpu().clone() for name, value in named.items() if value is not None}
    bias = own["weight_hh"].new_zeros(len(own["weight_hh"]))
    for name in ("bias_ih", "bias_hh"):
        bias = bias + own.get(name, 0.0)
    return Layer(own["weight_ih"], own["weight_hh"], bias, own.get("weight_hr"))
