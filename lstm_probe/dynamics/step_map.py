"""One step of a recurrent network under a constant input, as a map of its whole state, with its Jacobian.

A state is one vector of float64: h of every layer, lowest first, and then whatever else the cell carries, likewise: of
an LSTM c of every layer. A copy of the weights is what is mapped with; the module itself is never run here. The
Jacobian of an LSTM and of a plain network is in closed form, that of other cells by automatic differentiation of their
step.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lstm_probe.cells.declared import Cell, Named, unseen
from lstm_probe.cells.known import cell_of
from lstm_probe.cells.lstm import LSTM
from lstm_probe.core.errors import NothingThereError
from lstm_probe.core.vocabulary import FUSED_RNNS
from lstm_probe.recorder.kernel import Recordable
from lstm_probe.recorder.weights import Weights


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
        layers: from the lowest; of an LSTM or a plain network.
        named: all weights of each layer, by name.
        gated: whether it is an LSTM, with a memory c.
        places: where each layer's h, and what else is carried, stands in a state, by name.
        shown, held: those of h, and of c.
        folds: whether each c is heard by what is carried through its own unit's h and c alone.
        bounded: whether it is known that no state grows without bound.
        most: how large no number of h is where the state stands still; inf where that is not known.
        unit: the least that distances between states are relative to.
    """

    def __init__(self, module: Recordable) -> None:
        if getattr(module, "bidirectional", False):
            raise NothingThereError(
                "fixed points: the layer is bidirectional: it reads from both ends, so that no state follows from the "
                "one before alone"
            )
        self.unit = 1.0
        self.cell = cell_of(module)
        self.gated, self.relu = self.cell == LSTM, FUSED_RNNS.get(self.cell.name) == "relu"
        self.closed = self.gated or self.cell.name in FUSED_RNNS
        every = [Weights.of(module, k).to(torch.float64).cpu().named for k in range(getattr(module, "num_layers", 1))]
        self.named = [{name: values.clone() for name, values in own.items()} for own in every]
        self.layers = [_layer(own) for own in self.named] if self.closed else []
        self.folds = self.gated and len(self.layers) == 1 and self.layers[0].w_hr is None
        self.features, self.units = module.input_size, module.hidden_size
        wide = {name: [own["weight_hh"].shape[1] if name == "h" else self.units for own in self.named]
                for name in self.cell.state}  # fmt: skip
        self.size = 0
        self.places: dict[str, list[slice]] = {name: [] for name in self.cell.state}
        for name, widths in wide.items():
            for own in widths:
                self.places[name].append(slice(self.size, self.size + own))
                self.size += own
        self.shown, self.held = self.places["h"], self.places.get("c", [])
        limit = _limit(self.cell)
        self.bounded, self.most = self.gated or limit is not None, math.inf if limit is None else limit

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

    def folded(
        self, state: Float[Tensor, "n size"], x: Float[Tensor, "*one feature"]
    ) -> tuple[Float[Tensor, "n size"], Float[Tensor, "n size unit"], Float[Tensor, "n size"]]:
        """Return the next states, their derivative by each h, and that of each unit's h and c by its own c: `folds`."""
        h, c = state[:, self.shown[0]], state[:, self.held[0]]
        layer = self.layers[0]
        made = _Gates(x @ layer.w_ih.T + h @ layer.w_hh.T + layer.bias, c)
        own = made.memory_slope(layer.w_hh)
        by_h = torch.cat([made.shown_slope(own, layer.w_hh), own], dim=1)
        return torch.cat([made.shown, made.memory], dim=1), by_h, torch.cat([made.rises * made.f, made.f], dim=1)

    def _go(self, state: Tensor, x: Tensor, derive: bool) -> tuple[Tensor, Tensor]:
        return self._closed(state, x, derive) if self.closed else self._by_steps(state, x, derive)

    def _by_steps(self, state: Tensor, x: Tensor, derive: bool) -> tuple[Tensor, Tensor]:
        with torch.enable_grad() if derive else torch.no_grad():
            before = state.detach().requires_grad_(derive)
            after = self._stepped(before, x.expand(len(state), -1))
            if not derive or not len(state):
                return after.detach(), state.new_zeros(len(state), self.size if derive else 0, self.size)
            each = torch.eye(self.size, dtype=state.dtype).unsqueeze(1).expand(-1, len(state), -1)
            (whole,) = torch.autograd.grad(after, before, each, is_grads_batched=True)
        return after.detach(), whole.transpose(0, 1)

    def _stepped(self, state: Tensor, x: Tensor) -> Tensor:
        made: dict[str, list[Tensor]] = {name: [] for name in self.places}
        for k, named in enumerate(self.named):
            own = {name: state[:, places[k]] for name, places in self.places.items()}
            after = self.cell.step(named, self.cell.reads(named, x), own, unseen)
            for name, values in made.items():
                values.append(after[name])
            x = after["h"]
        return torch.cat([one for values in made.values() for one in values], dim=1)

    def _closed(self, state: Tensor, x: Tensor, derive: bool) -> tuple[Tensor, Tensor]:
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
        made, w_hr = _Gates(pre, state[:, self.held[k]]), self.layers[k].w_hr
        after[:, self.held[k]] = made.memory
        h = made.shown if w_hr is None else made.shown @ w_hr.T
        if not derive:
            return h, None
        own = made.memory_slope(slope)
        own[:, :, self.held[k]] += torch.diag_embed(made.f)
        whole[:, self.held[k]] = own
        shown = made.shown_slope(own, slope)
        return h, shown if w_hr is None else w_hr @ shown


