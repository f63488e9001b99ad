"""What names and shapes of weights do not tell of a network, written beside them: what its units are, and how it reads.

In a state dict it stands where PyTorch keeps its own notes on each module, `_metadata`, and in a safetensors file among
the metadata of its header. PyTorch reads both kinds of file as it does any other.
"""

import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from lstm_probe.cells.known import cell_of
from lstm_probe.cells.lstm import LSTM
from lstm_probe.cells.module import GatedRNN
from lstm_probe.core.errors import InputError
from lstm_probe.core.vocabulary import BESIDE_WEIGHTS
from lstm_probe.formats.imported import ACTIVATIONS, ImportedModel, Skips
from lstm_probe.recorder.config import is_backward

_TYPES = {"cell": str, "backward": bool, "activation": str, "last_step": bool, "turned": bool, "skips": Mapping}


@dataclass(frozen=True)
class Said:
    """What a file says of a layer and of the network around it; see `Imported`. `cell` is a name, None where unsaid."""

    cell: str | None = None
    backward: bool = False
    activation: str | None = None
    last_step: bool = False
    turned: bool = False
    skips: Skips | None = None


def said_of(network: nn.Module) -> dict[str, dict[str, Any]]:
    """Return what is to be said of a network, by its modules' names: nothing of a plain LSTM."""
    said: dict[str, dict[str, Any]] = {}
    for name, part in network.named_modules():
        own: dict[str, Any] = {}
        if isinstance(part, nn.RNNBase | GatedRNN):
            own = {"cell": cell_of(part).name, "backward": is_backward(part)}
        elif isinstance(part, ImportedModel):
            own = {"activation": part.activation, "last_step": part.last_step, "turned": part.turned,
                   "skips": None if part.skips is None else asdict(part.skips)}  # fmt: skip
        if more := {key: value for key, value in own.items() if value not in (None, False, LSTM.name)}:
            said[name] = more
    return said


def in_header(network: nn.Module) -> dict[str, str] | None:
    """Return what is said of a network as metadata of a safetensors file; None where that is nothing."""
    said = said_of(network)
    return {BESIDE_WEIGHTS: json.dumps(said)} if said else None


def with_notes(weights: Mapping[str, Tensor], network: nn.Module) -> "OrderedDict[str, Tensor]":
    """Return weights as a state dict that says what is said of the network."""
    state = OrderedDict(weights)
    notes = {name: {"version": 1, BESIDE_WEIGHTS: own} for name, own in said_of(network).items()}
    state._metadata = OrderedDict(notes)  # type: ignore[attr-defined]  # as nn.Module.state_dict does
    return state


def heard(path: Path, *said: Any) -> Said:
    """Return what a file says, in its parts, of one layer and of the network around it.

    Raises:
        InputError: what stands there is not of this kind.
    """
    parts = [{} if part is None else part if isinstance(part, Mapping) else {"all of it": part} for part in said]
    own = {str(key): value for part in parts for key, value in part.items()}
    wrong = [key for key, value in own.items() if not isinstance(value, _TYPES.get(key, ()))]
    wrong += [] if wrong or own.get("activation") in (None, *ACTIVATIONS) else ["activation"]
    skips = own.pop("skips", None)
    if skips is not None and not wrong:
        value, zeros = skips.get("value"), skips.get("zeros", False)
        wrong += [] if isinstance(value, int | float) and isinstance(zeros, bool) else ["skips"]
        skips = None if wrong else Skips(float(value), zeros)
    if wrong:
        raise InputError(f"path={path}: what it says of its layers is damaged, or of a later version: {wrong[0]}")
    return Said(**own, skips=skips)
