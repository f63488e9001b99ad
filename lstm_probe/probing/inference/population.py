"""How much of a signal the best linear read-out of the population would explain, from a sample of it.

A fit tells its own data better than it deserves, and data held out from it worse than the best read-out would: the fit
is off by what chance did to it, and both ways by about the same. So the R² of the best read-out lies in the middle, on
the scale of log(1 − R²), of that of least squares within the sample (a) and on held-out sequences (c). How far chance
moves it is known from a with each of some groups of sequences left out: the jackknife (Tukey 1958; Wu 1986).

    centre = 1 − exp((a + c) / 2),    ends = 1 − exp((a + c) / 2 ± t se),    se² = (g − 1) / g · Σ (a_i − mean)²

with Student's t of g − 1 degrees of freedom. All of it comes from sums of products; the data are not needed.
"""

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from lstm_probe.core.quantiles import student
from lstm_probe.probing.data.view import Outcomes, View
from lstm_probe.probing.fits.forward import r2_of
from lstm_probe.probing.fits.ridge import Gram, Standardised

#: How many groups of sequences are left out in turn, at most; with fewer than `LEAST` there is no interval.
MOST, LEAST = 20, 8

#: Above this R² within the sample there is no interval: chance does not move log(1 − R²) evenly there.
HIGHEST = 0.99

#: Where held-out sequences leave over this many times what the sample does, there are too few for so many units: the
#: middle is too high then, and the interval held the truth in 78 to 90 % of simulations.
APART = 6.0

#: Units whose correlations have an eigenvalue below this share of the largest are combinations of others.
COLLINEAR = 1e-10

#: The smallest share left over that is told from nothing.
LEAST_LEFT = 1e-12


def jackknife_groups(
    counted: Bool[np.ndarray, " sequence"], groups: Shaped[np.ndarray, " sequence"] | None = None
) -> Int[np.ndarray, " sequence"]:
    """Return which group each sequence is left out with, of up to `MOST`; −1 for one that does not count.

    Args:
        counted: whether a sequence has steps that count.
        groups: of sequences that are not independent of each other, and left out together; each its own by default.
    """
    out = np.full(len(counted), -1)
    own = np.flatnonzero(counted) if groups is None else groups[counted]
    out[counted] = np.unique(own, return_inverse=True)[1] % MOST
    return out


def members_of(group: Int[np.ndarray, " sequence"]) -> list[Int[np.ndarray, " _"]]:
    """Return the sequences of each group, from `jackknife_groups`."""
    return [np.flatnonzero(group == k) for k in range(group.max(initial=-1) + 1)]


def population_of(
    x: Float[np.ndarray, "sequence time unit"], view: View, groups: Shaped[np.ndarray, " sequence"] | None = None
) -> dict[str, Float[np.ndarray, " signal"]]:
    """Return what `population_r2` says of standardised units; of data of which `groups` are independent as wholes."""
    group, y = jackknife_groups(view.n > 0, groups), view.columns[..., view.continuous]
    if not len(view.continuous) or group.max(initial=-1) < 0:
        return nothing_known(view)
    left_out = Gram.of_groups(x, y, view.mask, members_of(group))
    return population_r2(left_out, Gram.per_fold(x, y, view), view)


def nothing_known(outcomes: Outcomes) -> dict[str, Float[np.ndarray, " signal"]]:
    """Return NaN in place of all that is said of signals."""
    return {name: np.full(len(outcomes.signals), np.nan) for name in ("r2_population", "ci_low", "ci_high")}


def population_r2(left_out: Gram, folds: Gram, outcomes: Outcomes) -> dict[str, Float[np.ndarray, " signal"]]:
    """Return the centre and the ends of the interval of each number or angle, floored at 0; NaN for all other signals.

    There is neither where a fit has no more steps than units, and no interval where there are fewer than `LEAST`
    groups, or the R² within the sample is above `HIGHEST`. Nothing is said where the two R² are too far apart.

    Args:
        left_out: sums over each of the jackknife's groups, of units and continuous columns.
        folds: sums over each fold, of the same.
        outcomes: the signals.
    """
    columns = outcomes.continuous
    numbers, owner = np.unique(outcomes.owner[columns], return_inverse=True)
    whole = Gram(left_out.sums.sum(0, keepdims=True), left_out.features)
    varying = np.isfinite(Standardised.of(whole).scale).sum()
    out = nothing_known(outcomes)
    parts = [folds.training(), left_out.training()] if len(left_out.sums) > 1 else [folds.training()]
    if min(part.sums[:, 0, 0].min() for part in parts) <= varying + 1 or not len(columns):
        return out
    within = log_left(whole, owner)[0][0]
    _, fitted, mean = log_left(parts[0], owner)
    weight = outcomes.weight[columns]
    told = together(weight * r2_of(folds.sums, mean, fitted), owner) / together(weight, owner)
    held_out = np.log(np.maximum(1 - told, LEAST_LEFT))
    middle, half = (within + held_out) / 2, np.full(len(numbers), np.nan)
    if (g := len(left_out.sums)) >= LEAST:
        each = log_left(parts[1], owner)[0]
        half = student(0.975, g - 1) * np.sqrt((g - 1) / g * np.square(each - each.mean(0)).sum(0))
        half[1 - np.exp(within) > HIGHEST] = np.nan
    middle[held_out - within > np.log(APART)] = np.nan
    for name, ends in (("r2_population", middle), ("ci_low", middle + half), ("ci_high", middle - half)):
        out[name][numbers] = np.maximum(0, np.where(outcomes.scored[numbers], 1 - np.exp(ends), np.nan))
    return out


def together(
    per_column: Float[np.ndarray, "*rest column"], owner: Int[np.ndarray, " column"]
) -> Float[np.ndarray, "*rest number"]:
    """Return the sum over each signal's columns: an angle has two of them."""
    result: np.ndarray = per_column @ np.eye(owner.max(initial=-1) + 1)[owner]
    return result


def log_left(
    gram: Gram, owner: Int[np.ndarray, " column"]
) -> tuple[
    Float[np.ndarray, "group number"], Float[np.ndarray, "group feature column"], Float[np.ndarray, "group variable"]
]:
    """Return the log of the share of each signal that least squares leaves over in each part, coefficients and means.

    `owner` is the signal that each column belongs to, from 0.
    """
    part = Standardised.of(gram)
    fitted = np.linalg.pinv(part.xx, rcond=COLLINEAR, hermitian=True) @ part.xy
    spread = together(part.yy, owner)
    left = together(part.yy - (part.xy * fitted).sum(1), owner) / np.where(spread > 0, spread, np.nan)
    return np.log(np.maximum(left, LEAST_LEFT)), fitted / part.scale[..., None], part.mean
