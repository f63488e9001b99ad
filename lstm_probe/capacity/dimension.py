"""How much of its memory does a network fill? Dimensions that c moves in, idle and duplicate units, bits held."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from scipy.special import ndtr
from torch import nn

from lstm_probe.capacity.exact import cuttable
from lstm_probe.capacity.fold import Part
from lstm_probe.capacity.narrowing import Narrowing
from lstm_probe.causal.halves import halves_of
from lstm_probe.core.columns import RUN_COLUMNS, columns
from lstm_probe.core.errors import InputError
from lstm_probe.core.groups import drawn_as_one, group_codes
from lstm_probe.core.kinds import Signal
from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.signal import Batch
from lstm_probe.dynamics.dimension import participation_ratio
from lstm_probe.dynamics.saturation import MOSTLY, gate_saturation, gates_of
from lstm_probe.recorder import record
from lstm_probe.recorder.calling import arguments

#: The signal that is 1 at steps at which a task has something held.
HOLDING = "holding"
#: So many steps, and twice as many as units, are enough for the dimension at one time.
LEAST_HELD = 32
#: Units whose c correlates by more than this are near copies.
NEAR = 0.99
#: So many equally frequent values a number is told in, which limits its bits to 6.
BINS = 64
#: Added to the variances when signals are read out, as a share of their mean; and the share of a guess in a prediction.
RIDGE, GUESS = 1e-6, 1e-3
STEPS = 20_000  # that are fitted, at most
#: Signals that correlate by more than this, and more than this over the root of the sequences, are not added up.
APART, CHANCE = 0.1, 4.0

COLUMNS = columns(
    *RUN_COLUMNS, "layer", "direction",
    dimension="Participation ratio of c over all real steps: (Σ λ)² / Σ λ² of its covariance's eigenvalues.",
    dimension_held="The same while the task has something held (its signal `holding` is 1): over sequences, at each "
    "time since that began, averaged over times of which there are enough; so a code that turns is counted once.",
    unread="Units that nothing reads, directly or through others, by their weights.",
    carried="Units that another one stands for exactly: copies of it, and such as hear no input; missing, like "
    "`unread`, where the module cannot be made smaller.",
    near_copies=f"Units whose c has a correlation of more than {NEAR}, or less than −{NEAR}, with another's.",
    saturated="Units of which a gate is below 0.1, or above 0.9, in at least half of the steps; missing where there "
    "are no gates.",
    bits="Lower bound of what c tells of one of the task's signals at a step, in bits: its entropy less the held-out "
    "cross-entropy of a linear read-out; numbers are told in 64 equally frequent values. Of the signal where that is "
    "most; over all steps, or at each time since something began to be held, averaged.",
    bits_signal="That signal.",
    bits_together="Sum of the bits of all of the task's signals, a lower bound if they are independent; missing where "
    f"two of them correlate by more than {APART} and more than chance does.",
)  # fmt: skip


@torch.no_grad()
def effective_dimension(
    model: nn.Module, batch: Batch, *, layer: str | None = None, groups: Any = None, seed: int = 0, run: str = "",
    task: str = "",
) -> pd.DataFrame:  # fmt: skip
    """Say how many dimensions c moves in, how many units are idle or double, and how much c tells of the signals.

    Args:
        model: any module that holds a recurrent layer that can be recorded; it is not changed.
        batch: sequences that it was not trained on, with their signals.
        layer: which recurrent layer, where there are several.
        groups: of sequences that belong together; a read-out is fitted and scored on other groups.
        seed: of the halves.
        run, task: put into the columns of the same name.

    Returns:
        One row for each layer and direction, columns `COLUMNS`. Bits are of signals that are targets or latent; of
        angles there are none.

    >>> import lstm_probe as lp
    >>> net = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch()], random_units=2, seed=0)
    >>> batch = net.sample(64, length=20, seed=1)
    >>> lp.effective_dimension(net.model, batch).unread.tolist()  # units that nothing reads
    [2]
    """
    rec = record(model, arguments(model, batch), layer=layer, lengths=batch.lengths)
    real = rec.mask.cpu().numpy()
    held = _held(batch, real)
    idle = gate_saturation(rec) if gates_of(rec.config.cell) else None
    exact = _exact(model, batch, layer)
    codes = drawn_as_one(group_codes(batch.groups if groups is None else groups, len(batch)))
    halves = halves_of(len(batch), codes, derive_seed(seed, "halves of read-outs")) if len(batch) > 1 else None
    content = [signal for signal in batch.signals.values() if signal.role in ("target", "latent")
               and signal.kind != "circular" and signal.name != HOLDING]  # fmt: skip
    rows = []
    for part in rec:
        c = part[rec.config.cell.memory].double().cpu().numpy()
        mostly = np.nan
        if idle is not None:
            own = idle[(idle["layer"] == part.layer) & (idle["direction"] == part.direction)]
            mostly = own[(own["shut"] >= MOSTLY) | (own["open"] >= MOSTLY)]["unit"].nunique()
        times = [] if held is None else _times(held, c.shape[-1])
        alike = times or [real if held is None else held]
        bits = {signal.name: _mean_over(alike, [_bits(c, signal, own, halves) for own in alike]) for signal in content}
        best = max(bits, key=bits.__getitem__, default="")
        together = sum(bits.values()) if _apart(content, real if held is None else held) else np.nan
        rows.append((
            run, task, c.shape[-1], seed, part.layer, part.direction,
            participation_ratio(c[real]), _mean_over(times, [participation_ratio(c[own]) for own in times]),
            *exact.get((part.layer, part.direction), (np.nan, np.nan)), _near_copies(c[real]), mostly,
            bits.get(best, np.nan), best, together,
        ))  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _held(batch: Batch, real: Bool[np.ndarray, "sequence time"]) -> Bool[np.ndarray, "sequence time"] | None:
    """Return the steps at which something is held; None where the task does not say so."""
    if HOLDING not in batch.signals:
        return None
    held: np.ndarray = real & (batch.signals[HOLDING].values[:, : real.shape[1]].cpu().numpy() == 1)
    return held if held.any() else None


def _times(held: Bool[np.ndarray, "sequence time"], units: int) -> list[Bool[np.ndarray, "sequence time"]]:
    """Return the steps at each time since something began to be held, of times of which there are enough."""
    since = np.zeros(held.shape, dtype=np.int64)  # 1 where it begins
    for step in range(held.shape[1]):
        since[:, step] = (since[:, step - 1] + 1 if step else 1) * held[:, step]
    least = max(LEAST_HELD, 2 * units)
    return [since == k for k in range(2, held.shape[1] + 1) if (since == k).sum() >= least]


def _mean_over(times: Sequence[Bool[np.ndarray, "sequence time"]], values: Sequence[float]) -> float:
    """Return the mean of what was found at each time, weighted by steps; NaN where there are none."""
    return float(np.average(values, weights=[own.sum() for own in times])) if times else float("nan")


def _exact(model: nn.Module, batch: Batch, layer: str | None) -> Mapping[Part, tuple[int, int]]:
    """Return how many units can be cut exactly; none where the module cannot be made smaller."""
    try:
        return cuttable(Narrowing(model, batch, layer=layer))
    except InputError:
        return {}


def _near_copies(c: Float[np.ndarray, "step unit"]) -> int:
    """Return how many units have a near copy."""
    centred = c - c.mean(0)
    size = np.sqrt((centred**2).sum(0))
    varied = size > 1e-9 * np.abs(c).max(initial=1e-30) * len(c) ** 0.5
    unit = centred[:, varied] / size[varied]
    near = np.abs(unit.T @ unit) > NEAR
    return int((near.sum(0) > 1).sum())


def _apart(signals: list[Signal], steps: Bool[np.ndarray, "sequence time"]) -> bool:
    """Return whether no two signals correlate; classes by their numbers."""
    if not signals:
        return False
    values = np.stack([signal.values[:, : steps.shape[1]].cpu().numpy()[steps] for signal in signals])
    values = values[:, np.isfinite(values).all(0)].astype(np.float64)
    centred = values - values.mean(1, keepdims=True)
    size = np.sqrt((centred**2).sum(1, keepdims=True))
    unit = centred / np.where(size > 0, size, 1.0)
    most = max(APART, CHANCE / int(steps.any(1).sum()) ** 0.5)
    return bool((np.abs(unit @ unit.T - np.diag((unit**2).sum(1))) <= most).all())


def _bits(
    c: Float[np.ndarray, "sequence time unit"], signal: Signal, steps: Bool[np.ndarray, "sequence time"],
    halves: tuple[Int[np.ndarray, " some"], Int[np.ndarray, " other"]] | None,
) -> float:  # fmt: skip
    """Return a signal's entropy less the cross-entropy of a read-out that was fitted on other sequences, in bits.

    Both are of the steps' values in the sequences that did not fit; never below 0.
    """
    if halves is None:
        return 0.0
    values = signal.values[:, : steps.shape[1]].cpu().numpy().astype(np.float64)
    known = steps & np.isfinite(values)
    fit, test = (np.zeros_like(known) for _ in halves)
    fit[halves[0]], test[halves[1]] = known[halves[0]], known[halves[1]]
    if not fit.any() or not test.any():
        return 0.0
    every = slice(None, None, -(-int(fit.sum()) // STEPS))
    read = _number_probabilities if signal.kind == "continuous" else _class_probabilities
    probability, labels = read(c[fit][every], values[fit][every], c[test], values[test])
    frequent = np.unique(labels, return_counts=True)[1] / len(labels)
    entropy = -(frequent * np.log2(frequent)).sum()
    return max(0.0, float(entropy + np.log2(probability).mean()))


def _number_probabilities(
    x: Float[np.ndarray, "step unit"], y: Float[np.ndarray, " step"], others: Float[np.ndarray, "other unit"],
    wanted: Float[np.ndarray, " other"],
) -> tuple[Float[np.ndarray, " other"], Int[np.ndarray, " other"]]:  # fmt: skip
    """Return the probability of each value's bin, by a Gaussian about a ridge regression, and the bin."""
    middle, mean = x.mean(0), y.mean()
    products = (x - middle).T @ (x - middle)
    ridge = RIDGE * max(np.trace(products) / len(products), 1e-30) * np.eye(len(products))
    weights = np.linalg.solve(products + ridge, (x - middle).T @ (y - mean))
    edges = np.unique(np.quantile(y, np.linspace(0, 1, BINS + 1)[1:-1]))
    scale = max(float(np.sqrt(np.mean((y - mean - (x - middle) @ weights) ** 2))), 1e-6 * float(np.ptp(y)), 1e-30)
    below = ndtr((edges - (mean + (others - middle) @ weights)[:, None]) / scale)
    below = np.concatenate([np.zeros((len(below), 1)), below, np.ones((len(below), 1))], axis=1)
    bins = np.searchsorted(edges, wanted, side="right")
    own = np.diff(below, axis=1)[np.arange(len(bins)), bins]
    return (1 - GUESS) * own + GUESS / (len(edges) + 1), bins


def _class_probabilities(
    x: Float[np.ndarray, "step unit"], y: Float[np.ndarray, " step"], others: Float[np.ndarray, "other unit"],
    wanted: Float[np.ndarray, " other"],
) -> tuple[Float[np.ndarray, " other"], Int[np.ndarray, " other"]]:  # fmt: skip
    """Return the probability of each class that came, by a logistic regression, and its number."""
    from sklearn.linear_model import LogisticRegression

    classes = np.unique(np.concatenate([y, wanted]))
    labels = np.searchsorted(classes, wanted)
    found = np.zeros((len(wanted), len(classes)))
    seen = np.unique(y)
    if len(seen) == 1:
        found[:, np.searchsorted(classes, seen)] = 1.0
    else:
        middle, scale = x.mean(0), np.where(x.std(0) > 0, x.std(0), 1.0)
        fit = LogisticRegression(C=1.0, max_iter=1000).fit((x - middle) / scale, y)
        found[:, np.searchsorted(classes, seen)] = fit.predict_proba((others - middle) / scale)
    own = found[np.arange(len(labels)), labels]
    return (1 - GUESS) * own + GUESS / len(classes), labels
