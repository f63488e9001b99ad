"""R² and AUROC, held out, and the effect that puts both on one scale."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from lstm_probe.core.scale import effect_of
from lstm_probe.probing.data.split import Split
from lstm_probe.probing.data.view import Outcomes, Steps

#: The largest number of 32 bits.
TOP = 2.0**32 - 1

#: This many values are worked on at a time.
CACHED = 2**15


def r2(errors: Float[np.ndarray, "*rest"], spread: Float[np.ndarray, "*#rest"]) -> Float[np.ndarray, "*rest"]:
    """Return 1 − errors / spread, with spread about the overall mean; 0 where nothing varies."""
    varies = spread > 0
    return np.where(varies, 1 - errors / np.where(varies, spread, 1), 0.0)


def effects(scores: Shaped[np.ndarray, "*rest signal"], outcomes: Outcomes) -> Shaped[np.ndarray, "*rest signal"]:
    """Return scores on the scale from 0 (chance or worse) to 1: R², or 2·AUROC − 1, floored at 0."""
    return effect_of(scores, [signal.metric for signal in outcomes.signals])


def ascending(
    rows: Shaped[np.ndarray, "row n"],
) -> tuple[Int[np.ndarray, "row n"], Shaped[np.ndarray, "row n"], Bool[np.ndarray, "row gap"]]:
    """Return an order in which each row's values ascend, the values in it, and which are less than the next.

    Values are cut to 32 bits of their range and sorted together with their places, as whole numbers: a third of the
    time of sorting places by their values. What those bits do not tell apart is put in order by a sort that is fast
    where nearly all is in order. The order is that of places in all rows, one behind the other.
    """
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        low = rows.min(1, keepdims=True).astype(np.float64)
        scale = TOP / (rows.max(1, keepdims=True) - low)
        cut = rows - low
        cut *= scale
    cut[~((scale > 0) & (scale < np.inf))[:, 0]] = 0
    keys = cut.astype(np.uint64)
    keys <<= np.uint64(32)
    keys |= np.arange(rows.shape[1], dtype=np.uint64)
    keys.sort(axis=1)
    keys &= np.uint64(2**32 - 1)
    order = keys.view(np.int64)
    order += rows.shape[1] * np.arange(len(rows))[:, None]
    ordered = rows.ravel().take(order)
    rises = ordered[:, :-1] < ordered[:, 1:]
    if not rises.all():
        for k in np.flatnonzero((ordered[:, :-1] > ordered[:, 1:]).any(1)):
            again = np.argsort(ordered[k], kind="stable")
            order[k], ordered[k] = order[k].take(again), ordered[k].take(again)
            rises[k] = ordered[k, :-1] < ordered[k, 1:]
    return order, ordered, rises


def average_ranks(values: Shaped[np.ndarray, "row n"]) -> Float[np.ndarray, "row n"]:
    """Return ranks from 1 along each row; equal values share the mean of their ranks. Exact up to 2²³ values.

    >>> average_ranks(np.array([[3.0, 1.0, 3.0, 2.0]])).tolist()
    [[3.5, 1.0, 3.5, 2.0]]
    """
    n = values.shape[1]
    out = np.empty(values.shape, dtype=np.float32)
    distinct = np.arange(1, n + 1, dtype=np.float32)
    for some in few_rows(values):
        order, _, rises = ascending(values[some])
        ranks = np.tile(distinct, len(order))
        if not rises.all():
            same = np.zeros((len(order), n + 1), dtype=bool)  # as the value before
            same[:, 1:-1] = ~rises
            ends = np.flatnonzero(same[:, 1:] != same[:, :-1])  # of all that are equal: the first, and the last
            first, length = ends[::2], ends[1::2] - ends[::2] + 1
            place = np.arange(length.sum()) + np.repeat(first - np.cumsum(length) + length, length)
            ranks[place] = np.repeat((first % n + (length + 1) / 2).astype(np.float32), length)
        out[some].reshape(-1)[order.ravel()] = ranks
    return out


def few_rows(rows: Shaped[np.ndarray, "row n"]) -> Iterator[slice]:
    """Go through rows, as many at a time as stay in the processor's cache: three times as fast as all at once."""
    few = max(1, CACHED // max(1, rows.shape[1]))
    return (slice(start, start + few) for start in range(0, len(rows), few))


def ranks_within(
    values: Float[np.ndarray, "sequence time unit"], group: Int[np.ndarray, "sequence time"]
) -> Float[np.ndarray, "sequence time unit"]:
    """Return each unit's average ranks among the steps of the same group; 0 where the group is negative."""
    flat, group = values.reshape(-1, values.shape[-1]), group.ravel()
    out = np.zeros(flat.shape, dtype=np.float32)
    for k in range(int(group.max()) + 1):
        members = np.flatnonzero(group == k)
        if len(members):
            out[members] = average_ranks(np.ascontiguousarray(flat[members].T)).T
    return out.reshape(values.shape)


def centred_ranks(
    values: Float[np.ndarray, "sequence time unit"], view: Steps
) -> Float[np.ndarray, "sequence time unit"]:
    """Return ranks within each fold's real steps, less their mean; 0 at steps that are not real."""
    ranks = ranks_within(values, np.where(view.mask, view.split.fold[:, None], -1))
    middle = (view.split.sums(view.n) + 1) / 2
    return ranks - (view.mask * middle[view.split.fold, None]).astype(np.float32)[..., None]


def rank_excess(
    ranks: Float[np.ndarray, "sequence time unit"],
    indicator: Float[np.ndarray, "sequence time"],
    split: Split,
) -> Float[np.ndarray, "fold unit"]:
    """Return each fold's sum of the positives' centred ranks: (AUROC − ½) × pairs (Mann & Whitney 1947)."""
    units = ranks.shape[-1]
    return np.stack([indicator[m].ravel() @ ranks[m].reshape(-1, units).astype(np.float64) for m in split.members])


def class_excess(
    x: Float[np.ndarray, "sequence time unit"], indicators: Float[np.ndarray, "sequence time class"], view: Steps
) -> Float[np.ndarray, "fold unit class"]:
    """Return `rank_excess` of each class, of ranks that are needed for nothing else: they are never put in place."""
    out = np.zeros((view.split.folds, x.shape[-1], indicators.shape[-1]))
    if not out.size:
        return out
    for fold, members in enumerate(view.split.members):
        own = view.rows(x, members)
        if len(own):
            ranks = average_ranks(np.ascontiguousarray(own.T))
            out[fold] = (ranks - np.float64((len(own) + 1) / 2)) @ view.rows(indicators, members)
    return out


def orientation(excess: Float[np.ndarray, "fold *rest"]) -> Float[np.ndarray, "fold *rest"]:
    """Return +1 or −1 as the positives rank high or low in the other folds, 0 where those say nothing."""
    result: np.ndarray = np.sign(Split.training(excess))
    return result


def auroc(
    excess: Float[np.ndarray, "fold *rest"],
    sign: Float[np.ndarray, "fold *rest"],
    pairs: Float[np.ndarray, "fold *#rest"],
) -> Float[np.ndarray, "*rest"]:
    """Return the AUROC over all pairs of steps of the same fold; ½ where there is no pair."""
    result: np.ndarray = 0.5 + (sign * excess).sum(0) / np.maximum(pairs.sum(0), 1)
    return result
