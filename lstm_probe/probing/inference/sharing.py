"""How many units, and how much of a dimension, a signal takes; `probing.coding` says what the numbers mean."""

import numpy as np
from jaxtyping import Float, Int

from lstm_probe.probing.data.view import Outcomes
from lstm_probe.probing.fits.forward import LEAST_EFFECT, r2_of
from lstm_probe.probing.fits.ridge import Gram, Standardised, fit_ridge

#: Signals whose correlations have an eigenvalue below this share of the largest are combinations of others.
COLLINEAR = 1e-10


def shared(gram: Gram, outcomes: Outcomes) -> dict[str, Float[np.ndarray, " signal"]]:
    """Return effect, participation and dimensionality of each signal."""
    part, fit, u = Standardised.of(gram.training()), fit_ridge(gram), gram.features
    effect = np.maximum(0, outcomes.per_signal(r2_of(gram.sums, part.mean, fit.coefficients)))
    scale = np.where(np.isfinite(part.scale), part.scale, 0)
    weights = fit.coefficients * scale[:, :, None]
    each = np.maximum(0, weights * (part.xx @ weights)).mean(0)
    apart = feature_dimensionality(signal_directions(gram.sums.sum(0), u))
    many, own = np.full((2, len(outcomes.signals)), np.nan)
    for g in np.flatnonzero(effect >= LEAST_EFFECT).tolist():
        columns = np.flatnonzero((outcomes.owner == g) & outcomes.defined)
        many[g] = effective_number(each[:, columns].sum(1)[None])[0]
        most = max(1, len(columns) - (outcomes.signals[g].kind == "categorical"))
        own[g] = apart[columns].sum() / most
    return {"effect": effect, "participation": many, "dimensionality": own}


def rest_effect(gram: Gram, outcomes: Outcomes, unit: Int[np.ndarray, " signal"]) -> Float[np.ndarray, " signal"]:
    """Return the effect of all units but one, for each signal another one; NaN without a score or another unit.

    Args:
        gram: each fold's sums over units and the outcomes' columns.
        outcomes: the signals.
        unit: which unit is left out for each signal; −1 for a signal without a score.
    """
    u, out = gram.features, np.full(len(unit), np.nan)
    for left_out in np.unique(unit[unit >= 0]) if u > 1 else ():
        columns = np.flatnonzero(unit[outcomes.owner] == left_out)
        kept = np.r_[0, 1 + np.delete(np.arange(u), left_out), 1 + u + columns]
        less = Gram(gram.sums[:, kept[:, None], kept], u - 1)
        found = np.full(len(outcomes.owner), np.nan)
        found[columns] = r2_of(less.sums, Standardised.of(less.training()).mean, fit_ridge(less).coefficients)
        own = unit == left_out
        out[own] = np.maximum(0, outcomes.per_signal(found)[own])
    return out


def effective_number(parts: Float[np.ndarray, "row part"]) -> Float[np.ndarray, " row"]:
    """Return each row's (Σ a)² / Σ a² of its non-negative parts, from 1 to how many there are; NaN where all are 0.

    >>> effective_number(np.array([[2.0, 2.0, 0.0], [5.0, 0.0, 0.0]])).tolist()
    [2.0, 1.0]
    """
    # Divided by the largest first, so that squares of small parts do not vanish.
    largest = parts.max(-1, keepdims=True)
    parts = parts / np.where(largest > 0, largest, np.nan)
    result: np.ndarray = parts.sum(-1) ** 2 / (parts**2).sum(-1)
    return result


def feature_dimensionality(
    directions: Float[np.ndarray, "feature unit"],
) -> Float[np.ndarray, " feature"]:
    """Return D_i = |W_i|² / Σ_j (Ŵ_i · W_j)² of each row W_i; 0 for a row of zeros.

    >>> feature_dimensionality(np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0]])).tolist()
    [0.5, 0.5, 1.0]
    """
    products = directions @ directions.T
    square = np.diagonal(products)
    interference = (products**2).sum(1)
    present = interference > 0
    return np.where(present, square**2 / np.where(present, interference, 1), 0.0)


def signal_directions(sums: Float[np.ndarray, "product product"], units: int) -> Float[np.ndarray, "column unit"]:
    """Return the coefficients of the standardised units on all standardised columns at once.

    Where columns are combinations of others, as the indicators of all classes are, of all solutions the
    shortest.

    Args:
        sums: over all steps, of products of [1, units, columns].
        units: how many of them are units.
    """
    n = max(1, sums[0, 0])
    centred = sums[1:, 1:] - np.outer(sums[0, 1:], sums[0, 1:]) / n
    variance = np.diagonal(centred)
    varies = variance > 1e-12 * np.diagonal(sums)[1:]
    scale = np.where(varies, 1 / np.sqrt(np.where(varies, variance, 1)), 0)
    correlations = centred * scale * scale[:, None]
    inverse = np.linalg.pinv(correlations[units:, units:], rcond=COLLINEAR, hermitian=True)
    result: np.ndarray = inverse @ correlations[units:, :units]
    return result
