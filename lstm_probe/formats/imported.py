"""What a file of weights becomes: an `nn.LSTM`, the readout after it, and notes on what was converted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from lstm_probe.recorder.data import LSTMConfig, note_forget_bias

#: What Keras calls what may stand behind a readout.
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu, "softplus": functional.softplus,
    "softmax": lambda x: x.softmax(-1), "exponential": torch.exp, "elu": functional.elu, "selu": functional.selu,
    "softsign": functional.softsign,
}  # fmt: skip

Inputs = Float[Tensor, "sequence time feature"] | Int[Tensor, "sequence time"]


class ImportedModel(nn.Module):
    """(sequence, time, feature) in, (sequence, time, output) out, like `SequenceModel`; h without a readout.

    Args:
        lstm: batch first.
        readout: what makes the outputs of h; the outputs are h itself where this is None.
        embedding: what makes features of tokens, where the file has one; tokens then may be handed in, whole
            numbers or (sequence, time, 1).
        activation: a key of `ACTIVATIONS`, applied to the readout's outputs; None for none.
    """

    def __init__(
        self,
        lstm: nn.LSTM,
        readout: nn.Linear | None = None,
        embedding: nn.Embedding | None = None,
        activation: str | None = None,
    ) -> None:
        super().__init__()
        self.lstm = lstm
        self.readout = nn.Identity() if readout is None else readout
        self.embedding = embedding
        self.activation = activation

    def forward(self, inputs: Inputs) -> Float[Tensor, "sequence time output"]:
        """Return the outputs at every step."""
        if self.embedding is not None and inputs.is_floating_point() and inputs.shape[-1] != self.lstm.input_size:
            inputs = inputs.squeeze(-1).long()
        if self.embedding is not None and not inputs.is_floating_point():
            inputs = self.embedding(inputs)
        outputs = self.readout(self.lstm(inputs.to(self.lstm.get_parameter("weight_ih_l0").dtype))[0])
        return ACTIVATIONS[self.activation](outputs) if self.activation else outputs

    @property
    def shape(self) -> dict[str, Any]:
        """Return all that `of_shape` needs, as plain data."""
        lstm, readout, table = self.lstm, self.readout, self.embedding
        return {
            "inputs": lstm.input_size, "units": lstm.hidden_size, "layers": lstm.num_layers,
            "projection": lstm.proj_size, "bidirectional": lstm.bidirectional, "bias": lstm.bias,
            "outputs": readout.out_features if isinstance(readout, nn.Linear) else None,
            "outputs_bias": isinstance(readout, nn.Linear) and readout.bias is not None,
            "tokens": None if table is None else table.num_embeddings, "activation": self.activation,
            "dtype": str(lstm.get_parameter("weight_ih_l0").dtype).removeprefix("torch."),
            "forget_bias": LSTMConfig.of(lstm).forget_bias,
        }  # fmt: skip

    @classmethod
    def of_shape(cls, shape: Mapping[str, Any]) -> "ImportedModel":
        """Return a module of the given `shape`, for weights that are still to be loaded."""
        dtype = getattr(torch, shape["dtype"])
        with torch.random.fork_rng(devices=[]):
            lstm = nn.LSTM(
                shape["inputs"], shape["units"], shape["layers"], bias=shape["bias"], batch_first=True,
                bidirectional=shape["bidirectional"], proj_size=shape["projection"], dtype=dtype,
            )  # fmt: skip
            width = (shape["projection"] or shape["units"]) * (1 + shape["bidirectional"])
            outputs, tokens = shape["outputs"], shape["tokens"]
            readout = None if outputs is None else nn.Linear(width, outputs, shape["outputs_bias"], dtype=dtype)
            table = None if tokens is None else nn.Embedding(tokens, shape["inputs"], dtype=dtype)
        note_forget_bias(lstm, shape.get("forget_bias", 0.0))  # runs of earlier versions have none
        return cls(lstm, readout, table, shape["activation"])


@dataclass(frozen=True)
class Imported:
    """An LSTM whose weights were made elsewhere.

    Args:
        lstm: batch first, in evaluation mode; float64 where the file's weights are, else float32.
        source: the kind of file and the layer, in words: "Keras 3 .keras file, layer lstm_1".
        name: the layer's own name in the file.
        readout: the linear layer that reads h, where the file has one; it is linear, without `activation`.
        activation: what the file applies after the readout ("softmax"), None where nothing.
        embedding: the table that stands in front of the LSTM, where the file has one.
        last_step: whether the file's readout is for the last step alone.
        notes: what was converted, assumed or left out, a line each.
        not_scored: why the network's own outputs cannot be computed from inputs alone although it has a readout; None
            where they can.
    """

    lstm: nn.LSTM
    source: str
    name: str
    readout: nn.Linear | None = None
    activation: str | None = None
    embedding: nn.Embedding | None = None
    last_step: bool = False
    notes: tuple[str, ...] = ()
    not_scored: str | None = None

    @cached_property
    def model(self) -> ImportedModel:
        """The LSTM and what stands around it, as one module that gives the outputs of every step."""
        return ImportedModel(self.lstm, self.readout, self.embedding).eval()
