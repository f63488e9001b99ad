"""Methods that people pick instead of ours, by libraries that come with this package: SciPy, scikit-learn, PyTorch.

Each is used as its own pages show it, steps taken as if they were samples, with thresholds that are usual.
"""

import copy
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from scipy import stats
from sklearn.feature_selection import mutual_info_classif, mutual_info_regression
from sklearn.linear_model import Lasso, LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from lstm_probe.core.signal import Batch
from lstm_probe.recorder import record
from lstm_probe.truth.methods.method import NO_LAYERS, NO_PROJECTION, Method, answers, asked

ALPHA = 0.05
#: Of mutual information, every so many steps are looked at: its time grows faster than their number.
EVERY = 4


def memories(model: nn.Module, batch: Batch) -> Float[np.ndarray, "sample unit"]:
    """Return c at every step of every sequence, of the units of all layers, lowest first."""
    parts = record(model, batch.inputs, variables=["c"])
    return np.concatenate([part["c"].flatten(0, 1).double().numpy() for part in parts], axis=1)


def by_layer(model: nn.Module, table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose units are counted through all layers with the layer of each, and its number there."""
    units: int = model.lstm.hidden_size  # type: ignore[union-attr, assignment]
    return table.assign(layer=table["unit"] // units, unit=table["unit"] % units)


def values_of(batch: Batch) -> dict[str, tuple[Float[np.ndarray, " sample"], bool]]:
    """Return each signal at every step of every sequence, and whether it has two classes."""
    return {name: (one.values.flatten().double().numpy(), one.kind == "binary") for name, one in asked(batch).items()}


def correlation(model: nn.Module, batch: Batch, measure: Callable[..., Any]) -> pd.DataFrame:
    """A coefficient of SciPy between c and each signal; significant at 5 % by its own p-value, after Bonferroni."""
    c, signals, rows = memories(model, batch), values_of(batch), []
    for name, (values, _) in signals.items():
        for unit, own in enumerate(c.T):
            r, p = measure(own, values) if np.ptp(own) > 0 and np.ptp(values) > 0 else (0.0, 1.0)
            rows.append((unit, name, abs(float(r)), bool(p * len(signals) * c.shape[1] <= ALPHA)))
    table = by_layer(model, pd.DataFrame(rows, columns=["unit", "name", "score", "verdict"]))
    return answers("holds", table, "name", "score", table["verdict"])


def pearson(model: nn.Module, batch: Batch) -> pd.DataFrame:
    """The absolute correlation."""
    return correlation(model, batch, stats.pearsonr)


def spearman(model: nn.Module, batch: Batch) -> pd.DataFrame:
    """The absolute correlation of ranks."""
    return correlation(model, batch, stats.spearmanr)


def mutual_information(model: nn.Module, batch: Batch) -> pd.DataFrame:
    """scikit-learn's mutual information of c and each signal, by nearest neighbours."""
    c, rows = memories(model, batch)[::EVERY], []
    for name, (values, binary) in values_of(batch).items():
        measure = mutual_info_classif if binary else mutual_info_regression
        rows += [(unit, name, own) for unit, own in enumerate(measure(c, values[::EVERY], random_state=0))]
    return answers("holds", by_layer(model, pd.DataFrame(rows, columns=["unit", "name", "score"])), "name", "score")


def sparse_probe(model: nn.Module, batch: Batch) -> pd.DataFrame:
    """scikit-learn's L1 probe of all units together: the weights of a logistic regression, or of a lasso."""
    x, rows = StandardScaler().fit_transform(memories(model, batch)), []
    for name, (values, binary) in values_of(batch).items():
        if binary:
            probe: Any = LogisticRegression(l1_ratio=1, solver="saga", C=0.1, max_iter=200, tol=1e-2, random_state=0)
            weights = probe.fit(x, values > 0).coef_[0] if np.ptp(values) > 0 else np.zeros(x.shape[1])
        else:
            weights = Lasso(alpha=0.05).fit(x, (values - values.mean()) / (values.std() or 1.0)).coef_
        rows += [(unit, name, abs(weight), weight != 0) for unit, weight in enumerate(weights)]
    table = by_layer(model, pd.DataFrame(rows, columns=["unit", "name", "score", "verdict"]))
    return answers("holds", table, "name", "score", table["verdict"])


def by_output(model: nn.Module, batch: Batch, score: Callable[[slice], torch.Tensor]) -> pd.DataFrame:
    """Return what is said of each unit of all layers, lowest first, for each target, from its outputs."""
    rows, start = [], 0
    for spec in batch.target_specs:
        for unit, value in enumerate(score(slice(start, start + spec.size)).tolist()):
            rows.append((unit, spec.name, value))
        start += spec.size
    table = by_layer(model, pd.DataFrame(rows, columns=["unit", "name", "score"]))
    return answers("needed", table, "name", "score")


def read_weights(model: nn.Module) -> Float[Tensor, "output unit"]:
    """Return the readout's weights of each unit.

    Raises:
        NotImplementedError: there are units that it does not read, or it reads no units.
    """
    lstm: nn.LSTM = model.lstm  # type: ignore[assignment]
    if lstm.num_layers > 1:
        raise NotImplementedError(NO_LAYERS)
    if lstm.proj_size:
        raise NotImplementedError(NO_PROJECTION)
    return model.readout.weight.detach()  # type: ignore[union-attr, operator]


def weight_norm(model: nn.Module, batch: Batch) -> pd.DataFrame:
    """The norm of the readout's weights of each unit."""
    weights = read_weights(model)
    return by_output(model, batch, lambda own: weights[own].norm(dim=0))


def weight_times_spread(model: nn.Module, batch: Batch) -> pd.DataFrame:
    """The same, times the standard deviation of what the unit shows."""
    weights = read_weights(model)
    spread = record(model, batch.inputs, variables=["h"]).h.flatten(0, 1).std(0)
    return by_output(model, batch, lambda own: weights[own].norm(dim=0) * spread)


def gradient_times_activation(model: nn.Module, batch: Batch) -> pd.DataFrame:
    """The mean absolute gradient of each output, summed over steps, by c at every step, times c."""
    from lstm_probe.truth.gradients import memory_gradients

    layers: int = model.lstm.num_layers  # type: ignore[union-attr, assignment]
    found = []
    for layer in range(layers):
        c, gradients = memory_gradients(model, batch, layer=layer)
        found.append((gradients * c).abs().mean((1, 2)))
    every = torch.cat(found, dim=-1)
    return by_output(model, batch, lambda own: every[own].sum(0))


def pruning_saliency(model: nn.Module, batch: Batch) -> pd.DataFrame:
    """How often torch.ao's LSTMSaliencyPruner keeps a unit's gates, over all levels of sparsity.

    It knows weights alone: what it says is the same for every target.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it is still experimental
        from torch.ao.pruning._experimental.pruner.lstm_saliency_pruner import LSTMSaliencyPruner
    units: int = model.lstm.hidden_size  # type: ignore[union-attr, assignment]
    layers: int = model.lstm.num_layers  # type: ignore[union-attr, assignment]
    weights = [f"weight_{kind}_l{layer}" for layer in range(layers) for kind in ("ih", "hh")]
    kept = torch.zeros(layers, units)
    for removed in range(1, units):
        pruned = copy.deepcopy(model)
        pruner = LSTMSaliencyPruner({"sparsity_level": (removed + 0.5) / units})
        pruner.prepare(pruned, [{"tensor_fqn": f"lstm.{name}"} for name in weights])
        pruner.enable_mask_update = True
        pruner.step()
        masks = [pruned.lstm.parametrizations[name][0].mask for name in weights]  # type: ignore[union-attr, index]
        rows = torch.stack([mask.float().view(mask.shape[0], -1).mean(1) for mask in masks])
        kept += rows.view(layers, -1, units).mean(1)
    return by_output(model, batch, lambda own: kept.flatten() / (units - 1))


FOREIGN = {
    "correlation": Method(pearson, False, "SciPy's Pearson correlation of c with a signal, and its p-value."),
    "rank correlation": Method(spearman, False, "SciPy's Spearman correlation of c with a signal, and its p-value."),
    "mutual information": Method(mutual_information, False, "scikit-learn's mutual information of c and a signal."),
    "sparse probe": Method(sparse_probe, False, "scikit-learn's L1 probe of all units together: its weights."),
    "gradient × activation": Method(gradient_times_activation, False, "Gradients by c, times c, by PyTorch."),
    "weight norm": Method(
        weight_norm, False, "The norm of the readout's weights of a unit, by PyTorch.", question="needed"
    ),
    "weight × spread": Method(
        weight_times_spread, False, "The same, times the spread of what the unit shows.", question="needed"
    ),
    "pruning saliency": Method(pruning_saliency, False, "What torch.ao.pruning's LSTMSaliencyPruner keeps longest."),
}
