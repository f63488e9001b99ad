"""Which unit tracks a signal, but not linearly: the nonlinear check beside `probe_units`."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from lstm_probe.core.errors import InputError
from lstm_probe.core.given import Signals
from lstm_probe.probing.data.split import Split
from lstm_probe.probing.data.study import (
    Study,
    as_many_threads_as_torch,
    assemble,
    by_labels,
    in_memory,
    make_study,
)
from lstm_probe.probing.data.view import Steps, View
from lstm_probe.probing.fits.splines import place_knots, spline_features, spline_scores
from lstm_probe.probing.inference.decision import Rule
from lstm_probe.probing.inference.ends import line_up
from lstm_probe.probing.inference.exchange import Exchange, make_exchange
from lstm_probe.probing.inference.multiplicity import family
from lstm_probe.probing.inference.nulls import BATCH_BYTES
from lstm_probe.probing.inference.scores import effects, r2
from lstm_probe.probing.inference.swap import can_swap, swap_effects
from lstm_probe.probing.inference.untrained import Networks, Untrained, compare, random_part
from lstm_probe.recorder.data import Recording

#: Directions in which a unit's features have less than this share of their variance say nothing new.
NOTHING_NEW = 1e-9

KEYS = ["layer", "direction", "variable", "unit", "signal", "lag"]


def curved_units(
    rec: Recording,
    signals: Signals,
    *,
    probes: pd.DataFrame,
    split: Split | None = None,
    groups: Any = None,
    variables: Sequence[str] | None = None,
    folds: int = 5,
    permutations: int = 1000,
    null: str = "shuffle",
    untrained: Untrained = 19,
    init: str | None = None,
    forget_bias: float | None = None,
    alpha: float = 0.05,
    min_effect: float = 0.25,
    min_effect_class: float = 0.46,
    margin: float = 0.2,
    least_margin: float = 0.01,
    least_swap: float = 0.02,
    seed: int = 0,
) -> pd.DataFrame:
    """Say of each unit how well a smooth curve of it predicts each signal, and whether only a curve does.

    A unit `tracks_curved` where it does not track the signal in `probes`, its curve's effect meets all that an effect
    has to meet there (the curves of untrained units, and of units whose past was swapped, are what it is compared
    with), and it lies above the straight line's as it has to above `input_only`.

    The null is fitted like the units, and is about how much of the signal (of each class's indicator, on
    average) a curve explains in the very steps that it is fitted on, on both sides of the comparison. It sees a random
    part of the sequences, of about 4,800 steps. The maximum is over all units, variables and lags, and Holm's
    correction counts all signals, also those without a candidate. In the null, a step without a label counts as the
    mean.

    Args:
        rec: what `probes` was made of, in memory.
        signals: likewise.
        probes: columns `PROBE_COLUMNS`, from `probe_units` with the same `rec`, `signals` and `split` (or
            `folds` and `seed`).
        split: as for `probe_units`.
        groups: likewise.
        variables: which of those in `probes` to look at, alone and as a family; all of them where this is None.
        folds: likewise.
        permutations: 1 or more.
        null: shuffle, roll or shift.
        untrained: as for `probe_units`, and so the arguments that follow.

    Returns:
        `probes` with two more columns: `curved`, the effect of the curve's held-out fit, NaN where the signal
        has no score or the variable was not looked at, and `tracks_curved`.

    Raises:
        InputError: what is wrong with the arguments, all of it at once; or `probes` is not of this recording
            and these signals.
    """
    rec = in_memory(rec, "curved_units")
    decisive = {"alpha": alpha, "min_effect": min_effect, "min_effect_class": min_effect_class, "margin": margin,
                "least_margin": least_margin, "least_swap": least_swap}  # fmt: skip
    numbers: dict[str, Any] = {"permutations": permutations, **decisive}
    numbers |= {"untrained": untrained} if isinstance(untrained, int | np.integer) else {}
    probed = probes["variable"].unique().tolist()
    chosen = probed if variables is None else list(dict.fromkeys(variables))
    if missing := [v for v in chosen if v not in probed]:
        raise InputError(f"variables={' '.join(missing)}: must be among those of probes: {' '.join(probed)}")
    whole, looked_at = probes, probes["variable"].isin(chosen).to_numpy()
    probes = probes[looked_at]
    study = make_study(
        rec, signals, split, probes["lag"].unique().tolist(), chosen, folds, seed, groups=groups, null=null,
        **numbers,
    )  # fmt: skip
    rule, networks = Rule(**decisive), Networks.of(rec, untrained, seed, init, forget_bias)
    place = places(study, probes)
    part = random_part(study, seed, in_order=null == "shift")
    exchange = make_exchange(null, part.lengths, part.groups)
    columns = ("tracks", "effect", "input_only", "time_only")
    tracks, straight, *baselines = (probes[key].to_numpy()[place] for key in columns)
    with as_many_threads_as_torch():
        curved = by_labels(study, lambda own: {"curved": np.stack([score_curves(own, view) for view in own.views])})[
            "curved"
        ]
        found = ~tracks.astype(bool) & (curved >= rule.bar(study.signals)) & rule.beyond(curved, straight)
        found &= rule.beyond(curved, np.maximum.reduce(baselines))
        # What follows takes longer, and is done for candidates alone.
        if found.any() and can_swap(part.rec):
            found &= rule.remembered(curved, swap_effects(part, found, 1, seed, spline_scores))
        if found.any():
            found &= curved_null(part, found.any((0, 1)), exchange, permutations, seed, study.scored) <= alpha
        if found.any():
            found &= beside_curves(part, networks, alpha, found)
    out = whole.copy()
    for key, values, unseen in (("curved", curved, np.nan), ("tracks_curved", found, False)):
        column = np.full(len(whole), unseen, dtype=values.dtype)
        column[np.flatnonzero(looked_at)[place]] = values
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


def beside_curves(
    part: Study, networks: Networks, alpha: float, found: Bool[np.ndarray, "lag unit signal"]
) -> Bool[np.ndarray, "lag unit signal"]:
    """Return which candidates stand out from the curves of untrained units of the variables that have candidates."""
    owner = np.repeat([block.variable for block in part.blocks], [block.values.shape[-1] for block in part.blocks])
    holding = tuple(v for v in part.variables if found[:, owner == v].any())
    own = np.isin(owner, holding)
    out = np.zeros(found.shape, dtype=bool)
    out[:, own] = compare(replace(part, variables=holding), networks, spline_scores, alpha, found[:, own]).p <= alpha
    return out


def score_curves(study: Study, view: View) -> Float[np.ndarray, "unit signal"]:
    """Return the effect of each unit's curve, for all blocks at one lag."""
    scores = [spline_scores(view.features(block.values, block.name), view) for block in study.blocks]
    return effects(np.concatenate(scores), view)


