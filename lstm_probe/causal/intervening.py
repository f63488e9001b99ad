"""A model on a batch, run again and again with sets of its units clamped at once."""

import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor, nn

from lstm_probe.causal.asked import check_batch, within
from lstm_probe.causal.clamp import Clamp, Window
from lstm_probe.causal.clamping import Calls, clamping, means
from lstm_probe.causal.donors import Trace, tracing
from lstm_probe.causal.running import Outcome, Running, own_kernel
from lstm_probe.cells.declared import Cell
from lstm_probe.cells.known import cell_of
from lstm_probe.cells.lstm import LSTM
from lstm_probe.core.errors import InputError
from lstm_probe.core.groups import drawn_as_one, group_codes
from lstm_probe.core.order import UnitKey
from lstm_probe.core.signal import Batch
from lstm_probe.core.vocabulary import MODES
from lstm_probe.probing.inference.swap import make_donors
from lstm_probe.recorder import Recording, find_lstm, record
from lstm_probe.recorder.kernel import is_stepwise
from lstm_probe.recorder.leaving import undisturbed
from lstm_probe.recorder.order import Noticing, Order

log = logging.getLogger(__name__)

#: h is far off its range where it lies beyond it by this share of it, in this share of steps.
BEYOND, OFTEN = 0.05, 0.01
ENOUGH = 64  # sequences, to tell that
MOST_ALONE = 0.1  # of sequences without another to take values from


