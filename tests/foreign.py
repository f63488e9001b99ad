"""Other frameworks in the tests: how they are brought in, and our h beside theirs."""

import os
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from lstm_probe.recorder import record


def keras() -> Any:
    """Return Keras 3 on its torch backend; its own warnings are not ours to answer for."""
    os.environ["KERAS_BACKEND"] = "torch"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("keras")


def top_h(lstm: nn.LSTM, inputs: np.ndarray) -> np.ndarray:
    """Return h of the highest layer as our recording has it, both directions side by side."""
    with torch.no_grad():
        rec = record(lstm, torch.from_numpy(inputs).to(lstm.weight_ih_l0.dtype))
    top = [part["h"] for part in rec if part.layer == lstm.num_layers - 1]
    return torch.cat(top, dim=-1).numpy()


def gates_by_hand(x: np.ndarray, cell: Any, n: int, sizes: tuple[int, int]) -> np.ndarray:
    """Run `cell(x_t, c, h) -> (c, h)` from zeros; `sizes` are the lengths of c and h."""
    c, h = np.zeros((n, sizes[0])), np.zeros((n, sizes[1]))
    out = []
    for t in range(x.shape[1]):
        c, h = cell(x[:, t], c, h)
        out.append(h)
    return np.stack(out, axis=1)
