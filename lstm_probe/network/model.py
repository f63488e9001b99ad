"""SequenceModel: recurrent layers, an LSTM's or another cell's, with a linear readout straight from h."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lstm_probe.cells.declared import Cell
from lstm_probe.cells.known import get_cell
from lstm_probe.cells.module import Layers
from lstm_probe.recorder.config import make_layers
from lstm_probe.recorder.initial import initialise


class SequenceModel(nn.Module):
    """(sequence, time, feature) in, (sequence, time, output) out.

    The readout is linear in the top layer's h and nothing stands between, so that what a unit shows is what the
    outputs are made of.

    Args:
        inputs: features of an input.
        outputs: outputs of the readout.
        units: memories in each layer.
        layers: how many layers.
        projection: length of h where a projection is to shorten it, 0 for none; smaller than `units`.
        seed: the initial weights follow from it alone (those of the readout as PyTorch draws them).
        forget_bias: of every forget gate at the start, None for the initialisation's own; 1 makes memories that hold
            longer from the first update on (Gers, Schmidhuber & Cummins 2000; Jozefowicz, Zaremba & Sutskever 2015).
        init: how the weights of the layers begin; see `recorder.initial.initialise`.
        steps: the longest dependence that init="chrono" spans.
        cell: what a unit is: a cell, or its name as `get_cell` has it.

    Attributes:
        lstm: the layers, whatever their cell: an `nn.LSTM`, `nn.GRU` or `nn.RNN`, else a `GatedRNN`.

    Raises:
        InputError: no such cell; a projection of another than an LSTM; or a beginning that it cannot have.
    """

    lstm: Layers

    def __init__(
        self, inputs: int, outputs: int, units: int, layers: int = 1, projection: int = 0, seed: int = 0,
        forget_bias: float | None = None, init: str = "torch", steps: int = 100,
        cell: Cell | str = "lstm",
    ) -> None:  # fmt: skip
        super().__init__()
        cell = get_cell(cell) if isinstance(cell, str) else cell
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.lstm = make_layers(cell, inputs, units, layers, projection=projection)
            self.readout = nn.Linear(projection or units, outputs)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            initialise(self.lstm, init, forget_bias, steps)

    def forward(self, inputs: Float[Tensor, "sequence time feature"]) -> Float[Tensor, "sequence time output"]:
        """Return the outputs at every step."""
        outputs: Tensor = self.readout(self.lstm(inputs)[0])
        return outputs

    def advance(
        self, inputs: Float[Tensor, "sequence time feature"], state: Any = None
    ) -> tuple[Float[Tensor, "sequence time output"], Any]:
        """Return the outputs at every step, and the state after the last.

        Args:
            inputs: what is read.
            state: to begin with, (layer, sequence, unit) each: h where that is all that is carried, else a tuple in the
                order of `cell.state`, such as h and c. None: what a sequence begins with.
        """
        hidden, state = self.lstm(inputs, state)
        return self.readout(hidden), state
