"""Which unit tracks a signal, but not linearly: the nonlinear check beside `probe_units`."""

from dataclasses import replace

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from lstm_probe.core.errors import InputError
from lstm_probe.core.seeding import derive_seed
from lstm_probe.probing.data.given import Signals
from lstm_probe.probing.data.signals import share_labels
from lstm_probe.probing.data.split import Split
from lstm_probe.probing.data.study import (
    Study,
    as_many_threads_as_torch,
    assemble,
    by_labels,
    in_memory,
    make_study,
    untrained_effects,
)
from lstm_probe.probing.data.view import Steps, View
from lstm_probe.probing.fits.splines import place_knots, spline_features, spline_scores
from lstm_probe.probing.inference.exchange import Exchange, make_exchange
from lstm_probe.probing.inference.multiplicity import family
from lstm_probe.probing.inference.nulls import BATCH_BYTES
from lstm_probe.probing.inference.scores import effects, r2
from lstm_probe.recorder.data import LayerRecording, Recording

#: The null and the baseline of curves see a random part of the sequences: about this many steps, and no fewer
#: sequences than this.
STEPS, LEAST_SEQUENCES = 6400, 64

#: Directions in which a unit's features have less than this share of their variance say nothing new.
NOTHING_NEW = 1e-9

KEYS = ["layer", "direction", "variable", "unit", "signal", "lag"]


def curved_units(
    rec: Recording,
    signals: Signals,
    *,
    probes: pd.DataFrame,
    split: Split | None = None,
    folds: int = 5,
    permutations: int = 1000,
    null: str = "shuffle",
    untrained: int = 5,
    alpha: float = 0.05,
    margin: float = 0.05,
    min_effect: float = 0.25,
    seed: int = 0,
) -> pd.DataFrame:
    """Say of each unit how well a smooth curve of it predicts each signal, and whether only a curve does.

    A unit `tracks_curved` where it does not track the signal in `probes` and its curve's effect is at least
    `min_effect`, at least `margin` above its linear effect and above each baseline, and family-wise
    significant. The baselines are those of `probes`, and the 95th percentile of untrained units' curves.

    The null is fitted like the units, and is about how much of the signal (of each class's indicator, on
    average) a curve explains in the very steps that it is fitted on, on both sides of the comparison. It and
    the untrained units see a random part of the sequences, of about 6,400 steps. The maximum is over all units,
    variables and lags, and Holm's correction counts all signals, also those without a candidate. In the null, a step
    without a label counts as the mean.

    Args:
        rec: what `probes` was made of, in memory.
        signals: likewise.
        probes: columns `PROBE_COLUMNS`, from `probe_units` with the same `rec`, `signals` and `split` (or
            `folds` and `seed`).
        split: as for `probe_units`.
        folds: likewise.
        permutations: 1 or more.
        null: shuffle or roll.
        untrained: random initialisations of the same architecture, 1 or more.
        alpha: family-wise error rate, 0 to 1.
        margin: 0 to 1.
        min_effect: 0 to 1.
        seed: everything random follows from it.

    Returns:
        `probes` with two more columns: `curved`, the effect of the curve's held-out fit, NaN where the signal
        has no score, and `tracks_curved`.

    Raises:
        InputError: what is wrong with the arguments, all of it at once; or `probes` is not of this recording
            and these signals.
    """
    rec = in_memory(rec, "curved_units")
    study = make_study(
        rec, signals, split, probes["lag"].unique().tolist(), probes["variable"].unique().tolist(), folds, seed,
        permutations=permutations, untrained=untrained, alpha=alpha, margin=margin, min_effect=min_effect,
    )  # fmt: skip
    place = places(study, probes)
    part = random_part(study, seed)
    exchange = make_exchange(null, part.lengths)
    columns = ("tracks", "effect", "untrained", "input_only", "time_only")
    tracks, *linear = (probes[key].to_numpy()[place] for key in columns)
    with as_many_threads_as_torch():
        curved = by_labels(study, lambda own: {"curved": np.stack([score_curves(own, view) for view in own.views])})[
            "curved"
        ]
        found = ~tracks.astype(bool) & (curved >= min_effect) & (curved >= np.maximum.reduce(linear) + margin)
        # What follows takes longer, and is done for candidates alone.
        if found.any():
            found &= curved >= curved_baselines(part, found, untrained, seed) + margin
        if found.any():
            shuffles = exchange.permutations(permutations, seed)
            found &= curved_null(part, found.any((0, 1)), exchange, shuffles, study.scored) <= alpha
    out = probes.copy()
    for key, values in (("curved", curved), ("tracks_curved", found)):
        column = np.empty(len(probes), dtype=values.dtype)
        column[place] = values
        out[key] = column
    return out


