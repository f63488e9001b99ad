"""Catching what really goes into an LSTM while somebody's own module runs, and leaving the module as it was found."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from lstm_probe.core.errors import InputError, nearest

Recordable = nn.LSTM | nn.LSTMCell
OTHERS = (nn.GRU, nn.GRUCell, nn.RNN, nn.RNNCell)


@dataclass(frozen=True)
class Call:
    """One call of an `nn.LSTM` or, as one step, of an `nn.LSTMCell`.

    Attributes:
        inputs: (sequence, time, feature), in the order in which the caller has the sequences.
        lengths: real steps of each sequence, where the call says so (packed sequences); else None.
        state: (h0, c0) as the module takes them, with a batch axis; None for zeros.
        result: for a cell: its new (h, c).
    """

    inputs: Tensor
    lengths: Tensor | None
    state: tuple[Tensor, Tensor] | None
    result: tuple[Tensor, Tensor] | None = None


@dataclass
class Calls:
    """All calls, grouped by the forward pass of the outer module in which they happened."""

    passes: list[list[Call]] = field(default_factory=list)
    inside: bool = False

    def add(self, call: Call) -> None:
        """Add a call to the pass that is going on; outside of any, steps of a cell and nothing else belong together."""
        if not self.inside and (call.result is None or not self.passes):
            self.passes.append([])
        self.passes[-1].append(call)


def find_lstm(module: nn.Module, layer: str | None = None) -> tuple[str, Recordable]:
    """Return the name and the module of the LSTM to record: the one named `layer`, or the only one there is.

    Raises:
        InputError: there is none, several, or none of this name; it lists what there is.
    """
    found = {name: part for name, part in module.named_modules() if isinstance(part, Recordable)}
    names = ", ".join(name or "(the module itself)" for name in found)
    if layer is not None:
        if layer in found:
            return layer, found[layer]
        there = dict(module.named_modules()).get(layer)
        what = f"it is a {type(there).__name__}" if there is not None else "there is no such part"
        raise InputError(f"layer={layer}: {what}; there are {names or 'no LSTMs'}.{nearest(layer, list(found))}")
    if len(found) == 1:
        return next(iter(found.items()))
    if found:
        raise InputError(f"{type(module).__name__} holds {len(found)} LSTMs: choose one with layer=; there are {names}")
    others = [f"{type(part).__name__} {name}".strip() for name, part in module.named_modules()
              if isinstance(part, OTHERS)]  # fmt: skip
    instead = f"it holds {', '.join(others)}, but only" if others else "only"
    raise InputError(f"{type(module).__name__} holds no LSTM: {instead} nn.LSTM and nn.LSTMCell can be recorded")


def check_call(lstm: Recordable, inputs: Tensor, state: tuple[Tensor, Tensor] | None) -> None:
    weight = next(lstm.parameters())
    for name, values in (("inputs", inputs), *zip(("h0", "c0"), state or ())):
        for what in ("dtype", "device"):
            given, own = getattr(values, what), getattr(weight, what)
            if given != own:
                raise InputError(f"{name}: {what} {given}, but the LSTM's weights have {own}")
        # A sum is a cheap check: it is finite unless something is not, or unless it overflows.
        if not values.sum().isfinite() and not torch.isfinite(values).all():
            where = torch.nonzero(~torch.isfinite(values))[0].tolist()
            axes = ("sequence", "step", "feature") if name == "inputs" else ("layer", "sequence", "unit")
            place = ", ".join(f"{axis} {index}" for axis, index in zip(axes[-len(where) :], where))
            raise InputError(f"{name}: {values[tuple(where)]} at {place}")


def lstm_call(lstm: nn.LSTM, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call:
    """Return what a call with these arguments is, whatever the module's layout."""
    given = args[0] if args else kwargs["input"]
    state = args[1] if len(args) > 1 else kwargs.get("hx")
    lengths = None
    if isinstance(given, PackedSequence):
        x, lengths = pad_packed_sequence(given, batch_first=True)
        lengths = lengths.to(x.device)
    elif given.dim() == 2:
        x = given.unsqueeze(0)
        state = None if state is None else (state[0].unsqueeze(1), state[1].unsqueeze(1))
    else:
        x = given if lstm.batch_first else given.transpose(0, 1)
    if x.dim() != 3 or x.shape[-1] != lstm.input_size or 0 in x.shape:
        layout = "(sequence, time, feature)" if lstm.batch_first else "(time, sequence, feature)"
        raise InputError(
            f"inputs of shape {tuple(getattr(given, 'shape', x.shape))}: this LSTM takes {layout} with "
            f"{lstm.input_size} features, and at least one sequence and step"
        )
    return Call(x, lengths, state)


def _cell_call(args: tuple[Any, ...], kwargs: Mapping[str, Any], result: tuple[Tensor, Tensor]) -> Call:
    x = args[0] if args else kwargs["input"]
    state = args[1] if len(args) > 1 else kwargs.get("hx")
    if x.dim() == 1:
        x, result = x.unsqueeze(0), (result[0].unsqueeze(0), result[1].unsqueeze(0))
        state = None if state is None else (state[0].unsqueeze(0), state[1].unsqueeze(0))
    return Call(x.unsqueeze(1), None, state, result)


def _detached(call: Call) -> Call:
    """Copies, because the caller may go on to change its own tensors in place."""

    def own(pair: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor] | None:
        return None if pair is None else (pair[0].detach().clone(), pair[1].detach().clone())

    return Call(call.inputs.detach().clone(), call.lengths, own(call.state), own(call.result))


@contextmanager
def catching(module: nn.Module, lstm: Recordable) -> Iterator[Calls]:
    """Within this context, whatever goes into `lstm` is caught; then its hooks are gone."""
    calls = Calls()

    def before(_: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        if isinstance(lstm, nn.LSTM):
            call = lstm_call(lstm, args, kwargs)
            check_call(lstm, call.inputs, call.state)
            calls.add(_detached(call))

    def after(_: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], result: tuple[Tensor, Tensor]) -> None:
        call = _cell_call(args, kwargs, result)
        check_call(lstm, call.inputs, call.state)
        calls.add(_detached(call))

    def enter(*_: object) -> None:
        calls.passes.append([])
        calls.inside = True

    def leave(*_: object) -> None:
        calls.inside = False

    hooks = []
    if module is not lstm:
        hooks += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave, always_call=True)]
    if isinstance(lstm, nn.LSTM):
        hooks.append(lstm.register_forward_pre_hook(before, with_kwargs=True))
    else:
        hooks.append(lstm.register_forward_hook(after, with_kwargs=True))
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def undisturbed(module: nn.Module) -> Iterator[None]:
    """Evaluation mode and no gradients within this context; then modes and random state are as they were."""
    modes = {part: part.training for part in module.modules()}
    devices = sorted({p.device.index or 0 for p in module.parameters() if p.device.type == "cuda"})
    module.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=devices):
            yield
    finally:
        for part, mode in modes.items():
            part.training = mode


def run(module: nn.Module, inputs: Tensor | Sequence[Any] | Mapping[str, Any]) -> Any:
    """Call a module on a tensor, on a tuple of arguments, or on a dict of named ones."""
    if isinstance(inputs, Mapping):
        return module(**inputs)
    if isinstance(inputs, tuple | list):
        return module(*inputs)
    return module(inputs)
