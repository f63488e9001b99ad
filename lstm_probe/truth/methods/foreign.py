"""Methods that people pick instead of ours, through their own libraries."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import Lasso, LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import nn

from lstm_probe.core.signal import Batch
from lstm_probe.recorder import record
from lstm_probe.truth.methods.method import Method, answers, asked


def correlation(model: nn.Module, batch: Batch) -> pd.DataFrame:
    """The absolute correlation of c with each signal."""
    c = record(model, batch.inputs, variables=["c"]).c.flatten(0, 1).double().numpy()
    rows = []
    for name, signal in asked(batch).items():
        values = signal.values.flatten().double().numpy()
        for unit, own in enumerate(c.T):
            varies = own.std() > 0 and values.std() > 0
            rows.append((unit, name, abs(np.corrcoef(own, values)[0, 1]) if varies else 0.0))
    return answers("holds", pd.DataFrame(rows, columns=["unit", "name", "score"]), "name", "score")


def sparse_probe(model: nn.Module, batch: Batch) -> pd.DataFrame:
    """scikit-learn's L1 probe of all units together: the weights of a logistic regression, or of a lasso."""
    c = record(model, batch.inputs, variables=["c"]).c.flatten(0, 1).double().numpy()
    x = StandardScaler().fit_transform(c)
    rows = []
    for name, signal in asked(batch).items():
        values = signal.values.flatten().double().numpy()
        if signal.kind == "binary":
            probe: Any = LogisticRegression(l1_ratio=1, solver="saga", C=0.1, max_iter=200, tol=1e-2, random_state=0)
            weights = probe.fit(x, values > 0).coef_[0]
        else:
            weights = Lasso(alpha=0.05).fit(x, (values - values.mean()) / (values.std() or 1.0)).coef_
        rows += [(unit, name, abs(weight), weight != 0) for unit, weight in enumerate(weights)]
    table = pd.DataFrame(rows, columns=["unit", "name", "score", "verdict"])
    return answers("holds", table, "name", "score", table["verdict"])


def _by_output(model: nn.Module, batch: Batch, score: Callable[[Any, slice], torch.Tensor]) -> pd.DataFrame:
    rows, start = [], 0
    for spec in batch.target_specs:
        for unit, value in enumerate(score(spec, slice(start, start + spec.size)).tolist()):
            rows.append((unit, spec.name, value))
        start += spec.size
    return answers("needed", pd.DataFrame(rows, columns=["unit", "name", "score"]), "name", "score")


def weight_norm(model: nn.Module, batch: Batch) -> pd.DataFrame:
    """The norm of the readout's weights of each unit."""
    weights: torch.Tensor = model.readout.weight.detach()  # type: ignore[union-attr, operator]
    return _by_output(model, batch, lambda spec, own: weights[own].norm(dim=0))


def weight_times_spread(model: nn.Module, batch: Batch) -> pd.DataFrame:
    """The same, times the standard deviation of what the unit shows."""
    weights: torch.Tensor = model.readout.weight.detach()  # type: ignore[union-attr, operator]
    spread = record(model, batch.inputs, variables=["h"]).h.flatten(0, 1).std(0)
    return _by_output(model, batch, lambda spec, own: weights[own].norm(dim=0) * spread)


def gradient_times_activation(model: nn.Module, batch: Batch) -> pd.DataFrame:
    """The mean absolute gradient of each output at the last step by c at an early one, times c."""
    from lstm_probe.truth.gradients import memory_gradients

    c, gradients = memory_gradients(model, batch)
    return _by_output(model, batch, lambda spec, own: (gradients[own] * c).abs().sum(0).mean((0, 1)))


FOREIGN = {
    "correlation": Method(correlation, False, "The absolute Pearson correlation of c with a signal, by NumPy."),
    "sparse probe": Method(sparse_probe, False, "scikit-learn's L1 probe of all units together: its weights."),
    "gradient × activation": Method(gradient_times_activation, False, "Gradients by c, times c, by PyTorch."),
    "weight norm": Method(weight_norm, False, "The norm of the readout's weights of a unit, by PyTorch."),
    "weight × spread": Method(weight_times_spread, False, "The same, times the spread of what the unit shows."),
}
