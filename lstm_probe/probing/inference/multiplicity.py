"""P-values after looking at many pairs: family-wise by the maximum statistic, and by false discovery."""

import numpy as np
from jaxtyping import Bool, Float

#: Statistics this close count as equal: they are made in single precision.
SAME = 1e-5


def family(
    observed: Float[np.ndarray, "lag unit signal"],
    best: Float[np.ndarray, "signal permutation"],
    scored: Bool[np.ndarray, " signal"],
) -> Float[np.ndarray, "lag unit signal"]:
    """Return p-values by the maximum statistic within each signal, and Holm over the scored signals.

    Signals of which the best unit is equally significant count alike, each as if it came first. What is kept to the
    level is the chance that any unit is found of a signal of which there is nothing to find. Where each of many signals
    has a unit that tells it, further units are found by chance more often: of 8 signals in 13 % of data sets.
    """
    count = best.shape[1]
    own = np.ones(observed.shape)
    for g in np.flatnonzero(scored):
        worse = np.searchsorted(np.sort(best[g]), observed[..., g] - SAME)
        own[..., g] = (1 + count - worse) / (count + 1)
    least = own.min((0, 1))
    out, floor = np.ones(observed.shape), 0.0
    for level in np.unique(least[scored]):
        factor = (least[scored] >= level).sum()
        floor = max(floor, min(1.0, factor * level))
        for g in np.flatnonzero(scored & (least == level)):
            out[..., g] = np.clip(factor * own[..., g], floor, 1)
    return out


def critical(
    best: Float[np.ndarray, "signal permutation"], scored: Bool[np.ndarray, " signal"], alpha: float
) -> Float[np.ndarray, " signal"]:
    """Return the score above which `family` gives at most `alpha`, whatever the other signals do.

    That is with Holm's largest factor, the number of scored signals. NaN for a signal that is not scored, and where
    so few permutations can give no p-value that small.
    """
    out = np.full(len(best), np.nan)
    count = best.shape[1]
    # A pair may be beaten by this many permutations at most; rounding must not cost it one.
    beaten = int(alpha / max(1, scored.sum()) * (count + 1) + 1e-9) - 1
    if beaten >= 0:
        out[scored] = np.sort(best[scored], axis=1)[:, ::-1][:, min(beaten, count - 1)]
    return out


def q_values(p_value: Float[np.ndarray, " pair"]) -> Float[np.ndarray, " pair"]:
    """Return Benjamini and Hochberg's adjusted p-values over all pairs that have one.

    Those of `scipy.stats` are the same, and importing that takes longer than the null of a default run.
    """
    out = np.full(p_value.shape, np.nan)
    (some,) = np.nonzero(~np.isnan(p_value))
    falling = some[np.argsort(-p_value[some], kind="stable")]
    share = np.arange(len(falling), 0, -1) / max(1, len(falling))
    out[falling] = np.minimum.accumulate(p_value[falling] / share)
    return out
