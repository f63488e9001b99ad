"""How long a unit's memory is held and who reads it: its value of one step is that of another sequence, once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lstm_probe.causal.editing import Editing
from lstm_probe.causal.moment import Moment
from lstm_probe.cells.lstm import LSTM
from lstm_probe.core.order import UnitKey
from lstm_probe.dynamics.keeping import readers_of
from lstm_probe.recorder.data import Recording

Part = tuple[int, str]


@dataclass(eq=False)
class Exchanging:
    """A model on a batch in which one unit at a time holds another sequence's memory for a step.

    Attributes:
        editing: the model.
        rec: all of its variables, on the CPU.
        steps: at which values are exchanged.
        after: how many steps later they are looked at.
        donors: by step, whose value each sequence gets; -1 where it has no such step.
    """

    editing: Editing
    rec: Recording
    steps: Sequence[int]
    after: Sequence[int]
    donors: Mapping[int, Int[Tensor, " sequence"]]

    @cached_property
    def readers(self) -> tuple[str, ...]:
        """Which variables can read: of an LSTM i f g o and c."""
        return readers_of(self.rec.config.cell)

    @cached_property
    def read(self) -> dict[Part, Float[Tensor, "sequence time unit reader"]]:
        """What they are, by part."""
        return {key: torch.stack([part[name] for name in self.readers], dim=-1)
                for key, part in self.rec.parts.items()}  # fmt: skip

    @cached_property
    def spreads(self) -> dict[Part, Float[Tensor, "unit reader"]]:
        """The standard deviation of each of them over real steps."""
        return {key: values[self.rec.mask].double().std(0, correction=0) for key, values in self.read.items()}

    def patched(self, key: UnitKey) -> list["Patched"]:
        """Return what follows when a unit's memory is exchanged, one entry for each step."""
        return [self._at(key, step) for step in self.steps]

    def _at(self, key: UnitKey, step: int) -> "Patched":
        layer, direction, unit = key
        sign = 1 if direction == "forward" else -1
        lags = {step + sign * lag: lag for lag in {1, *self.after} if 0 <= step + sign * lag < self.rec.mask.shape[1]}
        donor, own = self.donors[step], self.rec.parts[layer, direction][self.rec.config.cell.memory]
        n = len(donor)
        nan = own.new_full((n,), torch.nan, dtype=torch.float64)
        found = Patched(sign, step, donor >= 0, nan.clone(), nan.clone(), {}, {}, own.new_empty(0))

        def seen(at: Moment, values: Tensor) -> Tensor:  # a module may run on behind a sequence's end
            real = self.rec.mask[at.sequences, at.step]
            return torch.where(real.reshape(-1, *[1] * (values.dim() - 1)), values.double(), torch.nan)

        def read(at: Moment) -> None:
            nothing = own.new_full((n, at.memory.shape[-1], len(self.readers)), torch.nan, dtype=torch.float64)
            before = self.read[at.layer, at.direction][:, at.step]
            values = found.read.setdefault((at.layer, at.direction), nothing)
            values[at.sequences] = seen(at, self._variables(at) - before[at.sequences])

        def edit(there: Moment) -> tuple[Tensor, ...]:
            return tuple(values.to(there.h) for values in changed(there.cpu()))

        def changed(at: Moment) -> tuple[Tensor, ...]:
            if (at.layer, at.direction) != (layer, direction):
                if at.layer == layer + 1 and at.step == step:
                    read(at)
                return at.same
            if at.step == step:
                with_donor = donor[at.sequences] >= 0
                value = torch.where(with_donor, own[donor[at.sequences], step, unit], at.memory[:, unit])
                memory = at.memory.clone()
                memory[:, unit] = value
                found.change[at.sequences] = (value - own[at.sequences, step, unit]).double()
                shown = at.unit_shown(memory) - at.unit_shown(at.memory)
                found.shown[at.sequences] = shown[:, unit].double()
                return at.with_memory(memory)
            if at.step == step + sign:
                read(at)
            left = found.left.setdefault(lags[at.step], nan.clone())  # sequences of other lengths come by themselves
            left[at.sequences] = seen(at, at.memory[:, unit] - own[at.sequences, at.step, unit])
            return at.same

        until = max(lags, default=step) + 1 if sign > 0 else None
        outcome = self.editing.outputs(edit, sorted({step, *lags}), until=until)
        found.outputs = (outcome.outputs - self.editing.intact.outputs)[:, step].cpu().double()
        return found

    def _variables(self, at: Moment) -> Float[Tensor, "row unit reader"]:
        """Return what the readers are in a step, and the memory after it."""
        if at.cell != LSTM:
            return torch.stack([at.variables[name] for name in self.readers], dim=-1)
        bias = sum(at.named[name] for name in ("bias_ih", "bias_hh") if name in at.named)
        pre = at.x @ at.named["weight_ih"].T + at.before["h"] @ at.named["weight_hh"].T + bias
        i, f, g, o = pre.chunk(4, -1)
        return torch.stack([i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid(), at.memory], dim=-1)


@dataclass(eq=False)
class Patched:
    """What followed when one unit's memory was exchanged after one step.

    Attributes:
        sign: 1 where later steps come after, -1 where they come before.
        step: which one.
        there: which sequences got a value.
        change: of the memory, there.
        shown: of what the unit shows, at the same step.
        left: by steps later, what is left of the change.
        read: by part, the change of the readers: at the same step a layer above, else a step later.
        outputs: the change of the model's outputs at the same step.
    """

    sign: int
    step: int
    there: Bool[Tensor, " sequence"]
    change: Float[Tensor, " sequence"]
    shown: Float[Tensor, " sequence"]
    left: dict[int, Float[Tensor, " sequence"]]
    read: dict[Part, Float[Tensor, "sequence unit reader"]]
    outputs: Tensor


def undisturbed_for(
    writes: Bool[Tensor, "sequence time"], one: Patched, lag: int
) -> Bool[Tensor, " sequence"]:  # fmt: skip
    """Return in which sequences no event that writes comes in the steps after an exchange, up to a lag."""
    first, last = sorted((one.step + one.sign, one.step + one.sign * lag))
    return ~writes[:, first : last + 1].any(1)