def places(study: Study, probes: pd.DataFrame) -> Int[np.ndarray, "lag unit signal"]:
    """Return which row of a table is about which lag, unit and signal.

    Raises:
        InputError: there is no such row, or the table has other rows too.
    """
    sizes = [block.values.shape[-1] for block in study.blocks]
    shape = (sum(sizes), len(study.signals), len(study.lags))
    wanted = assemble(study, {"effect": np.zeros(shape).transpose(2, 0, 1)}, sizes, {})
    given = pd.MultiIndex.from_frame(probes[KEYS])
    rows = given.get_indexer(pd.MultiIndex.from_frame(wanted[KEYS])) if given.is_unique else np.array([-1])
    if len(given) != len(wanted) or (rows < 0).any():
        raise InputError("probes: must be the whole table that probe_units makes of this recording and these signals")
    return rows.reshape(shape).transpose(2, 0, 1)


def score_curves(study: Study, view: View) -> Float[np.ndarray, "unit signal"]:
    """Return the effect of each unit's curve, for all blocks at one lag."""
    scores = [spline_scores(view.features(block.values, block.name), view) for block in study.blocks]
    return effects(np.concatenate(scores), view)


def random_part(study: Study, seed: int) -> Study:
    """Return the study of some of the sequences, in the folds that they are in; of all where they are few."""
    order = np.random.default_rng(derive_seed(seed, "curves")).permutation(len(study.lengths))
    enough = int(np.searchsorted(np.cumsum(study.lengths[order]), STEPS)) + 1
    count = max(enough, LEAST_SEQUENCES)
    if count >= len(order):
        return study
    chosen = np.sort(order[:count])
    folds, fold = np.unique(study.split.fold[chosen], return_inverse=True)
    parts = {
        (part.layer, part.direction): LayerRecording(
            part.layer, part.direction, part.inputs[chosen], **{v: part[v][chosen] for v in study.variables}
        )
        for part in study.rec
    }
    return replace(
        study,
        rec=Recording(parts, study.rec.lengths[chosen], study.rec.config),
        signals=share_labels([one.rows(chosen) for one in study.signals]),
        split=Split(fold) if len(folds) > 1 else Split.make(count, 2, seed),
        lengths=study.lengths[chosen],
    )


def curved_baselines(
    part: Study, found: Bool[np.ndarray, "lag unit signal"], untrained: int, seed: int
) -> Float[np.ndarray, "lag unit signal"]:
    """Return what untrained units' curves predict, where there are candidates."""
    blocks = part.blocks
    sizes = [block.values.shape[-1] for block in blocks]
    owner = np.repeat(np.arange(len(blocks)), sizes)
    holding = {blocks[k].variable for k in owner[found.any((0, 2))]}
    kept = np.flatnonzero([block.variable in holding for block in blocks])
    signals = np.flatnonzero(found.any((0, 1)))
    own = replace(
        part,
        signals=[part.signals[g] for g in signals],
        variables=tuple(v for v in part.variables if v in holding),
    )

    def levels(same: Study) -> dict[str, np.ndarray]:
        return {"level": untrained_effects(same, untrained, seed, spline_scores)[0]}

    out = np.zeros((len(part.lags), len(blocks), len(part.signals)))
    out[np.ix_(np.arange(len(part.lags)), kept, signals)] = by_labels(own, levels)["level"]
    return np.repeat(out, sizes, axis=1)


