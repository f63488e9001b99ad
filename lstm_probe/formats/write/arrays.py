"""A module's weights as arrays in a framework's own order of gates."""

import numpy as np
import torch
from torch import Tensor, nn

from lstm_probe.formats.gates import reorder


def as_array(tensor: Tensor) -> np.ndarray:
    """Return a tensor's values as float32."""
    return tensor.detach().to("cpu", torch.float32).numpy()


def layer_weights(lstm: nn.LSTM, name: str, layer: int, framework: str) -> list[np.ndarray]:
    """Return a weight of a layer in each direction, gates on the last axis and in the framework's order."""
    suffixes = ("", "_reverse") if lstm.bidirectional else ("",)
    return [reorder(as_array(getattr(lstm, f"{name}_l{layer}{s}")).T, "pytorch", framework) for s in suffixes]