def curved_null(
    part: Study,
    wanted: Bool[np.ndarray, " signal"],
    exchange: Exchange,
    count: int,
    seed: int,
    scored: Bool[np.ndarray, " signal"],
) -> Float[np.ndarray, "lag unit signal"]:
    """Return family-wise p-values of how much of a signal the units' curves explain.

    Args:
        part: what is looked at.
        wanted: the signals to do this for; all others have 1, and count in Holm's correction as that.
        exchange: what is exchanged.
        count: how many permutations.
        seed: of the permutations.
        scored: the signals that Holm's correction counts.
    """
    names = [signal.name for signal, own in zip(part.signals, wanted) if own]
    found = by_labels(part, lambda own: curved_shares(own, names, exchange, count, seed))
    return family(found["observed"], found["best"].T, scored)


def curved_shares(
    part: Study, names: Sequence[str], exchange: Exchange, count: int, seed: int
) -> dict[str, Float[np.ndarray, "*rest signal"]]:
    """Return what curves explain of the signals with these names, and the best of all units in each permutation."""
    lined = line_up(exchange, part.signals)
    exchange, sequences = lined.exchange, np.arange(len(part.lengths))
    permutations = exchange.permutations(count, seed)
    observed, best = [], np.zeros((len(permutations) - 1, len(part.signals)))
    for lag in part.lags:
        steps = Steps.real(exchange.lengths, lined.signals[0].values.shape[1], part.split, lag)
        values = [steps.features(lined.values(block.values), block.name) for block in part.blocks]
        z = np.concatenate([orthogonal_features(x, steps.mask) for x in values])
        here = np.zeros((len(z), len(part.signals)))
        step = max(1, BATCH_BYTES // (4 * max(1, steps.mask.size)))
        for g, signal in enumerate(lined.signals):
            if signal.name not in names or not steps.mask.any():
                continue
            source = exchange.moving(View.make([signal], exchange.lengths, part.split, lag))
            # What is not labelled counts as the mean: it says nothing for any unit, in any permutation.
            centred = (source.columns - source.columns[source.mask].mean(0)) * source.mask[..., None]
            own = np.ascontiguousarray(centred.transpose(2, 0, 1), dtype=np.float32)
            shares = [
                np.average([explained(z, y, steps.mask) for y in exchange.moved(own, batch, sequences, lag)],
                           axis=0, weights=source.weight)
                for batch in np.split(permutations, np.arange(step, len(permutations), step))
            ]  # fmt: skip
            every = np.concatenate(shares, axis=1)
            here[:, g] = every[:, 0]
            best[:, g] = np.maximum(best[:, g], every[:, 1:].max(0))
        observed.append(here)
    return {"observed": np.stack(observed), "best": best}


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
