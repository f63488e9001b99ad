"""What stands behind an imported readout is applied to its outputs."""

import numpy as np
import pytest
import torch
from torch import nn

from lstm_probe.formats.imported import ImportedModel

FORMULAS = {
    None: lambda x: x,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "relu": lambda x: x * (x > 0),
    "softplus": lambda x: np.log(1 + np.exp(x)),
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True),
    "exponential": np.exp,
    "softsign": lambda x: x / (1 + abs(x)),
}


@pytest.mark.parametrize("activation", list(FORMULAS))
def test_outputs_are_the_activations_of_the_readout(activation):
    torch.manual_seed(0)
    lstm, readout = nn.LSTM(2, 3, batch_first=True), nn.Linear(3, 4)
    model = ImportedModel(lstm, readout, activation=activation)
    x = torch.randn(5, 7, 2)
    with torch.no_grad():
        got, plain = model(x).numpy(), readout(lstm(x)[0]).numpy()
    np.testing.assert_allclose(got, FORMULAS[activation](plain), rtol=1e-5, atol=1e-6)
