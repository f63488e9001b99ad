"""What the last few inputs tell of a signal: a network that only shows them again remembers no more than this."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from lstm_probe.core.errors import InputError
from lstm_probe.probing.data.view import View
from lstm_probe.probing.fits.ridge import ridge_predictions
from lstm_probe.probing.inference.evaluate import evaluate_predictions
from lstm_probe.probing.inference.scores import effects
from lstm_probe.recorder.data import Recording


def windowed(
    inputs: Float[Tensor, "sequence time feature"], lengths: Int[Tensor, " sequence"], k: int
) -> Float[Tensor, "sequence time window"]:
    """Return each step's inputs x[t], x[t−1], ... x[t−k] side by side, in this order.

    Args:
        inputs: of the network.
        lengths: of the sequences.
        k: how many steps back the window reaches, 0 or more.

    Returns:
        (k + 1) × feature columns; 0 for inputs before the start of a sequence, and at steps that are not real.

    Raises:
        InputError: `k` is no whole number from 0.
    """
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 0:
        raise InputError(f"k={k}: must be a whole number from 0")
    sequences, time, features = inputs.shape
    out = inputs.new_zeros(sequences, time, int(k) + 1, features)
    for back in range(min(int(k) + 1, time)):
        out[:, back:, back] = inputs[:, : time - back]
    real = torch.arange(time, device=lengths.device) < lengths[:, None]
    return out.flatten(2).masked_fill(~real.to(inputs.device)[..., None], 0.0)


def input_window(rec: Recording, view: View, k: int) -> Float[np.ndarray, " signal"]:
    """Return the effect of predicting each signal linearly from the network's inputs x[t−k] to x[t]."""
    x = view.features(windowed(rec.inputs, rec.lengths, k))
    result: np.ndarray = effects(evaluate_predictions(ridge_predictions(x, view.columns, view), view).score, view)[0]
    return result
