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
    if not isinstance(values, Tensor):
        raise InputError(f"inputs: a {type(values).__name__}; this {cell_of(lstm).title} takes a tensor")
    if values.is_nested:
        raise InputError("inputs: a nested tensor; give its sequences as a list, or packed")
    if isinstance(values, torch.masked.MaskedTensor):
        raise InputError("inputs: a masked tensor; give its .get_data(), and by lengths= or mask= which steps are real")
    if values.layout != torch.strided:
        raise InputError("inputs: a sparse tensor; give its .to_dense()")
    dims = (2,) if isinstance(given, PackedSequence) else (2, 3)
    shape = tuple(getattr(values, "shape", ()))
    if len(shape) not in dims or shape[-1] != lstm.input_size or 0 in shape:
        layout = "(sequence, time, feature)" if lstm.batch_first else "(time, sequence, feature)"
        raise InputError(
            f"inputs of shape {shape}: this {cell_of(lstm).title} takes {layout} with {lstm.input_size} features, and "
            "at least one sequence and step"
        )


def check_state(lstm: Layers, given: Any, state: Any) -> None:
    """Raise an InputError where an initial state is not one of a module for these inputs, which have its shape."""
    if state is None:
        return
    cell, parts = cell_of(lstm), lstm.num_layers * (1 + lstm.bidirectional)
    n: tuple[int, ...] = ()
    if isinstance(given, PackedSequence):
        n = (int(given.batch_sizes[0]),)
    elif given.dim() == 3:
        n = (given.shape[0 if lstm.batch_first else 1],)
    wanted = [(parts, *n, lstm.proj_size or lstm.hidden_size), *[(parts, *n, lstm.hidden_size)] * (len(cell.state) - 1)]
    told = [tuple(one.shape) if isinstance(one, Tensor) else type(one).__name__ for one in state_of(state)]
    if told != wanted:
        axes = f"(layer x direction, {'sequence, ' * len(n)}unit), whatever batch_first is"
        names = " and ".join(f"{name}0" for name in cell.state)
        shapes, right = (" and ".join(map(str, each)) for each in (told, wanted))
        raise InputError(f"the initial state: {shapes}; must be {names} of shape {right}: {axes}")


def check_types(lstm: Recordable, given: Any, state: Any) -> None:
    """Raise an InputError where inputs or states are of another type or on another device than the weights."""
    weight = next(lstm.parameters())
    values = given.data if isinstance(given, PackedSequence) else given
    check_values_there(values, weight)
    if torch.is_autocast_enabled(weight.device.type):
        return
    states = () if state is None else zip(STARTS, state_of(state))
    for name, own in (("inputs", values), *states):
        for what in ("dtype", "device"):
            told, wanted = getattr(own, what), getattr(weight, what)
            if told != wanted:
                raise InputError(f"{name}: {what} {told}, but the {cell_of(lstm).title}'s weights have {wanted}")


def check_values_there(*every: Tensor) -> None:
    """Raise an InputError where tensors have no values that could be recorded, or stand for those of many."""
    if any(one.is_meta for one in every):
        raise InputError("inputs or weights are on the meta device, which keeps shapes alone: there are no values")
    if any(map(torch._C._functorch.is_functorch_wrapped_tensor, every)) and _is_mapped():
        raise InputError("it runs inside of torch.func.vmap, which hides the single values: record it without")


def _is_mapped() -> bool:
    """Return whether torch.func.vmap is at work."""
    levels = torch._C._functorch.get_interpreter_stack() or ()
    return any(level.key() == torch._C._functorch.TransformType.Vmap for level in levels)


def check_values(given: Arguments) -> None:
    """Raise an InputError where what goes into the kernel is not finite."""
    check_values_there(given.inputs, *given.state, *given.weights)
    if not _finite(given.inputs):
        _refuse("inputs", given.padded(given.inputs, copy=False)[0], ("sequence", "step", "feature"))
    for name, values in zip(STARTS, given.state):
        if not _finite(values):
            _refuse(name, values, ("layer", "sequence", "unit"))


def check_step(x: Tensor, state: Sequence[Tensor], weights: Sequence[Tensor | None]) -> None:
    """Raise an InputError where what goes into a cell's kernel is not finite, or nothing does."""
    check_values_there(x, *state, *(one for one in weights if one is not None))
    if not x.numel():
        raise InputError(f"inputs of shape {tuple(x.shape)}: there is no sequence")
    for name, values in (("inputs", x), *zip(STARTS, state)):
        if not _finite(values):
            _refuse(name, values, ("sequence", "feature" if name == "inputs" else "unit"))


def _finite(values: Tensor) -> bool:
    """Return whether all are; a sum is a cheap check: it is finite unless something is not, or unless it overflows."""
    values = values.detach()  # what autograd sees is the module's alone
    return bool(values.sum().isfinite()) or bool(torch.isfinite(values).all())


def _refuse(name: str, values: Tensor, axes: Sequence[str]) -> None:
    where = torch.nonzero(~torch.isfinite(values))[0].tolist()
    place = ", ".join(f"{axis} {index}" for axis, index in zip(axes[-len(where) :], where))
    raise InputError(f"{name}: {values[tuple(where)]} at {place}")
