"""What people hand in: tensors, arrays, lists of sequences, loaders; and how a module is called on them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence, pad_sequence

from lstm_probe.cells.module import GatedRNN
from lstm_probe.core.containers import as_numbers, plain
from lstm_probe.core.errors import InputError

TAKES = (
    "a tensor or array, a tuple of arguments, a dict of named ones, packed sequences, a list of sequences "
    "(time, feature), or a DataLoader or other iterator of any of these"
)


def run(module: nn.Module, inputs: Any) -> Any:
    """Call a module on one argument, on a tuple of arguments, or on a dict of named ones."""
    if isinstance(inputs, Mapping):
        return module(**inputs)
    if isinstance(inputs, tuple) and not isinstance(inputs, PackedSequence):
        return module(*inputs)
    return module(inputs)


def is_batches(inputs: Any) -> bool:
    """Return whether these are several batches, one after the other."""
    return isinstance(inputs, Iterator | torch.utils.data.DataLoader)


def batches(inputs: Iterable[Any]) -> Iterator[Any]:
    """Return what the module is to be called with, batch after batch.

    Raises:
        InputError: batches of several things, as those of a loader of inputs and targets are.
    """
    for batch in inputs:
        one = batch[0] if isinstance(batch, tuple | list) and len(batch) == 1 else batch
        if isinstance(one, list | tuple) and isinstance(inputs, torch.utils.data.DataLoader):
            raise InputError(
                f"inputs: each batch of this loader holds {len(one)} things; say which go in, as in "
                "record(module, (x for x, y in loader))"
            )
        yield one


def as_called(module: nn.Module, lstm: nn.Module, inputs: Any, lengths: Any) -> tuple[Any, Any]:
    """Return what a module is called with, and the lengths where the inputs tell them.

    Arrays become tensors of the module's own type; a list of sequences becomes packed sequences for an `nn.LSTM`
    itself, and a padded batch in the LSTM's layout for another module.

    Raises:
        InputError: what cannot be understood.
    """
    if isinstance(inputs, np.ndarray):
        return _tensor(module, inputs, "inputs"), lengths
    if isinstance(inputs, list):
        if not inputs:
            raise InputError("inputs: there are no sequences")
        every = [_tensor(module, one, f"inputs[{k}]") for k, one in enumerate(inputs)]
        if len({one.shape[1:] for one in every}) > 1 or any(one.dim() < 1 or not len(one) for one in every):
            told = ", ".join(str(tuple(one.shape)) for one in every[:3])
            raise InputError(f"inputs: sequences of shapes {told}; must be (time, feature) with the same features")
        if lengths is not None:
            raise InputError("lengths: a list of sequences says itself how long they are")
        if module is lstm and isinstance(lstm, nn.RNNBase | GatedRNN):
            with torch.device("cpu"):  # lengths are there, wherever new tensors are made for the user
                return pack_sequence(every, enforce_sorted=False), None
        first = getattr(lstm, "batch_first", True)
        return pad_sequence(every, batch_first=first), [len(one) for one in every]
    if isinstance(inputs, tuple) and not isinstance(inputs, PackedSequence):
        return tuple(_tensor(module, one, "inputs") if isinstance(one, np.ndarray) else one for one in inputs), lengths
    if isinstance(inputs, Mapping):
        made = {k: _tensor(module, one, k) if isinstance(one, np.ndarray) else one for k, one in inputs.items()}
        return made, lengths
    if module is lstm and not isinstance(inputs, Tensor | PackedSequence):
        raise InputError(f"inputs: a {type(inputs).__name__}; record takes {TAKES}")
    return inputs, lengths


def as_state(module: nn.Module, state: Any) -> Any:
    """Return an initial state, arrays of it as tensors."""
    if isinstance(state, tuple | list):
        return tuple(_tensor(module, one, f"state[{k}]") for k, one in enumerate(state))
    return state if state is None else _tensor(module, state, "state")


def _tensor(module: nn.Module, values: Any, name: str) -> Tensor:
    """Return an array as a tensor: real numbers as the module's weights have them, whole ones as they are."""
    if isinstance(values, Tensor):
        return values if values.layout in (torch.strided, torch.jagged) else values.to_dense()
    weight: Tensor | None = next(module.parameters(), None)
    array = plain(name, values)
    if np.iscomplexobj(array):
        raise InputError(f"{name}: complex numbers; real and imaginary parts are two features")
    tensor = torch.from_numpy(as_numbers(name, array).copy())
    if weight is None:
        return tensor
    tensor = tensor.to(weight.device)
    if tensor.is_floating_point() or _reads_numbers(module):
        return tensor.to(weight.dtype)
    return tensor


def _reads_numbers(module: nn.Module) -> bool:
    """Return whether whole numbers are features rather than tokens: a module without a table of them."""
    return not any(isinstance(part, nn.Embedding | nn.EmbeddingBag) for part in module.modules())


def lengths_of_batches(lengths: Sequence[Any] | Iterable[Any] | None) -> Iterator[Any]:
    """Return each batch's own lengths, None for each where there are none."""
    if lengths is None:
        while True:
            yield None
    yield from lengths
    raise InputError("lengths: with several batches, give one entry for each; there are fewer")
