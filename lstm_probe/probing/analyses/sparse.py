"""Sparse probes: how well the best few units predict a signal, held out, for every number of units."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Shaped

from lstm_probe.core.columns import SPARSE_COLUMNS
from lstm_probe.core.errors import nearest
from lstm_probe.core.given import Signals
from lstm_probe.core.vocabulary import METHODS
from lstm_probe.probing.data.split import Split
from lstm_probe.probing.data.study import Study, as_many_threads_as_torch, assemble, by_labels, in_memory, make_study
from lstm_probe.probing.data.view import View
from lstm_probe.probing.fits.forward import path_r2, selection_path
from lstm_probe.probing.fits.ridge import Fit, Gram, Standardised
from lstm_probe.probing.inference.evaluate import evaluate_predictions
from lstm_probe.probing.inference.scores import effects
from lstm_probe.recorder.data import Recording

#: Penalties of an elastic-net path, as shares of the smallest that leaves no unit in.
PENALTY_SHARES = np.logspace(0, -3, 100)

#: A unit with less variance than this of its own is a combination of others.
COLLINEAR = 1e-10


def sparse_paths(
    rec: Recording,
    signals: Signals,
    *,
    split: Split | None = None,
    groups: Any = None,
    lags: Sequence[int] = (0,),
    variables: Sequence[str] | None = None,
    folds: int = 5,
    methods: Sequence[str] = METHODS,
    most: int = 16,
    l1_ratio: float = 0.9,
    seed: int = 0,
    run: str = "",
    task: str = "",
) -> pd.DataFrame:
    """Score the best 1, 2, ... units together, chosen and fitted in each training part alone.

    "greedy" takes, one by one, the unit whose new part explains most of what is left. "elastic_net" (Zou &
    Hastie 2005) makes, for 100 penalties a from strong to weak, the coefficients b of the standardised units
    that minimise

        mean (y − x·b)² / 2 + a · (l1_ratio · |b|₁ + (1 − l1_ratio) / 2 · |b|²)

    (for a categorical signal over all classes at once, with |b|₁ the sum of each unit's length over classes, so
    that a unit is in for all classes or for none), as far as `most` units are in; the units whose coefficient is
    not 0 are then fitted anew by least squares. Of the sets of at most n units along the path, the one with the
    best fit in the training part is that of n units. Units that are alike come into an elastic net together, so
    that a place may stay empty.

    Args:
        rec: from `lstm_probe.record`, in memory.
        signals: as for `probe_units`.
        split: which sequences are held out together; made from `folds` and `seed` where this is None.
        groups: as for `probe_units`.
        lags: how many steps back the signal's value is taken, each 0 or more.
        variables: which of h c i f g o; all that were recorded where this is None.
        folds: 2 or more; used where there is no `split`.
        methods: of greedy and elastic_net.
        most: the largest number of units, 1 or more; no more than there are.
        l1_ratio: above 0, which would leave all units in, to 1, the lasso.
        seed: of the split; also the column `seed`.
        run: what the column of that name says.
        task: what the column of that name says.

    Returns:
        One row for each layer, direction, variable, method, number of units, signal and lag, with the columns
        `SPARSE_COLUMNS`. `chosen` names the units that are in the set in more than half of the folds, joined by
        commas; there may be none. A signal without variation has NaN in place of scores.

    Raises:
        InputError: what is wrong with the arguments, all of it at once.

    >>> import lstm_probe as lp
    >>> net = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch()], random_units=2, seed=0)
    >>> batch = net.sample(64, length=20, seed=1)
    >>> rec = lp.record(net.model, batch.inputs)
    >>> path = lp.sparse_paths(rec, batch.signals, variables=["c"], methods=["greedy"], most=1)
    >>> path.query("effect > 0.9")[["signal", "chosen"]].values.tolist()
    [['count', '0'], ['latch', '1']]
    """
    rec = in_memory(rec, "sparse_paths")
    unknown = [method for method in methods if method not in METHODS]
    problems = [f"methods={m}: must be among {' '.join(METHODS)}.{nearest(str(m), METHODS)}" for m in unknown]
    if not methods:
        problems.append(f"methods: there are none; at least one is needed of {' '.join(METHODS)}")
    if not isinstance(l1_ratio, int | float | np.number) or not 0 < l1_ratio <= 1:
        problems.append(f"l1_ratio={l1_ratio}: must be a number above 0, up to 1")
    study = make_study(rec, signals, split, lags, variables, folds, seed, problems, groups=groups, most=most)
    kinds = tuple(dict.fromkeys(methods))
    reach = [min(most, block.values.shape[-1]) for block in study.blocks]
    with as_many_threads_as_torch():
        measured = by_labels(study, lambda part: score_paths(part, kinds, reach, l1_ratio))
    chosen = measured.pop("chosen")
    first = {"run": run, "task": task, "units": rec.config.units, "seed": seed}
    table = assemble(study, measured, [n * len(kinds) for n in reach], first)
    each = len(study.signals) * len(study.lags)
    table["method"] = np.repeat(np.concatenate([np.repeat(kinds, n) for n in reach]), each)
    table["n_units"] = np.repeat(np.concatenate([np.tile(np.arange(1, n + 1), len(kinds)) for n in reach]), each)
    table["chosen"] = chosen.transpose(1, 2, 0).ravel()
    return table[list(SPARSE_COLUMNS)]


def score_paths(
    study: Study, kinds: Sequence[str], reach: Sequence[int], l1_ratio: float
) -> dict[str, Shaped[np.ndarray, "lag path signal"]]:
    """Return score, effect and chosen units for each block, method and number of units, at every lag.

    Args:
        study: what is probed.
        kinds: the methods.
        reach: how many units at most, in each block.
        l1_ratio: of the elastic net.
    """
    shape = (len(study.lags), sum(reach) * len(kinds), len(study.signals))
    measured = {key: np.full(shape, np.nan) for key in ("score", "effect")}
    chosen = np.full(shape, "", dtype=object)
    for lag, view in enumerate(study.views):
        start = 0
        for block, n in zip(study.blocks, reach):
            x = view.features(block.values, block.name)
            gram = Gram.per_fold(x, view.columns, view)
            part = Standardised.of(gram.training())
            for method in kinds:
                here = slice(start, start + n)
                start += n
                for g in np.flatnonzero(view.scored).tolist():
                    path = find_path(method, part, np.flatnonzero(view.owner == g), n, l1_ratio)
                    measured["score"][lag, here, g] = score_path(path, x, gram, part, view, g)
                    chosen[lag, here, g] = names_of(path)
        measured["effect"][lag] = effects(measured["score"][lag], view)
    return {**measured, "chosen": chosen}


def find_path(
    method: str, part: Standardised, own: np.ndarray, most: int, l1_ratio: float
) -> Float[np.ndarray, "step fold unit column"]:
    """Return the least-squares coefficients of standardised units with at most 1, 2, ... `most` of them.

    Args:
        method: greedy or elastic_net.
        part: the training parts.
        own: the signal's columns.
        most: how many units at most.
        l1_ratio: of the elastic net.
    """
    xy = part.xy[..., own]
    if method == "greedy":
        return selection_path(part.xx, xy, most)
    return np.stack([elastic_net_path(*fold, most, l1_ratio) for fold in zip(part.xx, xy)], axis=1)


def elastic_net_path(
    xx: Float[np.ndarray, "unit unit"], xy: Float[np.ndarray, "unit column"], most: int, l1_ratio: float
) -> Float[np.ndarray, "step unit column"]:
    """Return the coefficients, fitted anew, of the best set of at most 1, 2, ... `most` units along the path.

    Args:
        xx: correlations of units in one training part.
        xy: covariances of standardised units with the columns.
        most: how many units at most.
        l1_ratio: of the elastic net.
    """
    path = np.zeros((most, *xy.shape))
    best = np.zeros(most)
    for active in active_sets(xx, xy, most, l1_ratio):
        size = np.count_nonzero(active)
        if not size:
            continue
        fitted = np.zeros(xy.shape)
        fitted[active] = np.linalg.pinv(xx[np.ix_(active, active)], rcond=COLLINEAR, hermitian=True) @ xy[active]
        gain = (fitted * xy).sum()
        better = (np.arange(1, most + 1) >= size) & (gain > best)
        best[better], path[better] = gain, fitted
    return path


def active_sets(
    xx: Float[np.ndarray, "unit unit"], xy: Float[np.ndarray, "unit column"], most: int, l1_ratio: float
) -> Bool[np.ndarray, "set unit"]:
    """Return the different sets of units along an elastic-net path, up to where more than `most` are in.

    scikit-learn's path wants data: as many rows as there are units do, with the same sums of products.
    """
    largest = np.linalg.norm(xy, axis=1).max() / l1_ratio
    units = len(xx)
    from sklearn import config_context
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import enet_path

    values, vectors = np.linalg.eigh(xx)
    root = np.sqrt(units * np.maximum(values, 0))
    inverse = np.where(values > COLLINEAR * units, 1 / np.where(root > 0, root, 1), 0)
    x = np.asfortranarray(root[:, None] * vectors.T)
    y = np.asfortranarray(units * inverse[:, None] * (vectors.T @ xy))
    y = y if y.shape[1] > 1 else y[:, 0]
    found = np.zeros((1, units), dtype=bool)
    start = np.zeros((*y.shape[1:], units), order="F")
    for penalties in np.split(largest * PENALTY_SHARES, 5) if largest > 0 else []:
        with warnings.catch_warnings(), config_context(skip_parameter_validation=True):
            # Nothing is read but which coefficients are 0.
            warnings.simplefilter("ignore", ConvergenceWarning)
            kept = {"coef_init": start, "precompute": False, "check_input": False}
            _, path, _ = enet_path(x, y, l1_ratio=l1_ratio, alphas=penalties, **kept)
        start = np.asfortranarray(path[..., -1])
        found = np.concatenate([found, path.reshape(-1, units, len(penalties)).any(0).T])
        too_many = np.flatnonzero(found.sum(1) > most)
        if len(too_many):
            found = found[: too_many[0]]
            break
    return np.unique(found, axis=0)


def score_path(
    path: Float[np.ndarray, "step fold unit column"],
    x: Float[np.ndarray, "sequence time unit"],
    gram: Gram,
    part: Standardised,
    view: View,
    signal: int,
) -> Float[np.ndarray, " step"]:
    """Return the held-out score of a signal at each step of a path.

    Args:
        path: coefficients of standardised units.
        x: the units.
        gram: each fold's sums over units and all columns.
        part: the training parts.
        view: all signals.
        signal: which of them.
    """
    kept = np.concatenate([np.arange(gram.features), gram.features + np.flatnonzero(view.owner == signal)])
    fits = path / part.scale[:, :, None]
    mean = part.mean[:, kept]
    if view.signals[signal].is_number:
        return np.array(list(path_r2(gram, view, np.flatnonzero(view.owner == signal), mean, fits)))
    alone, steps = view.only(signal), len(fits)
    every = Fit.about(
        np.concatenate([mean[:, : gram.features], np.tile(mean[:, gram.features :], steps)], axis=1),
        np.concatenate(list(fits), axis=-1),
    )
    predictions = np.split(every.held_out(x, alone), steps, axis=-1)
    return np.array([evaluate_predictions(one, alone).score[0, 0] for one in predictions])


def names_of(path: Float[np.ndarray, "step fold unit column"]) -> list[str]:
    """Return, for each step, the units that are chosen in more than half of the folds, joined by commas."""
    often = path.any(-1).mean(1) > 0.5
    return [",".join(map(str, np.flatnonzero(row))) for row in often]
