"""Is the unit the right thing to look at, or would any direction do? Units against random rotations of them.

The best single unit's held-out R² stands beside that of the best single direction in each of many random
orthogonal bases. Everything is on the scale of R² here: for a class signal, the mean R² of its indicators.

What is rotated are units of standard deviation 1. That makes the test fair in three ways:

- A unit's scale says nothing, so it plays no part.
- Units that share much with each other go on doing so in every basis. Were they whitened first, a direction
  would hold next to nothing of what all of them share, and any signal that every unit has a part in would look
  as if it sat in one of them.
- Of a recording that is itself rotated, the units are directions like all others (nearly: they are brought to
  standard deviation 1 after they were mixed), so they do no better than other bases.

A signal that one unit holds stays there if other units hold it too, as long as most others do not: where
nearly all units hold a signal, any direction does, and the test says so.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from lstm_probe.core.seeding import derive_seed
from lstm_probe.probing.data.split import Split
from lstm_probe.probing.data.view import Outcomes
from lstm_probe.probing.fits.moments import Moments, squared_errors
from lstm_probe.probing.fits.ridge import Gram
from lstm_probe.probing.inference.scores import r2

#: Which of the rotations' best directions `rotated_high` is: of 100, the fifth best.
PERCENTILE = 95

#: R² this close counts as equal: where all directions are the same, rounding decides nothing.
SAME = 1e-9

#: Memory for the directions that are scored at once, in bytes.
BATCH_BYTES = 2**26


@dataclass(frozen=True, eq=False)
class RotationTest:
    """The best unit beside the best directions of random bases, NaN where there is nothing to compare.

    Attributes:
        best_unit: the first of the best units; −1 where the signal has no score.
        best_effect: its R², floored at 0.
        second_unit: the best of the other units; −1 where there is no other.
        second_effect: its R², floored at 0.
        rotated: the median over rotations of the best direction's.
        rotated_high: their 95th percentile.
        p_rotation: (1 + rotations whose best direction is at least as good) / (1 + rotations).
    """

    best_unit: Int[np.ndarray, " signal"]
    best_effect: Float[np.ndarray, " signal"]
    second_unit: Int[np.ndarray, " signal"]
    second_effect: Float[np.ndarray, " signal"]
    rotated: Float[np.ndarray, " signal"]
    rotated_high: Float[np.ndarray, " signal"]
    p_rotation: Float[np.ndarray, " signal"]


def random_rotations(units: int, count: int, seed: int) -> Float[np.ndarray, "rotation unit direction"]:
    """Return orthogonal matrices drawn uniformly (by the Haar measure); each column is a direction.

    The Q of a Gaussian matrix's QR decomposition, signed so that R's diagonal is positive (Mezzadri 2007).
    """
    rng = np.random.default_rng(derive_seed(seed, "rotations", units))
    q, r = np.linalg.qr(rng.normal(size=(count, units, units)))
    result: np.ndarray = q * np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None]
    return result


def direction_scores(
    gram: Gram, outcomes: Outcomes, directions: Float[np.ndarray, "unit direction"]
) -> Float[np.ndarray, "direction signal"]:
    """Return the held-out R², floored at 0, of each direction by itself; NaN for a signal without a score.

    Turning the units turns their sums, so the data are not needed.

    Args:
        gram: each fold's sums over units and the outcomes' columns.
        outcomes: the signals.
        directions: weights of units.
    """
    u, sums = gram.features, gram.sums
    x, xx, xy = sums[:, 0, 1 : 1 + u], sums[:, 1 : 1 + u, 1 : 1 + u], sums[:, 1 : 1 + u, 1 + u :]
    folds = Moments(
        n=sums[:, 0, 0, None, None],
        x=(x @ directions)[..., None],
        xx=(directions * (xx @ directions)).sum(1)[..., None],
        y=sums[:, None, 0, 1 + u :],
        yy=np.diagonal(sums, axis1=1, axis2=2)[:, None, 1 + u :],
        xy=directions.T @ xy,
    )
    errors = squared_errors(folds, folds.map(Split.training)).sum(0)
    spread = folds.yy.sum(0) - folds.y.sum(0) ** 2 / max(1, folds.n.sum())
    result: np.ndarray = np.maximum(0, outcomes.per_signal(r2(errors, spread)))
    return result


def rotation_test(
    gram: Gram, outcomes: Outcomes, rotations: Float[np.ndarray, "rotation unit direction"]
) -> RotationTest:
    """Return the best unit of a block beside the best directions of these rotations.

    Args:
        gram: each fold's sums over units, standardised, and the outcomes' columns; no unit is constant,
            unless it is alone.
        outcomes: the signals.
        rotations: with a single unit there is nothing to rotate, and all but the best unit is NaN.
    """
    units, signals = gram.features, len(outcomes.signals)
    own = direction_scores(gram, outcomes, np.eye(units))
    order = np.argsort(-own, axis=0, kind="stable")
    best = own.max(0)
    unit = np.where(np.isnan(best), -1, order[0])
    if units == 1:
        nothing = np.full(signals, np.nan)
        return RotationTest(unit, best, np.full(signals, -1), nothing, nothing, nothing, nothing)
    found, step = [], max(1, BATCH_BYTES // (8 * gram.sums[:, 0].size * units))
    for start in range(0, len(rotations), step):
        batch = rotations[start : start + step]
        scores = direction_scores(gram, outcomes, batch.transpose(1, 0, 2).reshape(units, -1))
        found.append(scores.reshape(len(batch), units, signals).max(1))
    rotated = np.concatenate(found)
    p = (1 + (rotated >= best - SAME).sum(0)) / (1 + len(rotated))
    return RotationTest(
        unit,
        best,
        np.where(np.isnan(best), -1, order[1]),
        np.take_along_axis(own, order[1:2], axis=0)[0],
        np.median(rotated, axis=0),
        np.percentile(rotated, PERCENTILE, axis=0),
        np.where(np.isnan(best), np.nan, p),
    )