def curved_null(
    part: Study,
    wanted: Bool[np.ndarray, " signal"],
    exchange: Exchange,
    permutations: Int[np.ndarray, "permutation sequence"],
    scored: Bool[np.ndarray, " signal"],
) -> Float[np.ndarray, "lag unit signal"]:
    """Return family-wise p-values of how much of a signal the units' curves explain.

    Args:
        part: what is looked at.
        wanted: the signals to do this for; all others have 1, and count in Holm's correction as that.
        exchange: what is exchanged.
        permutations: from the exchange; the first moves nothing.
        scored: the signals that Holm's correction counts.
    """
    sequences = np.arange(len(part.lengths))
    observed, best = [], np.zeros((len(part.signals), len(permutations) - 1))
    for lag in part.lags:
        steps = Steps.real(exchange.lengths, part.signals[0].values.shape[1], part.split, lag)
        blocks = [orthogonal_features(steps.features(block.values, block.name), steps.mask) for block in part.blocks]
        z = np.concatenate(blocks)
        here = np.zeros((len(z), len(part.signals)))
        step = max(1, BATCH_BYTES // (4 * steps.mask.size))
        for g in np.flatnonzero(wanted):
            source = exchange.moving(View.make([part.signals[g]], exchange.lengths, part.split, lag))
            # What is not labelled counts as the mean: it says nothing for any unit, in any permutation.
            centred = (source.columns - source.columns[source.mask].mean(0)) * source.mask[..., None]
            own = np.ascontiguousarray(centred.transpose(2, 0, 1), dtype=np.float32)
            shares = [
                np.mean([explained(z, y, steps.mask) for y in exchange.moved(own, batch, sequences, lag)], axis=0)
                for batch in np.split(permutations, np.arange(step, len(permutations), step))
            ]
            every = np.concatenate(shares, axis=1)
            here[:, g] = every[:, 0]
            best[g] = np.maximum(best[g], every[:, 1:].max(0))
        observed.append(here)
    return family(np.stack(observed), best, scored)


def orthogonal_features(
    x: Float[np.ndarray, "sequence time unit"], mask: Bool[np.ndarray, "sequence time"]
) -> Float[np.ndarray, "unit feature step"]:
    """Return features that span each unit's curves: mean 0, sum of squares 1, orthogonal; 0 off the mask."""
    real = np.ascontiguousarray(x[mask].T)
    z = spline_features(real, place_knots(real))
    z -= z.mean(2, keepdims=True)
    size = np.sqrt(np.einsum("ufn,ufn->uf", z, z))[..., None]
    z /= np.where(size > 0, size, 1)
    values, vectors = np.linalg.eigh(z @ z.transpose(0, 2, 1))
    new = values > NOTHING_NEW
    turn = vectors * (new / np.sqrt(np.where(new, values, 1)))[:, None]
    out = np.zeros((*z.shape[:2], mask.size), dtype=np.float32)
    out[..., mask.ravel()] = turn.transpose(0, 2, 1) @ z
    return out


def explained(
    z: Float[np.ndarray, "unit feature step"],
    y: Float[np.ndarray, "permutation sequence time"],
    mask: Bool[np.ndarray, "sequence time"],
) -> Float[np.ndarray, "unit permutation"]:
    """Return the share of each column's variance that lies in the span of each unit's features."""
    y = (y * mask).reshape(len(y), -1)
    mean = y.sum(1, dtype=np.float64) / max(1, mask.sum())
    spread = np.einsum("pn,pn->p", y, y, dtype=np.float64) - mask.sum() * mean**2
    inner = (z.reshape(-1, y.shape[1]) @ y.T).reshape(*z.shape[:2], -1)
    return r2(spread - np.einsum("ufp,ufp->up", inner, inner), spread)
