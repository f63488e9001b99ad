"""A few recorded sequences of a run, and its units brought to the scale of the signals they are drawn over."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from lstm_probe.core.order import shown_variable, signal_order
from lstm_probe.core.seeding import derive_seed
from lstm_probe.recorder import record
from lstm_probe.recorder.calling import arguments, outputs_of
from lstm_probe.tasks.base import Task

EXAMPLES = 8

TRACE_COLUMNS = (
    "signal", "kind", "role", "layer", "direction", "unit", "variable", "lag", "effect", "tracks", "sequence", "step",
    "character", "true", "fitted",
)  # fmt: skip


@torch.no_grad()
def record_examples(model: nn.Module, task: Task, seed: int) -> dict[str, Tensor]:
    """Return a few sequences with all that happens in the network, for the report's pictures."""
    batch = task.sample(EXAMPLES, derive_seed(seed, "examples"))
    rec = record(model, arguments(model, batch), lengths=batch.lengths)
    tensors = {"inputs": batch.inputs, "lengths": batch.lengths, "outputs": outputs_of(model, batch)}
    tensors |= {f"target.{name}": values for name, values in batch.targets.items()}
    tensors |= {f"signal.{name}": signal.values for name, signal in batch.signals.items()}
    for (layer, direction), part in rec.parts.items():
        tensors |= {f"layer{layer}.{direction}.{v}": part[v] for v in part.variables}
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


def _between_means(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Return slope and intercept of the line on which x has, in the mean over each of y's two values, this value.

    The line that predicts a rare signal best hardly leaves zero, however well a unit tells it. Where the means lie
    closer together than x scatters about them, it is that line all the same: the other would show the scatter alone.
    """
    low, high = x[y == y.min()], x[y == y.max()]
    apart = high.mean() - low.mean()
    if abs(apart) <= np.sqrt((low.var() + high.var()) / 2):
        return _line(x, y)
    slope = (y.max() - y.min()) / apart
    return slope, y.min() - slope * low.mean()


def _changing(y: np.ndarray, known: np.ndarray, common: int) -> int:
    """Return the sequence that a signal is shown in: the one of all signals, unless it changes much more elsewhere."""
    spreads = [row[keep].std() if keep.any() else 0.0 for row, keep in zip(y, known)]
    most = int(np.argmax(spreads))
    return common if spreads[common] >= 0.5 * spreads[most] else most


def _traced(best: Any, x: np.ndarray, values: np.ndarray, mask: np.ndarray, common: int) -> pd.DataFrame | None:
    """Return step, true and fitted of a unit and a signal, its name and the sequence; None where it never changes."""
    lag, name = int(best.lag), best.signal
    # A lagged signal is the one of some steps before: it starts that much later.
    x, y, keep = x[:, lag:], values[:, : values.shape[1] - lag], mask[:, lag:]
    known = keep & np.isfinite(y)
    if len(np.unique(y[known])) < 2:
        return None
    shown = _changing(y, known, common)
    others = known & (np.arange(len(x)) != shown)[:, None]
    fit = others if len(np.unique(y[others])) > 1 else known
    if best.kind == "circular":
        name, y = _preferred(best.signal, x, y, fit)
    slope, intercept = (_between_means if best.kind == "binary" else _line)(x[fit], y[fit])
    steps = np.flatnonzero(keep[shown])
    frame = pd.DataFrame({"step": steps + lag, "true": y[shown, steps]})
    return frame.assign(fitted=slope * x[shown, steps] + intercept, signal=name, sequence=shown)


def trace_table(
    examples: Mapping[str, Tensor], probes: pd.DataFrame, variable: str = "c", *, texts: Sequence[str] = ()
) -> pd.DataFrame:
    """Return, for each signal, the best unit's variable and the true signal in an example sequence.

    The best unit is the one with the largest effect among those that track the signal, else among all. Its variable
    is brought to the signal's scale on the other example sequences, if the signal changes there: by the straight line
    that predicts it best; of a binary signal that the unit tells by the line that has the variable's mean over each
    value at this value.
    All signals are shown in one sequence, but those that change much more in another in that.

    Args:
        examples: a run's examples.
        probes: columns `PROBE_COLUMNS`.
        variable: which variable of a unit; the first one probed where this one was not.
        texts: what each example sequence says, where the network reads characters.

    Returns:
        Columns `TRACE_COLUMNS`. Signals that never change have no rows; where one has no label, `true` is NaN. Of an
        angle it is the cosine of its distance from the one that the unit goes with.
    """
    variable = shown_variable(probes, variable)
    lengths = examples["lengths"].numpy()
    mask = np.arange(examples["inputs"].shape[1]) < lengths[:, None]
    signals = {s: examples[f"signal.{s}"].double().numpy() for s in signal_order(probes) if f"signal.{s}" in examples}
    common = telling_order(signals, mask)[0]
    own = probes[probes["variable"] == variable].dropna(subset="effect")
    own = own.sort_values(["tracks", "effect"], ascending=False, kind="stable")
    frames = []
    for signal, values in signals.items():
        best: Any = next(own[own["signal"] == signal].itertuples(), None)
        if best is None:
            continue
        x = examples[f"layer{best.layer}.{best.direction}.{variable}"][..., best.unit].double().numpy()
        frame = _traced(best, x, values, mask, common)
        if frame is None:
            continue
        said = texts[int(frame["sequence"].iloc[0])] if texts else ""
        frames.append(
            frame.assign(
                kind=best.kind, role=best.role, layer=best.layer, direction=best.direction, unit=best.unit,
                variable=variable, lag=int(best.lag), effect=best.effect, tracks=bool(best.tracks),
                character=[said[step] if step < len(said) else "" for step in frame["step"]],
            )
        )  # fmt: skip
    return (
        pd.concat(frames, ignore_index=True)[list(TRACE_COLUMNS)]
        if frames
        else pd.DataFrame(columns=list(TRACE_COLUMNS))
    )
