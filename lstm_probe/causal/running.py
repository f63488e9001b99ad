"""A model on a batch, run as it is or with something changed inside its LSTM."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from lstm_probe.cells.declared import Cell
from lstm_probe.cells.known import cell_of
from lstm_probe.cells.module import GatedRNN
from lstm_probe.core.errors import InputError
from lstm_probe.core.signal import Batch
from lstm_probe.recorder import find_lstm
from lstm_probe.recorder.agreement import allowed
from lstm_probe.recorder.calling import calling
from lstm_probe.recorder.calls import Frame
from lstm_probe.recorder.config import is_backward
from lstm_probe.recorder.kernel import is_stepwise
from lstm_probe.recorder.leaving import undisturbed
from lstm_probe.recorder.order import Noticing, Order, axis_of
from lstm_probe.recorder.turned import turned_steps


@dataclass(frozen=True)
class Outcome:
    """What came of one run.

    Attributes:
        outputs: of the model, (sequence, time, output).
        shown: what its LSTM returned of every step, (sequence, time, output); None where that cannot be told by
            sequence and step.
    """

    outputs: Float[Tensor, "sequence time output"]
    shown: Float[Tensor, "sequence time h"] | None


class Running:
    """A model on a batch.

    Attributes:
        name, lstm: the LSTM, or other layer, that is looked at, and how it is called in the model.
        cell: what it is made of.
        intact: what the model does as it is.
        turned: whether the model hands it the steps from the last to the first.
    """

    def __init__(self, model: nn.Module, batch: Batch, *, layer: str | None = None) -> None:
        self.model, self.batch = model, batch
        self.name, self.lstm = find_lstm(model, layer)
        self.cell = cell_of(self.lstm)
        self._calling = calling(model, batch)
        self._given = self._calling.arguments(batch)
        self._places: Tensor | None = None
        self.turned = False
        self.intact = self._run(Noticing)

    def _run(self, within: Callable[[Order], AbstractContextManager[Any]]) -> Outcome:
        """Run the model, within a context that lets an order notice what the model takes."""
        returned: list[Any] = []
        steps: list[tuple[int, int] | None] = []
        order = Order(self._given)

        def read_order(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            given, axis = Frame(args, kwargs).given, axis_of(self.lstm)
            self._places = order.places(given, self.name, axis)
            if is_stepwise(self.lstm):
                steps.append(order.place(given))
            else:
                self.turned = order.turned(given, self.name, axis)

        hooks = [
            self.lstm.register_forward_pre_hook(read_order, with_kwargs=True),
            self.lstm.register_forward_hook(lambda module, given, result: returned.append(result)),
        ]
        try:
            with undisturbed(self.model), within(order):
                made = self.model(*self._given)
        finally:
            for hook in hooks:
                hook.remove()
        if is_stepwise(self.lstm):
            self.turned = turned_steps(steps, self.name)
        return Outcome(by_step(self.batch, self._calling.outputs(made, self.batch)), self._shown(returned))

    def _shown(self, returned: list[Any]) -> Tensor | None:
        """Return what the calls of a layer returned one after the other, by sequence and step."""
        n, time = self.batch.inputs.shape[:2]
        parts = [self._by_step(one, time) for one in returned]
        if not parts or any(one is None or one.dim() != 3 or len(one) != n for one in parts):
            return None
        shown = torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]
        if shown.shape[1] != time:
            return None
        shown = shown.flip(1) if self.turned else shown
        return shown.detach() if self._places is None else shown.detach()[self._places.to(shown.device)]

    def _by_step(self, returned: Any, time: int) -> Any:
        """Return what one call returned, (sequence, time, output), or anything else where that cannot be told."""
        shown = returned[0] if isinstance(returned, tuple) else returned
        if isinstance(shown, PackedSequence):
            return pad_packed_sequence(shown, batch_first=True, total_length=max(time, len(shown.batch_sizes)))[0]
        if not isinstance(shown, Tensor):
            return None
        if is_stepwise(self.lstm):
            return shown.unsqueeze(1)
        return shown if self.lstm.batch_first or shown.dim() != 3 else shown.transpose(0, 1)

    @property
    def from_the_end(self) -> bool:
        """Whether its layer reads the caller's steps from the last to the first alone."""
        return is_backward(self.lstm) != self.turned

    def _check_same(self, again: Outcome, command: str, what: str) -> None:
        """Raise an InputError unless a run with nothing changed gave what the model gives as it is."""
        outputs = self.intact.outputs
        scale, apart = float(outputs.abs().amax()), float((again.outputs - outputs).abs().amax())
        if not math.isfinite(scale):
            raise InputError(f"{command}: the model's own outputs are not finite (largest {scale:.3g}){self._why()}")
        if not apart <= allowed(outputs, scale):
            raise InputError(
                f"{command}: run twice without a {what}, the model's outputs differ by up to {apart:.3g} (largest "
                f"output {scale:.3g}): what a {what} changes cannot be told; it draws random numbers, or keeps a state "
                "where it is not seen"
            )

    def _why(self) -> str:
        """Return that inputs are not finite, where that is so."""
        wrong = int((~torch.isfinite(self.batch.inputs)).sum())
        return f": {wrong} of its {self.batch.inputs.numel()} inputs are not" if wrong else ""


def own_kernel(module: nn.Module) -> str:
    """Return what a module has to run so that it can be changed inside."""
    return "its own cell" if isinstance(module, GatedRNN) else f"PyTorch's own {cell_of(module).title}"


def moved_variable(cell: Cell, name: str) -> str:
    """Return which variable is moved: the memory and what goes with it, "c" where it is asked for so, or h alone.

    Raises:
        InputError: it is neither.
    """
    if name not in ("c", "h", cell.memory):
        raise InputError(f"variable={name}: must be one of {' '.join(dict.fromkeys((cell.memory, 'h')))}")
    return "h" if name == "h" else cell.memory


def by_step(batch: Batch, outputs: Tensor) -> Float[Tensor, "sequence time output"]:
    """Return a model's outputs by sequence and step; one for each sequence counts at its last step.

    Raises:
        InputError: they are neither.
    """
    width = sum(spec.size for spec in batch.target_specs)
    if outputs.shape == (len(batch), width) and _only_last(batch):
        return outputs.unsqueeze(1).expand(-1, batch.inputs.shape[1], -1)
    if outputs.shape != (*batch.inputs.shape[:2], width):
        raise InputError(
            f"targets: the model's outputs have shape {tuple(outputs.shape)}; the batch's targets need (sequence, "
            f"time, {width}), or (sequence, {width}) where each counts at the last step alone"
            + _as_classes(batch, outputs)
        )
    return outputs


def _as_classes(batch: Batch, outputs: Tensor) -> str:
    """Return how to say that the outputs are logits of classes, where the only target may be one of them."""
    size, names = outputs.shape[-1], list(batch.targets)
    values = batch.targets[names[0]][batch.scored_steps(names[0])] if len(names) == 1 else None
    if size < 2 or values is None or not bool(((values == values.round()) & (values >= 0) & (values < size)).all()):
        return ""
    return f"; logits of {size} classes are target_specs=[Target({names[0]!r}, 'class', {size})]"


def _only_last(batch: Batch) -> bool:
    """Return whether every target counts at each sequence's last step and nowhere else."""
    last = torch.arange(batch.inputs.shape[1], device=batch.lengths.device) == batch.lengths.unsqueeze(1) - 1
    return all(bool((batch.scored_steps(spec.name) == last).all()) for spec in batch.target_specs)
