"""A circuit put into an LSTM: its units at random places, other units between them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lstm_probe.core.seeding import derive_seed, generator
from lstm_probe.network.model import SequenceModel
from lstm_probe.planted.circuit import GATES, Circuit, Sum, Unit, weights_of
from lstm_probe.planted.rotation import rotation
from lstm_probe.planted.wiring import SATURATED


class StartingModel(SequenceModel):
    """A SequenceModel whose state before the first step is its own, and not 0.

    Attributes:
        h, c: that state, (layer, 1, unit) each.
    """

    h: Tensor
    c: Tensor

    def forward(self, inputs: Float[Tensor, "sequence time feature"]) -> Float[Tensor, "sequence time output"]:
        """Return the outputs at every step."""
        return self.advance(inputs)[0]

    def advance(
        self, inputs: Float[Tensor, "sequence time feature"], state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Float[Tensor, "sequence time output"], tuple[Tensor, Tensor]]:
        """Return the outputs at every step, and the state after the last; as a SequenceModel's."""
        if state is None:
            h, c = (own.expand(-1, len(inputs), -1).contiguous() for own in (self.h, self.c))
            state = h, c
        return super().advance(inputs, state)

    @torch.no_grad()
    def begin(self, before: Float[Tensor, "time feature"]) -> None:
        """Begin every sequence in the state that these inputs lead to from 0."""
        h, c = self.lstm(before.unsqueeze(0))[1]
        for name, own in (("h", h), ("c", c)):
            self.register_buffer(name, own.clone())


@dataclass(frozen=True)
class Layer:
    """One layer of the network: the weights of its planted units, and where they stand.

    Attributes:
        names: of the planted units.
        places: theirs, then those of the others.
        basis: what h is a mixture of, where there is a projection: its first columns are the planted units'.
    """

    names: list[str]
    places: Int[Tensor, " unit"]
    basis: Float[Tensor, "shown shown"] | None

    @property
    def own(self) -> Int[Tensor, " planted"]:
        """Return the places of the planted units."""
        return self.places[: len(self.names)]

    @property
    def rest(self) -> Int[Tensor, " other"]:
        """Return the places of the others."""
        return self.places[len(self.names) :]

    def heard(self, weights: Float[Tensor, "row planted"], width: int) -> Float[Tensor, "row shown"]:
        """Return weights of the planted units' h as weights of the layer's outputs, which are `width` many."""
        if self.basis is not None:
            return weights @ self.basis[:, : weights.shape[1]].T
        made = torch.zeros(len(weights), width, dtype=weights.dtype)
        made[:, self.own] = weights
        return made

    def deaf(self, weights: Float[Tensor, "row shown"]) -> Float[Tensor, "row shown"]:
        """Return weights of the layer's outputs that hear nothing of the planted units."""
        if self.basis is None:
            made = weights.clone()
            made[:, self.own] = 0
            return made
        planted = self.basis[:, : len(self.names)]
        return weights - (weights.double() @ planted @ planted.T).to(weights.dtype)


def place(
    circuit: Circuit, units: int, *, layers: int = 1, projection: int = 0, listening: bool = False, seed: int = 0,
    model_class: type[SequenceModel] = SequenceModel,
) -> tuple[SequenceModel, list[Layer]]:  # fmt: skip
    """Return a network that does what the circuit says, and where in it.

    Args:
        circuit: what is planted in the first layer; those above hand on what is read.
        units: of each layer, at least as many as are planted; others have PyTorch's random initial weights.
        layers: how many.
        projection: length of h, at least as many as are planted; 0 for none. What the units show is mixed by a random
            rotation then.
        listening: whether the others hear everything; if not, they hear the noise line and each other.
        seed: of the random weights and of the places.
        model_class: of the network.
    """
    noisy = units > len(circuit.units)
    lines = [*circuit.lines, *(["noise"] if noisy else [])]
    outputs = [own for rows in circuit.outputs.values() for own in rows]
    weights = derive_seed(seed, "planted", "weights")
    model = model_class(len(lines), len(outputs), units, layers, projection, seed=weights)
    made: list[Layer] = []
    planted = dict(circuit.units)
    with torch.no_grad():
        for k in range(layers):
            rng = generator(seed, "planted", "order", *([k] if k else []))
            basis = rotation(projection, derive_seed(seed, "planted", "basis", k)) if projection else None
            layer = Layer(list(planted), torch.randperm(units, generator=rng), basis)
            _plant(model, k, layer, list(planted.values()), lines if not k else made[-1], listening)
            made.append(layer)
            if k + 1 < layers:
                read = [name for name in planted if any(name in own.h for own in outputs)]
                above = {name: relay(name, planted[name]) for name in read}
                outputs = [handed_on(own, planted, above) for own in outputs]
                planted = above
        top = made[-1]
        model.readout.weight.copy_(top.heard(weights_of(outputs, top.names, "h"), model.readout.in_features))
        model.readout.bias.copy_(torch.tensor([own.bias for own in outputs]))
    return model, made


def relay(name: str, below: Unit) -> Unit:
    """Return a unit that shows what one in the layer below shows, and keeps nothing; it bends a 1."""
    gates = {letter: Sum(-SATURATED if letter == "f" else SATURATED) for letter in "ifo"}
    return Unit(gates | {"g": Sum(x={name: 1.0})}, role="relay", one=math.tanh(math.tanh(below.one)))


def handed_on(own: Sum, below: dict[str, Unit], above: dict[str, Unit]) -> Sum:
    """Return an output's sum of units that are read through a relay each."""
    heard = {name: weight * (below[name].one / above[name].one if below[name].one else 1.0)
             for name, weight in own.h.items()}  # fmt: skip
    return Sum(own.bias, dict(own.x), heard)


def _plant(
    model: SequenceModel, k: int, layer: Layer, units: Sequence[Unit], below: "list[str] | Layer", listening: bool
) -> None:
    """Write the weights of a layer: of its planted units, and of what the others may hear."""
    weights = dict(model.lstm.named_parameters())
    many = model.lstm.hidden_size
    x, h = weights[f"weight_ih_l{k}"].view(4, many, -1), weights[f"weight_hh_l{k}"].view(4, many, -1)
    bias, other_bias = weights[f"bias_ih_l{k}"].view(4, many), weights[f"bias_hh_l{k}"].view(4, many)
    lines = below if isinstance(below, list) else below.names
    own, rest = layer.own, layer.rest
    other_bias[:, own] = 0
    for g, letter in enumerate(GATES):
        sums = [unit.gates[letter] for unit in units]
        from_below = weights_of(sums, lines, "x")
        x[g, own] = (from_below if isinstance(below, list) else below.heard(from_below, x.shape[-1])).float()
        h[g, own] = layer.heard(weights_of(sums, layer.names, "h"), h.shape[-1]).float()
        bias[g, own] = torch.tensor([each.bias for each in sums])
        if not listening:
            if isinstance(below, list):
                x[g, rest, : len(lines) - (lines[-1:] == ["noise"])] = 0
            else:
                x[g, rest] = below.deaf(x[g, rest])
            h[g, rest] = layer.deaf(h[g, rest])
    if layer.basis is not None:
        shown = weights[f"weight_hr_l{k}"]
        shown[:, own] = layer.basis[:, : len(own)].float()
        # What the others show lies beside what the planted ones do.
        shown[:, rest] = layer.deaf(shown[:, rest].T).T
