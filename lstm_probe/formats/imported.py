"""What a file of weights becomes: layers of a cell, the readout after them, and notes on what was converted."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lstm_probe.cells.known import cell_of, get_cell
from lstm_probe.cells.lstm import LSTM
from lstm_probe.cells.module import Layers
from lstm_probe.core.errors import InputError, clean, nearest
from lstm_probe.core.numbers import many
from lstm_probe.core.shown import Shown, Told, named
from lstm_probe.core.vocabulary import UNKNOWN
from lstm_probe.recorder.backward import reverse_sequences
from lstm_probe.recorder.config import LSTMConfig, is_backward, make_layers
from lstm_probe.recorder.initial import note_origin

#: What Keras calls what may stand behind a readout.
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu, "softplus": functional.softplus,
    "softmax": lambda x: x.softmax(-1), "exponential": torch.exp, "elu": functional.elu, "selu": functional.selu,
    "softsign": functional.softsign,
}  # fmt: skip

#: How a reader's note begins that says why there is no readout.
_UNTAKEN = "no readout taken: "

Inputs = Float[Tensor, "sequence time feature"] | Int[Tensor, "sequence time"]


@dataclass(frozen=True)
class Skips:
    """Steps that a network skips, its state held: those where all inputs, or the token, are `value`.

    What it hands on there is what it did before; zeros if `zeros`.
    """

    value: float
    zeros: bool = False


class ImportedModel(nn.Module):
    """(sequence, time, feature) in, (sequence, time, output) out, like `SequenceModel`; h without a readout.

    Args:
        lstm: batch first.
        readout: what makes the outputs of h; the outputs are h itself where this is None.
        embedding: what makes features of tokens, where the file has one; tokens then may be handed in, whole
            numbers or (sequence, time, 1).
        activation: a key of `ACTIVATIONS`, applied to the readout's outputs; None for none.
        last_step: whether the readout was made for each direction's own last step. The reverse direction's is a
            sequence's first, so its h there is what is read at every step.
        skips: which steps are skipped; None for none.
        turned: whether outputs follow one another as a `BackwardLSTM` makes them, from a sequence's end.
    """

    def __init__(
        self,
        lstm: Layers,
        readout: nn.Linear | None = None,
        embedding: nn.Embedding | None = None,
        activation: str | None = None,
        *,
        last_step: bool = False,
        skips: Skips | None = None,
        turned: bool = False,
    ) -> None:
        super().__init__()
        self.lstm = lstm
        self.readout = nn.Identity() if readout is None else readout
        self.embedding = embedding
        self.activation = activation
        self.last_step, self.skips, self.turned = last_step, skips, turned

    def forward(
        self, inputs: Inputs, lengths: Int[Tensor, " sequence"] | None = None
    ) -> Float[Tensor, "sequence time output"]:
        """Return the outputs at every step.

        Args:
            inputs: features or tokens.
            lengths: how many steps of each sequence are real, padding behind them; then each sequence is read as if
                it stood alone, also from its own end. None: all steps are real, but for those that `skips` says.
        """
        inputs, real = self._tokens(inputs), self.real_steps(inputs)
        if lengths is not None:
            lengths = lengths.to(inputs.device)
            real &= torch.arange(inputs.shape[1], device=inputs.device) < lengths.unsqueeze(1)
        if self.embedding is not None and not inputs.is_floating_point():
            inputs = self.embedding(inputs)
        h = self._h(inputs.to(self.lstm.get_parameter("weight_ih_l0").dtype), real, lengths)
        outputs = self.readout(h)
        return ACTIVATIONS[self.activation](outputs) if self.activation else outputs

    def _tokens(self, inputs: Inputs) -> Inputs:
        """Return tokens as whole numbers of shape (sequence, time); features as they are."""
        if self.embedding is not None and inputs.is_floating_point() and inputs.shape[-1] != self.lstm.input_size:
            return inputs.squeeze(-1).long()
        return inputs

    def real_steps(self, inputs: Inputs) -> Bool[Tensor, "sequence time"]:
        """Return True at the steps that are not skipped."""
        inputs = self._tokens(inputs)
        if self.skips is None:
            return torch.ones(inputs.shape[:2], dtype=torch.bool, device=inputs.device)
        other = inputs != self.skips.value
        return other if other.dim() == 2 else other.any(-1)

    def _h(self, x: Tensor, real: Tensor, lengths: Tensor | None) -> Tensor:
        """Return what the readout reads at every step."""
        one_way = not self.lstm.bidirectional and not is_backward(self.lstm)
        if one_way and self.skips is None:
            h: Tensor = self.lstm(x)[0]  # what stands behind the real steps is read after them
            return h
        count = real.sum(1)
        behind = bool((real == (torch.arange(x.shape[1], device=x.device) < count.unsqueeze(1))).all())
        if bool(real.all()) or (one_way and behind and lengths is not None):
            h = self.lstm(x)[0]  # nothing that is read before a real step has to be left out
        else:
            order = (~real).int().argsort(dim=1, stable=True)  # real steps to the front
            # A sequence without a real step is given one, because there is no empty one; its h is not used.
            packed = pack_padded_sequence(
                x.gather(1, order.unsqueeze(-1).expand_as(x)), count.clamp(min=1).cpu(), True, enforce_sorted=False
            )
            h = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=x.shape[1])[0]
        if not bool(real.all()):
            h = self._in_place(h, real)
        if self.lstm.bidirectional and self.last_step:
            forward, reverse = h.chunk(2, -1)
            h = torch.cat([forward, reverse[:, :1].expand_as(reverse)], dim=-1)
        if not self.turned:
            return h
        return h.flip(1) if lengths is None else reverse_sequences(h, lengths)

    def _in_place(self, h: Tensor, real: Tensor) -> Tensor:
        """Return h of real steps, which stand in front, at their own places; at others, h of the step read before."""
        seen, count = real.cumsum(1), real.sum(1, keepdim=True)
        before = (seen - 1, seen > 0)  # the number of the real step read last, and whether there was one
        after = (seen - real.long(), seen - real.long() < count)
        ways = [after] if is_backward(self.lstm) else [before, after][: 1 + self.lstm.bidirectional]
        parts = []
        for part, (index, any_yet) in zip(h.chunk(len(ways), -1), ways):
            keep = any_yet & real if self.skips is not None and self.skips.zeros else any_yet
            index = index.clamp(min=0, max=h.shape[1] - 1).unsqueeze(-1).expand_as(part)
            parts.append(torch.where(keep.unsqueeze(-1), part.gather(1, index), 0.0))
        return torch.cat(parts, dim=-1)

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
            "init": LSTMConfig.of(lstm).init, "forget_bias": LSTMConfig.of(lstm).forget_bias,
            "backward": is_backward(lstm), "cell": cell_of(lstm).name,
            "last_step": self.last_step, "turned": self.turned,
            "skips": None if self.skips is None else asdict(self.skips),
        }  # fmt: skip

    @classmethod
    def of_shape(cls, shape: Mapping[str, Any]) -> "ImportedModel":
        """Return a module of the given `shape`, for weights that are still to be loaded."""
        dtype = getattr(torch, shape["dtype"])
        with torch.random.fork_rng(devices=[]):
            lstm = make_layers(
                get_cell(shape.get("cell", LSTM.name)), shape["inputs"], shape["units"], shape["layers"],
                bias=shape["bias"], bidirectional=shape["bidirectional"], projection=shape["projection"],
                backward=bool(shape.get("backward")),
            ).to(dtype)  # fmt: skip
            width = (shape["projection"] or shape["units"]) * (1 + shape["bidirectional"])
            outputs, tokens = shape["outputs"], shape["tokens"]
            readout = None if outputs is None else nn.Linear(width, outputs, shape["outputs_bias"], dtype=dtype)
            table = None if tokens is None else nn.Embedding(tokens, shape["inputs"], dtype=dtype)
        # Runs of earlier versions lack some of these.
        note_origin(lstm, shape.get("init", UNKNOWN), shape.get("forget_bias"))
        skips = shape.get("skips")
        return cls(
            lstm, readout, table, shape["activation"], last_step=shape.get("last_step", False),
            skips=None if skips is None else Skips(**skips), turned=shape.get("turned", False),
        )  # fmt: skip


@dataclass(frozen=True, repr=False)
class Imported(Shown):
    """An LSTM, or layers of another cell, whose weights were made elsewhere.

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
        skips: which steps the network skips; None for none.
        turned: whether the network's outputs follow one another as a `BackwardLSTM` makes them.
        same_step: whether the last step is that of both directions, not each one's own last.
    """

    lstm: Layers
    source: str
    name: str
    readout: nn.Linear | None = None
    activation: str | None = None
    embedding: nn.Embedding | None = None
    last_step: bool = False
    notes: tuple[str, ...] = ()
    not_scored: str | None = None
    skips: Skips | None = None
    turned: bool = False
    same_step: bool = False

    def _told(self) -> Told:
        config, readout = LSTMConfig.of(self.lstm), self.readout
        shape = [f"{many(config.inputs, 'input')}, {many(config.units, 'unit')}, {many(config.layers, 'layer')}"]
        shape += [f"h projected to {config.projection}"] * bool(config.projection)
        shape += ["both directions"] * config.bidirectional + ["no biases"] * (not config.bias)
        behind = f", then {named(self.activation)}" if self.activation else ""
        where = " (at the last step)" if self.last_step else ""
        read = "no readout" if readout is None else f"readout of {many(readout.out_features, 'output')}{where}{behind}"
        table = self.embedding
        tokens = [] if table is None else [f"embedding of {many(table.num_embeddings, 'token')}"]
        lines = [", ".join(shape), "; ".join([read, *tokens])]
        lines += [f"its own outputs cannot be computed: {self.not_scored}"] * (self.not_scored is not None)
        return Told(f"Imported: {clean(self.source)}", lines, more=self.notes,
                    below=[f".lstm is {self._module}, .model the network around it; .notes"])  # fmt: skip

    @property
    def _module(self) -> str:
        cell = cell_of(self.lstm)
        return "the nn.LSTM" if cell == LSTM else cell.a_title

    @property
    def untaken(self) -> str | None:
        """Why no readout was taken, where a note says so."""
        found = (note.partition(_UNTAKEN)[2] for note in self.notes if note.startswith(_UNTAKEN))
        return next(found, None)

    @cached_property
    def model(self) -> ImportedModel:
        """The LSTM and what stands around it, as one module that gives the outputs of every step."""
        return self.with_activation(None)

    def with_activation(self, activation: str | None) -> ImportedModel:
        """Return `model` with what stands behind its readout.

        Raises:
            InputError: an activation that is not known here.
        """
        if activation is not None and activation not in ACTIVATIONS:
            legal = list(ACTIVATIONS)
            raise InputError(f"activation={activation}: must be one of {', '.join(legal)}, or None."
                             f"{nearest(activation, legal)}")  # fmt: skip
        return ImportedModel(
            self.lstm, self.readout, self.embedding, activation, last_step=self.last_step and not self.same_step,
            skips=self.skips, turned=self.turned,
        ).eval()  # fmt: skip
