"""Which LSTMs a module holds, and which of them are meant."""

from collections.abc import Sequence

from torch import nn

from lstm_probe.core.errors import InputError, nearest
from lstm_probe.recorder.kernel import Recordable

OTHERS = (nn.GRU, nn.GRUCell, nn.RNN, nn.RNNCell)
ALL = "all"


def find_lstm(module: nn.Module, layer: str | None = None) -> tuple[str, Recordable]:
    """Return the name and the module of the LSTM to record: the one named `layer`, or the only one there is.

    Raises:
        InputError: there is none, several, or none of this name; it lists what there is.
    """
    found = _recordable(module)
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
        several = f"choose one with layer=, or all of them with layer={ALL!r}"
        raise InputError(f"{type(module).__name__} holds {len(found)} LSTMs: {several}; there are {names}")
    others = [f"{type(part).__name__} {name}".strip() for name, part in module.named_modules()
              if isinstance(part, OTHERS)]  # fmt: skip
    instead = f"it holds {', '.join(others)}, but only" if others else "only"
    raise InputError(f"{type(module).__name__} holds no LSTM: {instead} nn.LSTM and nn.LSTMCell can be recorded")


def find_lstms(module: nn.Module, layer: str | Sequence[str] | None) -> dict[str, Recordable]:
    """Return the LSTMs meant by `layer`: one name, several, "all", or None for the only one.

    Raises:
        InputError: as `find_lstm`.
    """
    if layer is not None and not isinstance(layer, str):
        if not layer:
            raise InputError(f"layer=: must name an LSTM; there are {', '.join(_recordable(module)) or 'none'}")
        return dict(find_lstm(module, name) for name in layer)
    found = _recordable(module)
    if layer == ALL and found and ALL not in found:
        return found
    return dict([find_lstm(module, None if layer == ALL and not found else layer)])


def _recordable(module: nn.Module) -> dict[str, Recordable]:
    return {name: part for name, part in module.named_modules() if isinstance(part, Recordable)}
