"""SequenceModel: an `nn.LSTM` with a linear readout straight from h."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

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
        init: how the LSTM's weights begin; see `recorder.initial.initialise`.
        steps: the longest dependence that init="chrono" spans.
    """

    def __init__(
        self, inputs: int, outputs: int, units: int, layers: int = 1, projection: int = 0, seed: int = 0,
        forget_bias: float | None = None, init: str = "torch", steps: int = 100,
    ) -> None:  # fmt: skip
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.lstm = nn.LSTM(inputs, units, layers, batch_first=True, proj_size=projection)
            self.readout = nn.Linear(projection or units, outputs)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            initialise(self.lstm, init, forget_bias, steps)

    def forward(self, inputs: Float[Tensor, "sequence time feature"]) -> Float[Tensor, "sequence time output"]:
        """Return the outputs at every step."""
        outputs: Tensor = self.readout(self.lstm(inputs)[0])
        return outputs

    def advance(
        self, inputs: Float[Tensor, "sequence time feature"], state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Float[Tensor, "sequence time output"], tuple[Tensor, Tensor]]:
        """Return the outputs at every step, and the state after the last.

        Args:
            inputs: what is read.
            state: h and c to begin with, (layer, sequence, unit) each; zeros where this is None.
        """
        hidden, state = self.lstm(inputs, state)
        return self.readout(hidden), state
