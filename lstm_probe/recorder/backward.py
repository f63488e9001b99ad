"""An LSTM that reads each sequence from its end: Keras's `go_backwards`, ONNX's `direction="reverse"`."""

from typing import Any

import torch
from jaxtyping import Int, Shaped
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from lstm_probe.core.errors import InputError

States = tuple[Tensor, Tensor]


def reverse_sequences(
    values: Shaped[Tensor, "sequence time *rest"], lengths: Int[Tensor, " sequence"]
) -> Shaped[Tensor, "sequence time *rest"]:
    """Return each sequence's real steps in reverse order; steps beyond its length stay where they are."""
    step = torch.arange(values.shape[1], device=values.device)
    index = torch.where(step < lengths.unsqueeze(1), lengths.unsqueeze(1) - 1 - step, step)
    return values.gather(1, index.view(*index.shape, *[1] * (values.dim() - 2)).expand_as(values))


class BackwardLSTM(nn.LSTM):
    """An `nn.LSTM` that reads from the last step to the first; its weights have the names of a forward one.

    What it returns stands where it was read, as in the reverse direction of a bidirectional `nn.LSTM`: h at step t has
    seen step t and all after it. Of packed sequences it reads each from its own last step; of a padded batch it
    reads the padding first. The final state is that after the first step.

    Raises:
        InputError: it is to have two directions.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.bidirectional:
            raise InputError("bidirectional=True: a BackwardLSTM has one direction")

    def forward(self, input: Any, hx: States | None = None) -> tuple[Any, States]:
        """Return h of every step and the state after the first one, as `nn.LSTM` does."""
        if isinstance(input, PackedSequence):
            shown, state = super().forward(_reversed(input), hx)
            return _reversed(shown), state
        time = 0 if input.dim() == 2 or not self.batch_first else 1
        shown, state = super().forward(input.flip(time), hx)
        return shown.flip(time), state


def _reversed(packed: PackedSequence) -> PackedSequence:
    padded, lengths = pad_packed_sequence(packed, batch_first=True)
    turned = reverse_sequences(padded, lengths.to(padded.device))
    return pack_padded_sequence(turned, lengths, batch_first=True, enforce_sorted=False)
