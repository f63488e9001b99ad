"""How a model is called on a batch: with its inputs, and with the lengths of its sequences where it takes them."""

import inspect
from typing import Any

from torch import Tensor, nn

from lstm_probe.core.signal import Batch


def arguments(model: nn.Module, batch: Batch) -> tuple[Any, ...]:
    """Return what `model` is called with: `batch.inputs`, and `lengths=` where its `forward` has such a parameter."""
    return (batch.inputs, batch.lengths) if _second_is_lengths(model) else (batch.inputs,)


def outputs_of(model: nn.Module, batch: Batch) -> Tensor:
    """Return what a model makes of a batch; of a tuple (such as an `nn.LSTM`'s) the first."""
    made: Tensor | tuple[Tensor, ...] = model(*arguments(model, batch))
    return made[0] if isinstance(made, tuple) else made


def _second_is_lengths(model: nn.Module) -> bool:
    names = [p.name for p in inspect.signature(model.forward).parameters.values()]
    return len(names) > 1 and names[1] == "lengths"
