"""Methods, ours and those that people pick instead, behind one small interface.

Each is a function of a model and a batch that returns a row for each answer: see `evaluation.Method`.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import Lasso, LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import nn

from lstm_probe.causal import ablation, patches, shares
from lstm_probe.causal.sufficient import NotLearnedError
from lstm_probe.core.signal import Batch
from lstm_probe.probing import probe_units
from lstm_probe.probing.analyses.confounds import partial_effects
from lstm_probe.recorder import record

PERMUTATIONS, BOOTSTRAP = 399, 100


def answers(question: str, table: pd.DataFrame, name: str, score: str, verdict: Any = None) -> pd.DataFrame:
    """Return a method's rows.

    Args:
        question: "holds" or "needed".
        table: with a column `unit`.
        name: the column with names of signals or targets.
        score: the column with scores.
        verdict: true, false or None for each row; None where the method has no verdicts.
    """
    made = pd.DataFrame({"question": question, "unit": table["unit"], "name": table[name], "score": table[score]})
    if verdict is not None:
        made["verdict"] = np.asarray(verdict, dtype=object)
    return made


def _signals(batch: Batch) -> dict[str, Any]:
    return {name: signal for name, signal in batch.signals.items() if name != "step"}


def tracks(model: nn.Module, batch: Batch) -> pd.DataFrame:
    """Our probe of single units: which track which signal."""
    rec = record(model, batch.inputs, variables=["c"])
    table = probe_units(rec, _signals(batch), permutations=PERMUTATIONS, bootstrap=BOOTSTRAP)
    verdict = [bool(found) if testable else None for found, testable in zip(table["tracks"], table["testable"])]
    return answers("holds", table, "signal", "effect", verdict)


def tracks_by_itself(model: nn.Module, batch: Batch) -> pd.DataFrame:
    """The same, for units that tell of a signal what the input and all other signals do not."""
    rec = record(model, batch.inputs, variables=["c"])
    signals = _signals(batch)
    table = probe_units(rec, signals, permutations=PERMUTATIONS, bootstrap=BOOTSTRAP)
    alone = partial_effects(rec, signals)
    table = table.merge(alone[["unit", "signal", "partial", "ci_low"]], on=["unit", "signal"], suffixes=("", "_alone"))
    verdict = (table["tracks"] & (table["ci_low_alone"] > 0)).astype(object)
    return answers("holds", table, "signal", "partial", verdict)


def correlation(model: nn.Module, batch: Batch) -> pd.DataFrame:
    """The absolute correlation of c with each signal."""
    c = record(model, batch.inputs, variables=["c"]).c.flatten(0, 1).double().numpy()
    rows = []
    for name, signal in _signals(batch).items():
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
    for name, signal in _signals(batch).items():
        values = signal.values.flatten().double().numpy()
        if signal.kind == "binary":
            probe: Any = LogisticRegression(l1_ratio=1, solver="saga", C=0.1, max_iter=200, tol=1e-2, random_state=0)
            weights = probe.fit(x, values > 0).coef_[0]
        else:
            weights = Lasso(alpha=0.05).fit(x, (values - values.mean()) / (values.std() or 1.0)).coef_
        rows += [(unit, name, abs(weight), weight != 0) for unit, weight in enumerate(weights)]
    table = pd.DataFrame(rows, columns=["unit", "name", "score", "verdict"])
    return answers("holds", table, "name", "score", table["verdict"])


def clamp(model: nn.Module, batch: Batch, mode: str) -> pd.DataFrame:
    """Our table of ablations: what clamping each unit costs, and, by the mean, which are needed together."""
    table = ablation.ablate_units(model, batch, mode=mode, bootstrap=BOOTSTRAP, together=mode == "mean")
    verdict = [None if word == "not measured" else word != "no" for word in table["needed"]]
    return answers("needed", table, "target", "refit_drop", verdict)


def unit_shares(model: nn.Module, batch: Batch) -> pd.DataFrame:
    """Our Shapley shares of each target's score."""
    try:
        table = shares.unit_shares(model, batch, pairs=50)
    except NotLearnedError:
        return pd.DataFrame(columns=["question", "unit", "name", "score"])
    return answers("needed", table, "target", "share", table["ci_low"] > 0)


def interchange(model: nn.Module, batch: Batch) -> pd.DataFrame:
    """Ours: how far the outputs move when a unit's memory comes from another sequence."""
    table = patches.patch_units(model, batch)
    strongest = table.groupby(["unit", "target"])["moved"].max().reset_index()
    return answers("needed", strongest, "target", "moved", strongest["moved"] >= 0.1)


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


#: By name: ours first.
METHODS: Mapping[str, Callable[[nn.Module, Batch], pd.DataFrame]] = {
    "tracks": tracks, "tracks by itself": tracks_by_itself, "clamp, mean": partial(clamp, mode="mean"),
    "clamp, zero": partial(clamp, mode="zero"), "clamp, resample": partial(clamp, mode="resample"),
    "shares": unit_shares, "interchange": interchange, "correlation": correlation, "sparse probe": sparse_probe,
    "gradient × activation": gradient_times_activation, "weight norm": weight_norm,
    "weight × spread": weight_times_spread,
}  # fmt: skip