class _Gates:
    """What one layer of an LSTM makes of its pre-activations and the c before them.

    Attributes:
        i, f, g, o: its gates and cell input.
        c, memory: before, and after.
        seen, shown: tanh of that, and what is shown of it.
    """

    def __init__(self, pre: Float[Tensor, "n row"], c: Float[Tensor, "n unit"]) -> None:
        i, f, g, o = pre.chunk(4, dim=1)
        self.i, self.f, self.g, self.o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        self.c, self.memory = c, self.f * c + self.i * self.g
        self.seen = self.memory.tanh()
        self.shown = self.o * self.seen

    @property
    def rises(self) -> Float[Tensor, "n unit"]:
        """The derivative of what is shown by the memory after."""
        return self.o * (1 - self.seen.square())

    def memory_slope(self, slope: Float[Tensor, "*one row size"]) -> Float[Tensor, "n unit size"]:
        """Return the derivative of the memory, with c as it is, from that of the pre-activations."""
        by_i, by_f, by_g, _ = slope.chunk(4, dim=-2)
        i, f, g = self.i, self.f, self.g
        return _rows(g * i * (1 - i)) * by_i + _rows(self.c * f * (1 - f)) * by_f + _rows(i * (1 - g.square())) * by_g

    def shown_slope(self, own: Float[Tensor, "n unit size"], slope: Float[Tensor, "*one row size"]) -> Tensor:
        """Return the derivative of what is shown, from those of the memory and of the pre-activations."""
        o, by_o = self.o, slope.chunk(4, dim=-2)[3]
        return _rows(self.rises) * own + _rows(self.seen * o * (1 - o)) * by_o


def _rows(values: Float[Tensor, "n unit"]) -> Float[Tensor, "n unit 1"]:
    return values.unsqueeze(-1)


def _limit(cell: Cell) -> float | None:
    """Return within what h stays where it is all that is carried: by its range, or as a mean of what has one.

    Of a GRU that says which points are none: far outside, where its gate is 1 but for rounding.
    """
    gates = all((one.low, one.high) == (0, 1) for one in cell.variables if one.kind == "gate")
    made = cell.variable("n" if cell.name.split("+")[0] == "gru" and gates else "h")
    return None if cell.state != ("h",) or made.low is None or made.high is None else max(-made.low, made.high)


def _layer(own: Named) -> Layer:
    bias = own["weight_hh"].new_zeros(len(own["weight_hh"]))
    for name in ("bias_ih", "bias_hh"):
        bias = bias + own.get(name, 0.0)
    return Layer(own["weight_ih"], own["weight_hh"], bias, own.get("weight_hr"))
