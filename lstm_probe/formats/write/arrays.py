"""A module's weights as arrays in a framework's own order of gates."""

import numpy as np
import torch
from torch import Tensor

from lstm_probe.cells.module import Layers
from lstm_probe.core.vocabulary import GATE_ORDERS
from lstm_probe.formats.gates import Orders, reorder


def as_array(tensor: Tensor, dtype: torch.dtype = torch.float32) -> np.ndarray:
    """Return a tensor's values, as float32 unless another type is said."""
    return tensor.detach().to("cpu", dtype).numpy()


def suffixes(lstm: Layers) -> tuple[str, ...]:
    """Return how the names of each direction's weights end."""
    return ("", "_reverse") if lstm.bidirectional else ("",)


def layer_weights(
    lstm: Layers, name: str, layer: int, framework: str, dtype: torch.dtype = torch.float32,
    orders: Orders = GATE_ORDERS,
) -> list[np.ndarray]:  # fmt: skip
    """Return a weight of a layer in each direction, gates on the last axis and in the framework's order of `orders`.

    Recurrent weights are those of m = o · tanh(c), also where a projection P makes h = P m of it: an LSTM whose
    recurrent weights are W P, with P as a linear layer behind it, is the same network.
    """
    weights = [lstm.get_parameter(f"{name}_l{layer}{s}").detach() for s in suffixes(lstm)]
    if name == "weight_hh" and lstm.proj_size:
        shown = [lstm.get_parameter(f"weight_hr_l{layer}{s}").detach() for s in suffixes(lstm)]
        weights = [w.double() @ p.double() for w, p in zip(weights, shown)]
    return [reorder(as_array(w, dtype).T, "pytorch", framework, orders) for w in weights]


def projection(lstm: Layers, layer: int, dtype: torch.dtype = torch.float32) -> np.ndarray:
    """Return what makes h of m in a layer, both directions side by side: (directions · units, directions · outputs)."""
    shown = [lstm.get_parameter(f"weight_hr_l{layer}{s}").detach().T for s in suffixes(lstm)]
    return as_array(torch.block_diag(*shown), dtype)
