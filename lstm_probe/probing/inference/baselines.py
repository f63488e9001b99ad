"""What a unit has to beat: an untrained network, the step index, and a control task; the input is in `present`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lstm_probe.core.seeding import derive_seed
from lstm_probe.probing.data.signals import CheckedSignal
from lstm_probe.probing.data.split import Split
from lstm_probe.probing.data.view import View
from lstm_probe.probing.inference.evaluate import evaluate_predictions
from lstm_probe.probing.inference.scores import effects
from lstm_probe.recorder.config import LSTMConfig
from lstm_probe.recorder.data import Recording
from lstm_probe.recorder.exact import record_lstm

#: An untrained network's level: of 64 random units the best looks good, so a unit has to beat nearly all.
PERCENTILE = 95

#: Weight of the overall mean in the mean of one step index, in steps.
SHRINKAGE = 1.0

#: The control task labels input vectors if this many different ones each occur this often on average.
LEAST_TYPES, LEAST_REPEATS = 20, 5

#: Recordings of untrained networks are kept for the next analysis as long as all of them take no more bytes.
MOST_KEPT = 2**28

_kept: ContextVar[dict[tuple[int, int, LSTMConfig], list[Recording]] | None] = ContextVar("kept", default=None)


@contextmanager
def untrained_once() -> Iterator[None]:
    """Let the analyses made in this context share recordings of untrained networks, which they else make anew.

    No result changes. Inputs must not be written to meanwhile.
    """
    token = _kept.set({})
    try:
        yield
    finally:
        _kept.reset(token)


def untrained_recording(
    rec: Recording, variables: Sequence[str], number: int, seed: int, config: LSTMConfig
) -> Recording:
    """Return the recording of one such network; its weights depend on `config`, `number` and `seed` alone."""
    kept = _kept.get()
    own = [] if kept is None else kept.setdefault((number, seed, config), [])
    for known in own:
        if same(known.inputs, rec.inputs) and same(known.lengths, rec.lengths):
            if {*variables} <= {*next(iter(known)).variables}:
                return known.select(variables)
            own.remove(known)
            break
    lstm = config.build(derive_seed(seed, "untrained", number), int(rec.lengths.max())).to(rec.inputs)
    made = record_lstm(lstm, rec.inputs, rec.lengths, None, variables)
    if kept is not None and size(made) + sum(size(one) for each in kept.values() for one in each) <= MOST_KEPT:
        own.append(made)
    return made


def same(a: Tensor, b: Tensor) -> bool:
    """Return whether two tensors are one, or hold the same values: the same sequences may have been taken out twice."""
    return a is b or (a.dtype == b.dtype and a.device == b.device and torch.equal(a, b))


def size(rec: Recording) -> int:
    """Return how many bytes a recording takes, without its inputs."""
    return sum(part[v].nbytes for part in rec for v in part.variables)


def time_predictions(view: View) -> Float[np.ndarray, "sequence time column"]:
    """Return the training part's mean at each step index, drawn a little to its overall mean."""
    split = view.split
    mean = time_means(split.sums(view.columns), split.sums(view.mask.astype(np.float64)))
    return np.where(view.mask[..., None], mean[split.fold], 0.0)


def time_means(
    total: Float[np.ndarray, "fold time column"], count: Float[np.ndarray, "fold time"]
) -> Float[np.ndarray, "fold time column"]:
    """Return each training part's mean at each step index, drawn a little to its overall mean.

    Args:
        total: each fold's sums.
        count: how many sequences of each fold have the step.
    """
    total, count = Split.training(total), Split.training(count)[..., None]
    overall = total.sum(1, keepdims=True) / np.maximum(count.sum(1, keepdims=True), 1)
    result: np.ndarray = (total + SHRINKAGE * overall) / (count + SHRINKAGE)
    return result


def time_only(view: View) -> Float[np.ndarray, " signal"]:
    """Return the effect of predicting each signal from the step index alone."""
    result: np.ndarray = effects(evaluate_predictions(time_predictions(view), view).score, view)[0]
    return result


def input_types(
    inputs: Float[np.ndarray, "sequence time feature"], mask: Bool[np.ndarray, "sequence time"]
) -> Int[np.ndarray, "sequence time"]:
    """Return a number for each step's input type: its input vector, or all inputs up to it.

    The vector alone, if there are at least 20 different ones that occur 5 times on average. A small alphabet
    would make the control task trivial, and inputs that never come again would leave nothing to learn: there
    the type is the whole prefix.
    """
    # Adding 0 makes −0 the same as 0.
    rows = np.ascontiguousarray(inputs + 0.0)
    _, types = np.unique(rows.view(f"V{rows.itemsize * rows.shape[-1]}")[..., 0], return_inverse=True)
    types = types.reshape(mask.shape)
    distinct = len(np.unique(types[mask]))
    if distinct >= LEAST_TYPES and mask.sum() >= LEAST_REPEATS * distinct:
        return types
    prefix = np.empty(mask.shape, dtype=np.int64)
    before, used = np.zeros(len(mask), dtype=np.int64), 0
    for t in range(mask.shape[1]):
        distinct_here, before = np.unique(before * (types.max() + 1) + types[:, t], return_inverse=True)
        prefix[:, t] = before + used
        used += len(distinct_here)
    return prefix


def control_signals(
    rec: Recording, checked: Sequence[CheckedSignal], mask: Bool[np.ndarray, "sequence time"], seed: int
) -> list[CheckedSignal]:
    """Return a control task for each signal (Hewitt & Liang 2019).

    Every input type gets a value of its own, drawn from the signal's own values at labelled steps. What a probe
    scores on it, it memorised; the rest of its score is owed to the network.
    """
    types = input_types(rec.inputs.detach().cpu().to(torch.float64).numpy(), mask)
    made = []
    for signal in checked:
        rng = np.random.default_rng(derive_seed(seed, "control", signal.name))
        own = signal.values[signal.among(mask)]
        drawn = rng.choice(own if len(own) else np.zeros(1), size=int(types.max()) + 1)
        made.append(signal.with_values(np.where(mask, drawn[types], 0.0)))
    return made
