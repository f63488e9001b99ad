"""A few recorded sequences of a run, and its units brought to the scale of the signals they are drawn over."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from lstm_probe.core.order import several_layers, shown_variable, signal_order, unit_label
from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.vocabulary import VARIABLES
from lstm_probe.figures.traces import TRACE_COLUMNS
from lstm_probe.recorder import record
from lstm_probe.recorder.calling import arguments, outputs_of
from lstm_probe.tasks.base import Task

EXAMPLES = 8


@torch.no_grad()
def record_examples(model: nn.Module, task: Task, seed: int) -> dict[str, Tensor]:
    """Return a few sequences with all that happens in the network, for the report's pictures."""
    batch = task.sample(EXAMPLES, derive_seed(seed, "examples"))
    rec = record(model, arguments(model, batch), lengths=batch.lengths)
    tensors = {"inputs": batch.inputs, "lengths": batch.lengths, "outputs": outputs_of(model, batch)}
    tensors |= {f"target.{name}": values for name, values in batch.targets.items()}
    tensors |= {f"signal.{name}": signal.values for name, signal in batch.signals.items()}
    for (layer, direction), part in rec.parts.items():
        tensors |= {f"layer{layer}.{direction}.{v}": part[v] for v in VARIABLES}
    # Copies: safetensors refuses tensors that share memory, as a target and its signal may.
    return {name: values.clone(memory_format=torch.contiguous_format) for name, values in tensors.items()}


def telling_order(signals: Mapping[str, np.ndarray], mask: np.ndarray) -> list[int]:
    """Return the sequences, first that in which the signal that changes least still changes most.

    Of several with the same, that comes first in which all signals together change most.

    Args:
        signals: by name, (sequence, time); NaN where there is no label.
        mask: (sequence, time), True where a step is real.

    >>> text = {"quote": np.array([[0, 0], [0, 0], [0, 1]]), "digit": np.array([[0, 0], [0, 1], [0, 0]]),
    ...         "upper": np.array([[1, 0], [1, 0], [1, 1]])}
    >>> telling_order(text, np.ones((3, 2), dtype=bool))
    [1, 0, 2]
    """
    spreads = []
    for values in signals.values():
        known = mask & np.isfinite(values)
        whole = values[known].std() if known.any() else 0.0
        if whole > 0:
            spreads.append([row[keep].std() / whole if keep.any() else 0.0 for row, keep in zip(values, known)])
    if not spreads:
        return list(range(len(mask)))
    least, together = np.min(spreads, axis=0), np.minimum(spreads, 1).sum(0)
    return sorted(range(len(mask)), key=lambda k: (-least[k], -together[k]))


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return slope and intercept of the straight line that predicts y best."""
    slope = np.cov(x, y, bias=True)[0, 1] / x.var() if x.var() > 0 else 0.0
    return slope, y.mean() - slope * x.mean()


def _preferred(name: str, x: np.ndarray, angle: np.ndarray, fit: np.ndarray) -> tuple[str, np.ndarray]:
    """Return the cosine of an angle from where x is highest by its straight lines, and what to call it."""
    most = np.arctan2(*(np.cov(x[fit], side(angle[fit]))[0, 1] for side in (np.sin, np.cos)))
    return f"cos({name} {'−' if most >= 0 else '+'} {abs(most):.2f})", np.cos(angle - most)


def trace_table(examples: Mapping[str, Tensor], probes: pd.DataFrame, variable: str = "c") -> pd.DataFrame:
    """Return, for each signal, the best unit's variable and the true signal in one example sequence.

    The best unit is the one with the largest effect among those that track the signal, else among all. The
    straight line that brings its variable to the signal's scale is fitted on the other example sequences.

    Args:
        examples: a run's examples.
        probes: columns `PROBE_COLUMNS`.
        variable: which variable of a unit; the first one probed where this one was not.

    Returns:
        Columns `TRACE_COLUMNS`. Signals that never change have no rows; where one has no label, `true` is NaN. Of an
        angle it is the cosine of its distance from the one that the unit goes with.
    """
    variable = shown_variable(probes, variable)
    lengths = examples["lengths"].numpy()
    mask = np.arange(examples["inputs"].shape[1]) < lengths[:, None]
    signals = {s: examples[f"signal.{s}"].double().numpy() for s in signal_order(probes) if f"signal.{s}" in examples}
    shown = telling_order(signals, mask)[0]
    layers = several_layers(list(probes[["layer", "direction", "unit"]].itertuples(index=False, name=None)))
    own = probes[probes["variable"] == variable].dropna(subset="effect")
    own = own.sort_values(["tracks", "effect"], ascending=False, kind="stable")
    frames = []
    for signal, values in signals.items():
        best: Any = next(own[own["signal"] == signal].itertuples(), None)
        if best is None:
            continue
        lag = int(best.lag)
        x = examples[f"layer{best.layer}.{best.direction}.{variable}"][..., best.unit].double().numpy()
        # A lagged signal is the one of some steps before: it starts that much later.
        x, y, keep = x[:, lag:], values[:, : values.shape[1] - lag], mask[:, lag:]
        known = keep & np.isfinite(y)
        if not known.any():
            continue
        others = known & (np.arange(len(x)) != shown)[:, None]
        fit = others if others.any() else known
        name = signal
        if best.kind == "circular":
            name, y = _preferred(signal, x, y, fit)
        slope, intercept = _line(x[fit], y[fit])
        steps = np.flatnonzero(keep[shown])
        frame = pd.DataFrame({"step": steps + lag, "true": y[shown, steps]})
        frame["fitted"] = slope * x[shown, steps] + intercept
        label = unit_label((best.layer, best.direction, best.unit), layers)
        frames.append(
            frame.assign(
                signal=name, kind=best.kind, role=best.role, unit=label, variable=variable, lag=lag,
                effect=best.effect, tracks=bool(best.tracks),
            )
        )  # fmt: skip
    return (
        pd.concat(frames, ignore_index=True)[list(TRACE_COLUMNS)]
        if frames
        else pd.DataFrame(columns=list(TRACE_COLUMNS))
    )
