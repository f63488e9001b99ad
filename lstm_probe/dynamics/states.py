"""The states that a recurrent network goes through on a batch, whatever module stands around it."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from lstm_probe.core.errors import InputError
from lstm_probe.core.signal import Batch
from lstm_probe.dynamics.step_map import StepMap
from lstm_probe.recorder import find_lstm, record
from lstm_probe.recorder.a_module import check_module
from lstm_probe.recorder.calling import arguments
from lstm_probe.recorder.kernel import Recordable
from lstm_probe.recorder.leaving import undisturbed

_PLAIN = nn.RNN | nn.RNNCell
#: How far apart, as a share of the largest, h may be as a plain layer returned it and as its weights make it.
ALIKE = 1e-4


@dataclass(frozen=True)
class States:
    """Of every sequence and step.

    Attributes:
        values: (sequence, time, size), float64, laid out as a `StepMap` does.
        inputs: what the layer itself read.
        real: which steps are.
        aligned: whether sequences and steps are the batch's own.
    """

    values: Float[Tensor, "sequence time size"]
    inputs: Float[Tensor, "sequence time feature"]
    real: Bool[Tensor, "sequence time"]
    aligned: bool


def find_recurrent(model: nn.Module, layer: str | None) -> tuple[str, Recordable]:
    """Return the name and the module of the recurrent layer that is meant.

    Raises:
        InputError: there is none, several, or none of this name.
    """
    check_module(model)
    plain = {name: part for name, part in model.named_modules() if isinstance(part, _PLAIN)}
    if layer is not None and layer in plain:
        return layer, plain[layer]
    others = any(isinstance(part, Recordable) and not isinstance(part, _PLAIN) for part in model.modules())
    if layer is None and not others and len(plain) == 1:
        return next(iter(plain.items()))
    if layer is None and not others and plain:
        raise InputError(f"layer: the model holds {len(plain)} recurrent layers: choose one of {', '.join(plain)}")
    if not others and not plain:
        raise InputError(f"{type(model).__name__}: holds no nn.LSTM, nn.GRU, nn.RNN, cell of these or GatedRNN to find "
                         "fixed points of")  # fmt: skip
    return find_lstm(model, layer)


def states_of(model: nn.Module, name: str, module: Recordable, step: StepMap, batch: Batch) -> States:
    """Return the states that the model's layer goes through on a batch.

    Raises:
        InputError: the layer does something else than its weights say.
    """
    if isinstance(module, _PLAIN):
        values, inputs, real = _of_plain(model, module, step, batch)
    else:
        rec = record(model, arguments(model, batch), layer=name, variables=step.cell.state, lengths=None)
        values = (
            torch.cat([part[variable] for variable in step.cell.state for part in rec], dim=-1).detach().double().cpu()
        )
        inputs, real = rec.inputs.detach().double().cpu(), rec.mask.cpu()
    own = batch.mask.cpu()
    aligned = real.shape == own.shape
    return States(values, inputs, real & own if aligned else real, aligned)


def _of_plain(
    model: nn.Module, module: nn.RNN | nn.RNNCell, step: StepMap, batch: Batch
) -> tuple[Float[Tensor, "sequence time size"], Float[Tensor, "sequence time feature"], Bool[Tensor, "sequence time"]]:
    """Run the model; follow every layer from what the lowest read, and compare the highest with what was returned."""
    calls: list[tuple[Any, Any, Any]] = []

    def keep(_: nn.Module, args: tuple[Any, ...], named: dict[str, Any], result: Any) -> None:
        given = args[0] if args else named["input"]
        calls.append((given, args[1] if len(args) > 1 else named.get("hx"), result))

    given = arguments(model, batch)
    hook = module.register_forward_hook(keep, with_kwargs=True)
    try:
        with undisturbed(model):
            model(*given)
    finally:
        hook.remove()
    if not calls or (len(calls) > 1 and isinstance(module, nn.RNN)):
        kind = type(module).__name__
        raise InputError(f"fixed points: the model calls its {kind} {len(calls)} times, and has to once")
    if isinstance(module, nn.RNNCell):
        x, shown = (torch.stack([call[k] for call in calls], dim=-2) for k in (0, 2))
        first = None if calls[0][1] is None else calls[0][1].unsqueeze(0)
        real = torch.ones(x.shape[:-1], dtype=torch.bool)
    else:
        (given, first, result), time = calls[0], 1 if module.batch_first else 0
        x, real = _padded(given, time)
        shown = _padded(result[0], time)[0]
    x, shown = x.detach().double().cpu(), shown.detach().double().cpu()
    state = x.new_zeros(len(x), step.size)
    if first is not None:
        state = first.detach().double().cpu().transpose(0, 1).reshape(len(x), step.size).clone()
    values = x.new_empty(*x.shape[:2], step.size)
    for t in range(x.shape[1]):
        state = values[:, t] = step.step(state, x[:, t])
    apart = (values[..., step.shown[-1]] - shown)[real].abs()
    if not float(apart.amax()) <= ALIKE * max(1.0, float(shown[real].abs().amax())):
        raise InputError(f"fixed points: {type(module).__name__} returned something else than its weights make of its "
                         "inputs")  # fmt: skip
    return values, x, real


def _padded(given: Any, time: int) -> tuple[Tensor, Bool[Tensor, "sequence time"]]:
    """Return inputs or outputs as (sequence, time, feature), and which steps are real."""
    if isinstance(given, PackedSequence):
        padded, lengths = pad_packed_sequence(given, batch_first=True)
        return padded, torch.arange(padded.shape[1]) < lengths.unsqueeze(1)
    values = given.unsqueeze(1 - time) if given.dim() == 2 else given
    values = values if time == 1 else values.transpose(0, 1)
    return values, torch.ones(values.shape[:2], dtype=torch.bool)
