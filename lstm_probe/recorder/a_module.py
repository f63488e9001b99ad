"""Whether what somebody hands over is a network at all, and where to get one where it is not."""

from collections.abc import Mapping
from os import PathLike
from typing import Any

from torch import nn

from lstm_probe.core.errors import InputError


def check_module(given: Any) -> None:
    """Raise an InputError that says how to come to a module, unless one is given."""
    if isinstance(given, nn.Module):
        return
    if isinstance(given, type):
        raise InputError(
            f"the model is the class {given.__name__}; give one that was made of it, {given.__name__}(...)"
        )
    how = ""
    if isinstance(given, str | PathLike):
        how = "; lp.load_weights reads a file of weights, and lp.load_run a run's folder, whose .model is one"
    elif isinstance(given, Mapping):
        how = "; of a state dict, make the module first and load it there"
    elif isinstance(getattr(given, "model", None), nn.Module):
        how = "; its .model is one"
    elif of_keras(given):
        how = KERAS
    raise InputError(f"the model is a {type(given).__name__}; it must be a torch.nn.Module{how}")


KERAS = "; it is Keras's: save it as .keras, which lp.load_weights reads"


def of_keras(given: Any) -> bool:
    """Return whether something is of Keras, whose layers are modules of PyTorch where that is its backend."""
    return any(kind.__module__.partition(".")[0] in ("keras", "tf_keras") for kind in type(given).__mro__)
