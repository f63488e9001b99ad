"""What has to be true of what goes into an LSTM before anything is recorded."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from lstm_probe.cells.known import cell_of
from lstm_probe.cells.module import Layers
from lstm_probe.core.errors import InputError
from lstm_probe.recorder.kernel import Arguments, Recordable, state_of

#: How states before the first step are called; further ones of other cells are finite if these are.
STARTS = ("h0", "c0")


def check_shape(lstm: Layers, given: Any) -> None:
    """Raise an InputError where a module cannot be called on this."""
    values = given.data if isinstance(given, PackedSequence) else given
    dims = (2,) if isinstance(given, PackedSequence) else (2, 3)
    shape = tuple(getattr(values, "shape", ()))
    if len(shape) not in dims or shape[-1] != lstm.input_size or 0 in shape:
        layout = "(sequence, time, feature)" if lstm.batch_first else "(time, sequence, feature)"
        raise InputError(
            f"inputs of shape {shape}: this {cell_of(lstm).title} takes {layout} with {lstm.input_size} features, and "
            "at least one sequence and step"
        )


def check_types(lstm: Recordable, given: Any, state: Any) -> None:
    """Raise an InputError where inputs or states are of another type or on another device than the weights."""
    weight = next(lstm.parameters())
    values = given.data if isinstance(given, PackedSequence) else given
    if torch.is_autocast_enabled(weight.device.type):
        return
    states = () if state is None else zip(STARTS, state_of(state))
    for name, own in (("inputs", values), *states):
        for what in ("dtype", "device"):
            told, wanted = getattr(own, what), getattr(weight, what)
            if told != wanted:
                raise InputError(f"{name}: {what} {told}, but the {cell_of(lstm).title}'s weights have {wanted}")


def check_values(given: Arguments) -> None:
    """Raise an InputError where what goes into the kernel is not finite."""
    if not _finite(given.inputs):
        _refuse("inputs", given.padded(given.inputs, copy=False)[0], ("sequence", "step", "feature"))
    for name, values in zip(STARTS, given.state):
        if not _finite(values):
            _refuse(name, values, ("layer", "sequence", "unit"))


def check_step(x: Tensor, state: Sequence[Tensor]) -> None:
    """Raise an InputError where what goes into a cell's kernel is not finite."""
    for name, values in (("inputs", x), *zip(STARTS, state)):
        if not _finite(values):
            _refuse(name, values, ("sequence", "feature" if name == "inputs" else "unit"))


def _finite(values: Tensor) -> bool:
    """Return whether all are; a sum is a cheap check: it is finite unless something is not, or unless it overflows."""
    return bool(values.sum().isfinite()) or bool(torch.isfinite(values).all())


def _refuse(name: str, values: Tensor, axes: Sequence[str]) -> None:
    where = torch.nonzero(~torch.isfinite(values))[0].tolist()
    place = ", ".join(f"{axis} {index}" for axis, index in zip(axes[-len(where) :], where))
    raise InputError(f"{name}: {values[tuple(where)]} at {place}")