class Intervening(Running):
    """A model on a batch, with what its units are clamped to.

    Attributes:
        keys: all units that can be clamped, (layer, direction, unit), lowest layer first; of h under a projection,
            outputs.
        intact: what the model does as it is.
        shape: how many units each layer and direction has.
    """

    def __init__(
        self, model: nn.Module, batch: Batch, *, layer: str | None = None, variable: str = "c", mode: str = "mean",
        window: Window | None = None, donors: Batch | None = None, groups: Any = None, seed: int = 0,
    ) -> None:  # fmt: skip
        self.variable, self.mode, self.window = variable, mode, window
        self._check(batch, donors, cell_of(find_lstm(model, layer)[1]))
        super().__init__(model, batch, layer=layer)
        self._trace: Trace | None = None
        self._check_same(self._clamped(()), "ablate", "clamp")
        self.recording, self.real = self._recorded()
        self.shape = {part: values[self.variable].shape[-1] for part, values in self.recording.parts.items()}
        self.keys: list[UnitKey] = [(*part, unit) for part, width in self.shape.items() for unit in range(width)]
        self._to = self._constants()
        self._range = self._usual()
        if mode == "resample":
            self._trace = self._traced(donors, groups, seed)

    def _check(self, batch: Batch, donors: Batch | None, cell: Cell) -> None:
        problems = []
        if self.variable not in (*cell.names, "c"):
            names = " ".join(cell.names)
            legal = f"must be one of {names}" if cell == LSTM else f"{cell.title} has {names}"
            problems.append(f"variable={self.variable}: {legal}")
        else:
            self.variable = cell.meant(self.variable)
        if self.mode not in MODES:
            problems.append(f"mode={self.mode}: must be one of {' '.join(MODES)}")
        time = batch.inputs.shape[1]
        if self.window is not None and not within(self.window, time):
            problems.append(f"window={self.window}: must be (first step, step after the last), within 0 to {time}")
        elif self.window is not None and self.window[0] >= (longest := int(batch.lengths.amax())):
            problems.append(f"window={self.window}: no sequence has a step there; the longest has {longest} steps")
        if donors is not None:
            check_batch(donors, "donors")
        if donors is not None and self.mode != "resample":
            problems.append(f"donors: only mode=resample takes values of other sequences, not mode={self.mode}")
        if problems:
            raise InputError(*problems)

    def outputs(self, units: Iterable[UnitKey], by: Mapping[UnitKey, float] | None = None) -> Outcome:
        """Return what the model does with these units clamped at once.

        Args:
            units: which.
            by: how far from what they are clamped to each is held; 0 where nothing is said.

        Raises:
            InputError: it cannot be clamped so, or its outputs are not finite then.
        """
        made = self._clamped(self.clamps(units, by))
        if not math.isfinite(float(made.outputs.sum())):
            reads = self.variable == "h"
            what = f"reads the memory of its {self.cell.title}, not its h alone" if reads else "gives no finite outputs"
            raise InputError(f"ablate: the model {what}: with {self.variable} clamped, nothing can be said")
        return made

    def on(self, batch: Batch) -> "Intervening":
        """Return the same on other sequences, with what the units are clamped to of these.

        Raises:
            InputError: units are clamped to other sequences' values, which belong to these.
        """
        if self.mode == "resample":
            raise InputError("mode=resample: the values of other sequences belong to the sequences of this batch")
        other = object.__new__(Intervening)
        other.__dict__.update(self.__dict__, batch=batch, _given=self._calling.arguments(batch))
        other.intact = other._run(Noticing)
        return other

    def off_data(self, units: Sequence[UnitKey], outcome: Outcome) -> bool | None:
        """Return whether a clamp is far off what was seen: its value, or h in more than a few steps.

        None where its value is not, and h cannot be told by sequence and step.
        """
        low, high = self._range["values"]
        if self._to is not None and any(not low[key] <= self._to[key] <= high[key] for key in units):
            return True
        if outcome.shown is None or "shown" not in self._range:
            return None
        middle, half = self._range["shown"]
        some = slice(None, None, max(1, len(self.batch) // ENOUGH))
        beyond = ((outcome.shown[some] - middle).abs_() / half).amax(-1) > 1
        return float(beyond[self.batch.mask[some]].double().mean()) > OFTEN

    def clamps(self, units: Iterable[UnitKey], by: Mapping[UnitKey, float] | None = None) -> list[Clamp]:
        """Return the clamps of these units, one for each layer and direction."""
        moved = {} if by is None else by
        by_part: dict[tuple[int, str], list[UnitKey]] = {}
        for key in sorted(units):
            by_part.setdefault(key[:2], []).append(key)
        window, time = self.window, self.batch.inputs.shape[1]
        if window is not None and self.turned and is_stepwise(self.lstm):  # whose calls are counted
            window = time - window[1], time - window[0]
        return [
            Clamp(*part, self.variable, tuple(key[2] for key in keys),
                  None if self._to is None else tuple(self._to[key] + moved.get(key, 0.0) for key in keys), window)
            for part, keys in by_part.items()
        ]  # fmt: skip

    def _clamped(self, clamps: Sequence[Clamp]) -> Outcome:
        calls: list[Calls] = []

        @contextmanager
        def clamped(order: Order) -> Iterator[None]:
            with clamping(self.lstm, clamps, self._trace, order.notice) as made:
                calls.append(made)
                yield

        outcome = self._run(clamped)
        made, steps = calls[0].made, self.batch.inputs.shape[1]
        if not made:
            raise InputError(
                f"ablate: {self.name or 'the ' + self.cell.title} did not run {own_kernel(self.lstm)}, so it cannot be "
                "clamped"
            )
        if self.window is not None and is_stepwise(self.lstm) and made != steps:
            raise InputError(
                f"window: the module calls its {type(self.lstm).__name__} {made} times on sequences of {steps} steps, "
                "so that its steps are not those of the batch; clamp all steps"
            )
        return outcome

    def _recorded(self) -> tuple[Recording, Bool[Tensor, "sequence time"]]:
        """Return what the units do in the model as it is, and which of those steps are real."""
        rec = record(self.model, self._given, layer=self.name, variables=(self.variable,))
        real, own = rec.mask, self.batch.mask
        if bool(real.all()) and real.shape[1] == own.shape[1] and len(real) % len(own) == 0:
            real = own.repeat(len(real) // len(own), 1)  # the module does not pack: the batch knows what is real
        return rec, real

    def _constants(self) -> dict[UnitKey, float] | None:
        """Return what each unit is clamped to; None for the values of other sequences."""
        if self.mode == "resample":
            return None
        if self.mode == "zero":
            return dict.fromkeys(self.keys, 0.0)
        to = [value for part in self.recording for value in means(part[self.variable], self.real)]
        return dict(zip(self.keys, to))

    def _usual(self) -> dict[str, Any]:
        """Return the range of every unit's variable, and of every h that the LSTM returns."""
        ends = [torch.aminmax(part[self.variable][self.real], dim=0) for part in self.recording]
        low, high = ([value for one in ends for value in one[k].tolist()] for k in (0, 1))
        found: dict[str, Any] = {"values": (dict(zip(self.keys, low)), dict(zip(self.keys, high)))}
        if self.intact.shown is not None:
            least, most = torch.aminmax(self.intact.shown[self.batch.mask], dim=0)
            room = (0.5 + BEYOND) * (most - least)
            found["shown"] = (least + most) / 2, room.clamp(min=torch.finfo(room.dtype).tiny)
        return found

    def _traced(self, donors: Batch | None, groups: Any, seed: int) -> Trace:
        """Return what the LSTM does with the donors' inputs, each for as long as the sequence that it is to be in."""
        given = donors_of(self.batch, groups, seed) if donors is None else donors
        if given.inputs.shape != self.batch.inputs.shape or bool((given.lengths < self.batch.lengths).any()):
            raise InputError(
                f"donors: inputs of shape {tuple(given.inputs.shape)}; must be {tuple(self.batch.inputs.shape)}, "
                "each sequence as long as the one that it is to be put into, or longer"
            )
        with tracing(self.lstm) as trace, undisturbed(self.model):
            self.model(*self._calling.arguments(replace(self.batch, inputs=given.inputs)))
        return trace


def donors_of(batch: Batch, groups: Any, seed: int) -> Batch:
    """Return, in the place of each sequence of a batch, another one that is as long or longer.

    Of another group where there are groups. A sequence that has none keeps its own values, which is said.

    Raises:
        InputError: more than a tenth of them have none.
    """
    codes = drawn_as_one(group_codes(batch.groups if groups is None else groups, len(batch)))
    lengths = batch.lengths.cpu().numpy()
    donors = make_donors(lengths, batch.inputs.shape[1], seed, groups=codes)[np.arange(len(batch)), lengths - 1]
    alone = donors < 0
    if alone.sum() > len(batch) * MOST_ALONE:
        of = " of another group" if codes is not None else ""
        raise InputError(
            f"mode=resample: {int(alone.sum())} of {len(batch)} sequences have no other{of} that is as long: give "
            "donors"
        )
    if alone.any():
        log.warning("%d of %d sequences have no other that is as long, and keep their values", alone.sum(), len(batch))
    return batch[torch.from_numpy(np.where(alone, np.arange(len(batch)), donors))]
