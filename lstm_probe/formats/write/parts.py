"""What of a module a file is written of."""

from dataclasses import dataclass

import torch
from torch import nn

from lstm_probe.cells.known import cell_of
from lstm_probe.cells.module import GatedRNN, Layers
from lstm_probe.core.errors import InputError
from lstm_probe.formats.imported import ACTIVATIONS, Imported, ImportedModel, Skips
from lstm_probe.recorder.a_module import check_module
from lstm_probe.recorder.config import is_backward


@dataclass(frozen=True)
class Parts:
    """Layers of a cell and what stands around them; all but `lstm` may be None, and the rest as in `ImportedModel`."""

    lstm: Layers
    readout: nn.Linear | None = None
    embedding: nn.Embedding | None = None
    activation: str | None = None
    last_step: bool = False
    skips: Skips | None = None
    turned: bool = False

    @property
    def backward(self) -> bool:
        """Return whether it reads each sequence from its end alone."""
        return is_backward(self.lstm)

    @property
    def reverse_end(self) -> bool:
        """Return whether the readout reads, at every step, what the reverse direction shows at its own last one."""
        return self.lstm.bidirectional and self.last_step

    @property
    def width(self) -> int:
        """Return the length of h, both directions together."""
        return (self.lstm.proj_size or self.lstm.hidden_size) * (1 + self.lstm.bidirectional)

    @property
    def dtype(self) -> torch.dtype:
        """Return the type of the layers' weights."""
        return self.lstm.get_parameter("weight_ih_l0").dtype


def module_of(model: nn.Module | Imported) -> nn.Module:
    """Return the module whose outputs a file's are to be; of a file that was read, with what stands behind its readout.

    Raises:
        InputError: what stands there is not known here.
    """
    if not isinstance(model, Imported):
        return model
    if model.activation is not None and model.activation not in ACTIVATIONS:
        raise InputError(f"{model.source}: its outputs go through {model.activation}, which is not written; "
                         "its .model is without that")  # fmt: skip
    return model.with_activation(model.activation)


def parts_of(module: nn.Module) -> Parts:
    """Return what of a module is written.

    Raises:
        InputError: it does not hold exactly one recurrent module, or what stands around that does not fit it.
    """
    check_module(module)
    lstms = {name: part for name, part in module.named_modules() if isinstance(part, nn.RNNBase | GatedRNN)}
    if len(lstms) != 1:
        what = "nn.LSTM" if lstms and all(isinstance(part, nn.LSTM) for part in lstms.values()) else "recurrent module"
        raise InputError(
            f"{type(module).__name__}: must hold exactly one {what}; it holds {', '.join(lstms) or 'none'}"
        )
    readout, embedding = getattr(module, "readout", None), getattr(module, "embedding", None)
    parts = Parts(
        next(iter(lstms.values())),
        readout if isinstance(readout, nn.Linear) else None,
        embedding if isinstance(embedding, nn.Embedding) else None,
        *((module.activation, module.last_step, module.skips, module.turned)
          if isinstance(module, ImportedModel) else ()),
    )  # fmt: skip
    if parts.readout is not None and parts.readout.in_features != parts.width:
        raise InputError(f"{type(module).__name__}: its readout reads {parts.readout.in_features} numbers, and h has "
                         f"{parts.width}: what stands between is not written")  # fmt: skip
    if parts.embedding is not None and parts.embedding.embedding_dim != parts.lstm.input_size:
        raise InputError(f"{type(module).__name__}: its embedding gives {parts.embedding.embedding_dim} numbers, and "
                         f"its {cell_of(parts.lstm).title} reads {parts.lstm.input_size}: what else it reads is not "
                         "written")  # fmt: skip
    return parts
