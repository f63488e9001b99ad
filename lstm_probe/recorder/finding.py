"""Which LSTMs a module holds, and which of them are meant."""

from collections.abc import Sequence

import torch
from torch import nn

from lstm_probe.cells.known import cell_of
from lstm_probe.core.errors import InputError, nearest
from lstm_probe.recorder.a_module import KERAS, check_module, of_keras
from lstm_probe.recorder.kernel import Recordable

ALL = "all"


def find_lstm(module: nn.Module, layer: str | None = None) -> tuple[str, Recordable]:
    """Return the name and the module of the LSTM, or other recurrent layer, to record.

    That is the one named `layer`, or the only one there is: the only LSTM, where there are LSTMs and others.

    Raises:
        InputError: there is none, several, or none of this name; it lists what there is.
    """
    every = _recordable(module)
    lstms = {name: part for name, part in every.items() if cell_of(part).name.startswith("lstm")}
    found = every if layer is not None else lstms or every
    names = ", ".join(name or "(the module itself)" for name in found)
    if layer is not None:
        there = dict(module.named_modules(remove_duplicate=False)).get(layer)  # a part may have several names
        if isinstance(there, Recordable):
            return layer, there
        what = f"it is a {type(there).__name__}" if there is not None else "there is no such part"
        there_are = names or "no recurrent layers"
        raise InputError(f"layer={layer}: {what}; there are {there_are}.{nearest(layer, list(found))}")
    if len(found) == 1:
        return next(iter(found.items()))
    if found:
        several = f"choose one with layer=, or all of them with layer={ALL!r}"
        kind = "LSTMs" if lstms else "recurrent layers"
        raise InputError(f"{type(module).__name__} holds {len(found)} {kind}: {several}; there are {names}")
    raise InputError(
        f"{type(module).__name__} holds no LSTM: nn.LSTM, nn.GRU, nn.RNN, their cells, and lstm_probe.GatedRNN can be "
        f"recorded{_hidden(module)}"
    )


def _hidden(module: nn.Module) -> str:
    """Return words on a part that is compiled, quantised or of Keras, inside of which there may be one."""
    for name, part in module.named_modules():
        what = f"{name} is" if name else "it is"
        if isinstance(part, torch.jit.ScriptModule):
            return (
                f"; {what} TorchScript, made of {part.original_name}, whose kernels cannot be seen: record that module"
            )
        if "quantized" in type(part).__module__:
            return f"; {what} quantised, a {type(part).__name__} of other arithmetic: record it before it is quantised"
        if of_keras(part):
            return KERAS
        if isinstance(part, torch.fx.GraphModule):
            return f"; {what} a graph, without the modules that it was made of: record those"
    return ""


def find_lstms(module: nn.Module, layer: str | Sequence[str] | None) -> dict[str, Recordable]:
    """Return the LSTMs meant by `layer`: one name, several, "all", or None for the only one.

    Raises:
        InputError: as `find_lstm`.
    """
    if layer is not None and not isinstance(layer, str):
        if not layer:
            raise InputError(f"layer=: must name a layer; there are {', '.join(_recordable(module)) or 'none'}")
        return dict(find_lstm(module, name) for name in layer)
    found = _recordable(module)
    if layer == ALL and found and ALL not in found:
        return found
    return dict([find_lstm(module, None if layer == ALL and not found else layer)])


def _recordable(module: nn.Module) -> dict[str, Recordable]:
    check_module(module)
    return {name: part for name, part in module.named_modules() if isinstance(part, Recordable)}
