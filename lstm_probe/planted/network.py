"""A hand-built network, and the truth of it."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from lstm_probe.core.errors import InputError
from lstm_probe.core.seeding import generator
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.network.model import SequenceModel
from lstm_probe.planted.carried import carried
from lstm_probe.planted.circuit import Circuit, Held, circuit_of
from lstm_probe.planted.knobs import Knob, Signals, Targets
from lstm_probe.planted.place import Layer, StartingModel, place
from lstm_probe.planted.truth import Truth, brute_force
from lstm_probe.planted.wiring import Component
from lstm_probe.tasks.steps import step_signal

#: Of `Planted.held`, with their types.
HELD_COLUMNS = {"layer": int, "unit": int, "name": object, "role": object, "signal": object, "factor": float,
                "when": object, "value": float, "hears": object}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Planted:
    """A hand-built network, and the truth of it.

    Attributes:
        model: its outputs are those of the components, one after the other, as the knobs left them.
        components: what was planted.
        where: by signal: the unit whose c holds it, of the first layer.
        factors: by the same names: c of that unit is factor · signal at every step of every sequence.
        input_names: the components' lines, one component after the other; then the noise line, if any.
        knobs: what was done to it.
        targets: what its outputs are.
        held: a row for each planted unit and each signal that it holds: layer, unit, name, role, signal, factor, when,
            value, hears. The role is "holder", "copy", "decoy" (a copy that nobody reads), "shut", "reader",
            "constant", "mixture" or "relay"; signal is None for a unit that holds none. c is the sum of factor · signal
            of its rows, at all steps where `when` is None, and else where that signal has that value. A reader or
            relay `hears` of signals that others hold.
        before: inputs that every sequence goes on from, (time, line); None where it begins with nothing.
        listening: whether the units that are not in `held` may hear those that are.
    """

    model: SequenceModel
    components: tuple[Component, ...]
    where: Mapping[str, int]
    factors: Mapping[str, float]
    input_names: tuple[str, ...]
    knobs: tuple[Knob, ...]
    targets: tuple[Target, ...]
    held: pd.DataFrame
    before: Tensor | None = None
    listening: bool = False

    def sample(self, n: int, length: int = 50, seed: int = 0) -> Batch:
        """Return `n` random sequences of `length` steps with everything known about them."""
        given = {"n": n, "length": length}
        problems = [f"{k}={v}: must be a whole number from 1." for k, v in given.items() if not _whole(v, 1)]
        if problems:
            raise InputError(*problems)
        drawn: dict[str, Tensor] = {}
        for part in self.components:
            rows = part.draw(n, length, generator(seed, "planted", part.name)).unbind(-1)
            drawn = dict(zip(part.lines, rows)) | drawn  # a line that two share is the first one's
        noise = torch.randn(n, length, generator=generator(seed, "planted noise"))
        return self.batch(torch.stack([drawn.get(name, noise) for name in self.input_names], dim=-1))

    def batch(self, inputs: Float[Tensor, "sequence time feature"]) -> Batch:
        """Return these inputs, float32, with everything known about them.

        Args:
            inputs: 0 or 1 on the components' lines, but for those that take any number; anything on the noise line.

        Raises:
            InputError: another number of lines, another value, or a string that is not in the language.
        """
        width = len(self.input_names)
        if inputs.dim() != 3 or inputs.shape[-1] != width:
            raise InputError(f"inputs: shape {tuple(inputs.shape)}; must be (sequence, time, {width}): "
                             f"{', '.join(self.input_names)}")  # fmt: skip
        real = {line for part in self.components for line in part.real} | {"noise"}
        events = [k for k, name in enumerate(self.input_names) if name not in real]
        if not ((inputs[..., events] == 0) | (inputs[..., events] == 1)).all():
            raise InputError(f"inputs: must be 0 or 1 on the lines {', '.join(self.input_names[k] for k in events)}")
        n, time, _ = inputs.shape
        targets, signals = self._truth(inputs)
        signals["step"] = step_signal(n, time)
        values = {target.name: targets[target.name] for target in self.targets}
        return Batch(inputs, values, self.targets, torch.full((n,), time), signals)

    def truth(self, *, sequences: int = 32, length: int = 24, largest: int = 3, seed: int = 0) -> Truth:
        """Return which units its outputs need, by brute force: every set of a few units clamped, and swapped.

        Args:
            sequences, length: that this is measured on.
            largest: how many units a set has at most; 3 are 697 sets of 16 units, and some seconds.
            seed: of the sequences, and of who is swapped with whom.

        Raises:
            InputError: there are too many such sets.

        >>> import lstm_probe as lp
        >>> net = lp.planted.compile([lp.planted.Latch()], knobs=[lp.planted.Redundant(form="or")], seed=1)
        >>> truth = net.truth()
        >>> names = dict(zip(net.held.unit, net.held.name))
        >>> [sorted(names[unit] for _, unit in own) for own in truth.necessary("latch")]
        [['latch.reader'], ['latch', 'latch.copy']]
        >>> sorted(zip(truth.labels.unit.map(names), truth.labels.label))
        [('latch', 'redundant'), ('latch.copy', 'redundant'), ('latch.reader', 'alone')]
        """
        return brute_force(self.model, self.sample(sequences, length, seed), largest=largest, seed=seed)

    def carried(self, batch: Batch, truth: Truth | None = None) -> pd.DataFrame:
        """Return which unit carries which signal: layer, unit, signal, share, r2, moves, label, a row for each pair.

        `share` is of the variance of c, as planted: 1 for a signal that is held alone, less in a mixture, 0 for one
        that is not held. `r2` is c's squared correlation with the signal, at the steps at which it is held. `moves` is
        whether any output changes when the unit's states are swapped, alone or with up to two others; None if unclear.

        The label is "carries" for what is held, and outputs follow its swaps; "unread decoy" for what is held, moves
        nothing and is not needed; "echoes" for a signal that others hold and a unit hears that holds nothing and moves
        nothing; "hears" for a reader or relay, which shows what another unit held and keeps nothing: there neither yes
        nor no is right; "none" for the rest; "unclear" where a mixture's share, or what a swap moves, is below 0.05 and
        not 0, where a clamp costs and no swap moves anything, where what was planted is spoilt (an r2 below 0.5),
        or where a reader shows a part of a signal that is made of what it hears (an r2 from 0.05).

        Args:
            batch: sequences of one length, with signals.
            truth: of this network; None to compute it.

        >>> import lstm_probe as lp
        >>> net = lp.planted.compile([lp.planted.Latch()], knobs=[lp.planted.Decoy()], seed=1)
        >>> table = net.carried(net.sample(32, 24))
        >>> dict(zip(net.held.name, table.set_index("unit").label[net.held.unit]))
        {'latch': 'carries', 'latch.decoy': 'unread decoy'}
        """
        return carried(self.model, batch, truth or self.truth(), self.held, listening=self.listening)

    def _truth(self, inputs: Float[Tensor, "sequence time feature"]) -> tuple[Targets, Signals]:
        """Return what the outputs must be, and all signals."""
        skipped = 0
        if self.before is not None:
            skipped = len(self.before)
            inputs = torch.cat([self.before.to(inputs).expand(len(inputs), -1, -1), inputs], dim=1)
        targets: Targets = {}
        signals: Signals = {}
        for part in self.components:
            own = inputs[..., [self.input_names.index(line) for line in part.lines]]
            targets[part.name], found = part.truth(own)
            signals |= found
        for knob in self.knobs:
            knob.truth(targets, signals)
        return ({name: values[:, skipped:] for name, values in targets.items()},
                {name: replace(own, values=own.values[:, skipped:]) for name, own in signals.items()})  # fmt: skip


def compile(
    components: Sequence[Component], *, knobs: Sequence[Knob] = (), units: int | None = None, listening: bool = False,
    layers: int = 1, projection: int = 0, before: Any = None, seed: int = 0,
) -> Planted:  # fmt: skip
    """Return a network in which these components work side by side, its units in random order.

    The components' units listen to nothing but their own lines and each other, unless a knob says so, and the readout
    reads them alone. So the other units change nothing, whatever they do.

    Args:
        components: with different names; lines of the same name are one line.
        knobs: what makes it hard to read, one after the other.
        units: of each layer; None for as many as are planted. Further ones have PyTorch's random initial weights, and
            there is one more input line then, of noise.
        listening: whether those hear everything, as in a trained network, and so echo what was planted, in
            mixtures that a probe may rightly find. If not, they hear the noise and each other alone, and the planted
            units are the only ones that carry any information.
        layers: all is planted in the first; in those above a relay for each unit that is read hands on what it shows.
        projection: length of h, shorter than the units' number and no shorter than that of the planted ones; 0 for
            none. What the units show is mixed by a random rotation, so that no entry of h is one unit's.
        before: inputs, (time, line), that every sequence goes on from: the state that they lead to is the initial one.
        seed: of the random weights and of the units' order.

    Raises:
        InputError: no components, two of one name, a knob that does not fit, or a number out of its range.

    >>> import lstm_probe as lp
    >>> net = lp.planted.compile([lp.planted.Latch()], knobs=[lp.planted.Redundant(form="or")], units=6, seed=1)
    >>> net.held[["name", "role", "signal"]].values.tolist()
    [['latch', 'holder', 'latch'], ['latch.copy', 'copy', 'latch'], ['latch.reader', 'reader', None]]
    >>> batch = net.sample(64, length=40)
    >>> batch.scores(net.model(batch.inputs).detach())
    {'latch': 1.0}
    """
    problems = _problems(components, knobs)
    counts = {"units": (units, 1), "layers": (layers, 1), "projection": (projection, 0)}
    problems += [f"{name}={value}: must be a whole number from {low}."
                 for name, (value, low) in counts.items() if value is not None and not _whole(value, low)]  # fmt: skip
    if problems:
        raise InputError(*problems)
    circuit = circuit_of(components)
    for knob in knobs:
        knob.wire(circuit)
    planted = len(circuit.units)
    units = planted if units is None else units
    if units < planted:
        problems.append(f"units={units}: {planted} are planted: {', '.join(circuit.units)}")
    if projection and not planted <= projection < max(units, planted):
        problems.append(f"projection={projection}: must be from {planted}, which are planted, to below units={units}")
    if problems:
        raise InputError(*problems)
    names = (*circuit.lines, *(["noise"] if units > planted else []))
    began = _began(before, names)
    kind = SequenceModel if began is None else StartingModel
    model, made = place(circuit, units, layers=layers, projection=projection, listening=listening, seed=seed,
                        model_class=kind)  # fmt: skip
    if isinstance(model, StartingModel) and began is not None:
        model.begin(began)
    held = _held(circuit, made)
    alone = held[(held["role"] == "holder") & held["when"].isna()]
    where = dict(zip(alone["signal"], alone["unit"].tolist()))
    return Planted(model, tuple(components), where, dict(zip(alone["signal"], alone["factor"])), names, tuple(knobs),
                   tuple(circuit.targets.values()), held, began, listening)  # fmt: skip


def combine(
    components: Sequence[Component], random_units: int = 0, *, listening: bool = False, seed: int = 0
) -> Planted:
    """Return a network of one layer in which these components work side by side; see `compile`.

    Args:
        components: with different names.
        random_units: how many units there are beside the planted ones.
        listening, seed: as of `compile`.

    Raises:
        InputError: as of `compile`.
    """
    problems = _problems(components, ())
    if not _whole(random_units, 0):
        problems.append(f"random_units={random_units}: must be a whole number from 0.")
    if problems:
        raise InputError(*problems)
    units = sum(len(part.memories) for part in components) + random_units
    return compile(components, units=units, listening=listening, seed=seed)


def _problems(components: Iterable[Any], knobs: Iterable[Any]) -> list[str]:
    components = list(components)
    names = [getattr(part, "name", None) for part in components]
    problems = [f"components: {part!r} is no component, such as lstm_probe.planted.Latch()"
                for part in components if not isinstance(part, Component)]  # fmt: skip
    problems += [f"components: {name} appears twice; give one of them another name"
                 for name in dict.fromkeys(names) if name is not None and names.count(name) > 1]  # fmt: skip
    problems += [f"knobs: {knob!r} is no knob, such as lstm_probe.planted.Decoy()"
                 for knob in knobs if not isinstance(knob, Knob)]  # fmt: skip
    if "step" in names:
        problems.append("components: step is the signal of the position; give the component another name")
    if not components:
        problems.append("components: there are none; give one or more")
    return problems


def _began(before: Any, names: Sequence[str]) -> Float[Tensor, "time line"] | None:
    if before is None:
        return None
    given = torch.as_tensor(before, dtype=torch.float32)
    if given.dim() != 2 or given.shape[1] != len(names) or not len(given):
        raise InputError(f"before: shape {tuple(given.shape)}; must be (time, {len(names)}): {', '.join(names)}")
    return given


def _held(circuit: Circuit, layers: Sequence[Layer]) -> pd.DataFrame:
    """Return what each planted unit is there for, and what it holds."""
    rows: list[dict[str, Any]] = []
    for k, layer in enumerate(layers):
        for name, at in zip(layer.names, layer.own.tolist()):
            unit = circuit.units[name]
            about = {"layer": k, "unit": at, "name": name, "role": "relay" if k else unit.role}
            holds = () if k else unit.holds
            told = circuit.told(name) if not unit.holds else tuple(held.signal for held in unit.holds if k)
            rows += [about | asdict(held) | {"hears": told} for held in holds or [Held(None, math.nan)]]
    return pd.DataFrame({key: pd.Series([row[key] for row in rows], dtype=kind)
                         for key, kind in HELD_COLUMNS.items()})  # fmt: skip


def _whole(value: Any, low: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= low
