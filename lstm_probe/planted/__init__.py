"""Hand-built LSTMs: what every unit remembers is known without training, to test probes with.

>>> import lstm_probe as lp
>>> parts = [lp.planted.Counter(), lp.planted.Latch(), lp.planted.Parity()]
>>> net = lp.planted.combine(parts, random_units=5, seed=0)
>>> batch = net.sample(64, length=40, seed=1)
>>> rec = lp.record(net.model, batch.inputs)
>>> bool((rec.c[..., net.where["parity"]] == batch.signals["parity"].values).all())
True
>>> scores = lp.probe_units(rec, batch.signals, variables=["c"], permutations=199, bootstrap=2)
>>> dict(zip(scores[scores.tracks].signal, scores[scores.tracks].unit)) == net.where
True
>>> effect = lp.ablate_units(net.model, batch)
>>> needed = effect[effect.needed == "alone"]
>>> dict(zip(needed.target, needed.unit)) == net.where
True
>>> lp.planted.dyck(8, 5).model.lstm.hidden_size
40
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lstm_probe.core.errors import InputError
from lstm_probe.core.kinds import Signal
from lstm_probe.core.seeding import derive_seed, generator
from lstm_probe.core.signal import Batch
from lstm_probe.network.model import SequenceModel
from lstm_probe.planted.dyck import Dyck
from lstm_probe.planted.rotation import rotate, rotation
from lstm_probe.planted.units import Counter, Latch, Parity
from lstm_probe.planted.wiring import Component
from lstm_probe.tasks.steps import step_signal

__all__ = [
    "Component", "Counter", "Dyck", "Latch", "Parity", "Planted", "combine", "counter", "dyck", "latch",
    "parity", "rotate", "rotation",
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class Planted:
    """A hand-built network, and the truth of it.

    Attributes:
        model: its outputs are those of the components, one after the other.
        components: what was planted.
        where: by signal: the unit whose c holds it.
        factors: by the same names: c of that unit is factor · signal at every step of every sequence.
        input_names: the components' lines, one component after the other; then the noise line, if any.
    """

    model: SequenceModel
    components: tuple[Component, ...]
    where: Mapping[str, int]
    factors: Mapping[str, float]
    input_names: tuple[str, ...]

    def sample(self, n: int, length: int = 50, seed: int = 0) -> Batch:
        """Return `n` random sequences of `length` steps with everything known about them."""
        given = {"n": n, "length": length}
        problems = [f"{k}={v}: must be a whole number from 1." for k, v in given.items() if not _whole(v, 1)]
        if problems:
            raise InputError(*problems)
        drawn = [part.draw(n, length, generator(seed, "planted", part.name)) for part in self.components]
        lines = sum(part.shape[-1] for part in drawn)
        rng = generator(seed, "planted noise")
        noise = torch.randn(n, length, len(self.input_names) - lines, generator=rng)
        return self.batch(torch.cat([*drawn, noise], dim=-1))

    def batch(self, inputs: Float[Tensor, "sequence time feature"]) -> Batch:
        """Return these inputs, float32, with everything known about them.

        Args:
            inputs: 0 or 1 on the components' lines, anything on the noise line.

        Raises:
            InputError: another number of lines, another value, or a string that is not in the language.
        """
        width = len(self.input_names)
        if inputs.dim() != 3 or inputs.shape[-1] != width:
            raise InputError(f"inputs: shape {tuple(inputs.shape)}; must be (sequence, time, {width}): "
                             f"{', '.join(self.input_names)}")  # fmt: skip
        lines = sum(len(part.lines) for part in self.components)
        if not ((inputs[..., :lines] == 0) | (inputs[..., :lines] == 1)).all():
            raise InputError(f"inputs: must be 0 or 1 on the lines {', '.join(self.input_names[:lines])}")
        n, time, _ = inputs.shape
        targets: dict[str, Tensor] = {}
        signals: dict[str, Signal] = {}
        start = 0
        for part in self.components:
            targets[part.name], own = part.truth(inputs[..., start : start + len(part.lines)])
            signals.update(own)
            start += len(part.lines)
        signals["step"] = step_signal(n, time)
        specs = tuple(part.target for part in self.components)
        return Batch(inputs, targets, specs, torch.full((n,), time), signals)


def combine(
    components: Sequence[Component], random_units: int = 0, *, listening: bool = False, seed: int = 0
) -> Planted:
    """Return a network of one layer in which these components work side by side, its units in random order.

    The components' units listen to nothing but their own lines and each other, and the readout reads them
    alone. So random units change nothing, whatever they do.

    Args:
        components: with different names.
        random_units: units with PyTorch's random initial weights; with any, there is one more input line, of
            noise.
        listening: whether the random units hear everything, as in a trained network, and so echo what was
            planted, in mixtures that a probe may rightly find. If not, they hear the noise and each other
            alone, and the planted units are the only ones that carry any information.
        seed: of the random weights and of the units' order.

    Raises:
        InputError: no components, two of one name, or a number out of its range.
    """
    names = [getattr(part, "name", None) for part in components]
    problems = [f"components: {part!r} is not a component; there are Counter, Latch, Parity and Dyck"
                for part in components if not isinstance(part, Component)]  # fmt: skip
    problems += [f"components: {name} appears twice; give one of them another name"
                 for name in dict.fromkeys(names) if name is not None and names.count(name) > 1]  # fmt: skip
    if "step" in names:
        problems.append("components: step is the signal of the position; give the component another name")
    if not components:
        problems.append("components: there are none; give one or more")
    if not _whole(random_units, 0):
        problems.append(f"random_units={random_units}: must be a whole number from 0.")
    if problems:
        raise InputError(*problems)
    lines = [line for part in components for line in part.lines] + ["noise"] * (random_units > 0)
    units = sum(len(part.memories) for part in components) + random_units
    outputs = sum(part.target.size for part in components)
    model = SequenceModel(len(lines), outputs, units, seed=derive_seed(seed, "planted", "weights"))
    places = torch.randperm(units, generator=generator(seed, "planted", "order"))
    with torch.no_grad():
        _plant(model, components, places, listening)
    held = [item for part in components for item in part.memories.items()]
    where = {name: place for (name, _), place in zip(held, places.tolist())}
    return Planted(model, tuple(components), where, dict(held), tuple(lines))


def _plant(model: SequenceModel, components: Sequence[Component], places: Tensor, listening: bool) -> None:
    """Write the components' weights into the rows of their units, which are the first of `places`."""
    readout, units = model.readout, len(places)
    weights = dict(model.lstm.named_parameters())
    x, h = weights["weight_ih_l0"].view(4, units, -1), weights["weight_hh_l0"].view(4, units, units)
    bias, other_bias = weights["bias_ih_l0"].view(4, units), weights["bias_hh_l0"].view(4, units)
    readout.weight.zero_()
    planted = places[: sum(len(part.memories) for part in components)]
    x[:, planted], h[:, planted], other_bias[:, planted] = 0, 0, 0
    if not listening:
        x[..., : sum(len(part.lines) for part in components)] = 0
        h[..., planted] = 0
    unit = line = output = 0
    for part in components:
        wiring = part.wiring()
        rows = places[unit : unit + len(part.memories)]
        x[:, rows, line : line + len(part.lines)] = wiring.x
        h[:, rows.unsqueeze(1), rows] = wiring.h
        bias[:, rows] = wiring.bias
        readout.weight[output : output + part.target.size, rows] = wiring.readout
        readout.bias[output : output + part.target.size] = wiring.readout_bias
        unit, line, output = unit + len(rows), line + len(part.lines), output + part.target.size


def _whole(value: Any, low: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= low


def counter(random_units: int = 0, *, listening: bool = False, seed: int = 0, **fields: Any) -> Planted:
    """Return a network with one `Counter(**fields)`; see `combine`."""
    return combine([Counter(**fields)], random_units, listening=listening, seed=seed)


def latch(random_units: int = 0, *, listening: bool = False, seed: int = 0, **fields: Any) -> Planted:
    """Return a network with one `Latch(**fields)`; see `combine`."""
    return combine([Latch(**fields)], random_units, listening=listening, seed=seed)


def parity(random_units: int = 0, *, listening: bool = False, seed: int = 0, **fields: Any) -> Planted:
    """Return a network with one `Parity(**fields)`; see `combine`."""
    return combine([Parity(**fields)], random_units, listening=listening, seed=seed)


def dyck(k: int, m: int, random_units: int = 0, *, listening: bool = False, seed: int = 0) -> Planted:
    """Return a network with one `Dyck(kinds=k, max_depth=m)`; see `combine`."""
    return combine([Dyck(kinds=k, max_depth=m)], random_units, listening=listening, seed=seed)
