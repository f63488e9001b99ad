"""Intervals by bootstrap over sequences, from sums per sequence.

What a bootstrap gives is a spread; where to put it matters as much. Plain percentiles of R² cover too rarely: a
held-out score lies below the truth by what the fit lost to chance, R² is skewed, and few sequences vary less in
resamples than they do in signal. So the interval of a unit's R² is Student's t on a scale on which it is symmetric,
Fisher's z of the correlation. That of all units together is in `population`.

Of an angle, sine and cosine are taken together in every sample: z then is that of the root of their R². Such a root has
no sign, and chance moves it upwards: the lower end is laid from an R² less what samples are above it on average.
"""

import numpy as np
from jaxtyping import Float, Int, Shaped

from lstm_probe.core.quantiles import student
from lstm_probe.core.seeding import derive_seed
from lstm_probe.probing.data.split import Split
from lstm_probe.probing.data.view import Steps
from lstm_probe.probing.fits.moments import CONSTANT, Moments


def bootstrap_weights(
    sequences: int, samples: int, seed: int, blocks: Int[np.ndarray, " sequence"] | None = None
) -> Float[np.ndarray, "sample sequence"]:
    """Return how often each bootstrap sample draws each sequence; those of one of the `blocks` are drawn as one."""
    rng = np.random.default_rng(derive_seed(seed, "bootstrap"))
    count = sequences if blocks is None else int(blocks.max()) + 1
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=samples).astype(np.float64)
    return drawn if blocks is None else drawn[:, blocks]


def together(
    columns: Float[np.ndarray, "*rest column"], owner: Int[np.ndarray, " column"] | None
) -> Float[np.ndarray, "*rest signal"]:
    """Return the sums over each signal's columns; the columns where each is its own."""
    if owner is None or len(np.unique(owner)) == len(owner):
        return columns
    result: np.ndarray = columns @ np.eye(owner.max() + 1)[owner]
    return result


def correlations(sums: Moments) -> Float[np.ndarray, "group unit column"]:
    """Return Pearson's correlations over each group's steps; 0 where one of the two is constant."""
    n = np.maximum(sums.n, 1)
    spread_x, spread_y = sums.xx - sums.x**2 / n, sums.yy - sums.y**2 / n
    varies = (spread_x > CONSTANT * sums.xx) & (spread_y > CONSTANT * sums.yy)
    scale = np.sqrt(np.where(varies, spread_x * spread_y, 1))
    return np.where(varies, (sums.xy - sums.x * sums.y / n) / scale, 0.0)


def shared_correlations(
    sums: Moments, owner: Int[np.ndarray, " column"] | None
) -> Float[np.ndarray, "group unit signal"]:
    """Return `correlations`; of a signal with several columns, the root of the R² of all of them together."""
    r = correlations(sums)
    if owner is None or len(np.unique(owner)) == len(owner):
        return r
    spread = sums.yy - sums.y**2 / np.maximum(sums.n, 1)
    whole = together(spread, owner)
    root = np.sqrt(together(r**2 * spread, owner) / np.where(whole > 0, whole, 1))
    result: np.ndarray = np.where(np.bincount(owner) > 1, root, together(r, owner))
    return result


def resample_sums(sums: Moments, weights: Float[np.ndarray, "sample sequence"]) -> Moments:
    """Return the sums over each bootstrap sample."""
    return sums.map(lambda own: (weights @ own.reshape(len(own), -1)).reshape(len(weights), *own.shape[1:]))


def student_interval(
    value: Shaped[np.ndarray, "*rest"], samples: Shaped[np.ndarray, "sample *rest"], count: int, level: float = 0.95
) -> tuple[Shaped[np.ndarray, "*rest"], Shaped[np.ndarray, "*rest"]]:
    """Return value ± t · spread of the samples, with t and the spread corrected for `count` sequences only."""
    half = student((1 + level) / 2, max(1, count - 1)) * np.sqrt(count / max(1, count - 1)) * samples.std(0)
    return value - half, value + half


def correlation_interval(
    sums: Moments,
    scores: Float[np.ndarray, "unit signal"],
    weights: Float[np.ndarray, "sample sequence"],
    owner: Int[np.ndarray, " column"] | None = None,
    count: int | None = None,
) -> tuple[Float[np.ndarray, "unit signal"], Float[np.ndarray, "unit signal"]]:
    """Return the interval of the R² of a straight line: its correlation's, by Fisher's z (1915), squared.

    The correlation is that of all steps, which chance moves far less than a held-out R². Where that score lies
    outside all the same, as one below 0 does, the interval is stretched to hold it.

    Args:
        sums: each sequence's.
        scores: the held-out R².
        weights: from `bootstrap_weights`.
        owner: the signal that each column belongs to; None: each is its own.
        count: how many independent sequences there are; all that have steps where this is None.
    """
    count = int((sums.n > 0).sum()) if count is None else count
    whole = shared_correlations(sums.map(lambda own: own.sum(0, keepdims=True)), owner)[0]
    resampled = shared_correlations(resample_sums(sums, weights), owner)
    less = whole
    if owner is not None:
        root = np.sqrt(np.maximum(0, 2 * whole**2 - (resampled**2).mean(0)))
        less = np.where(np.bincount(owner) > 1, root, whole)
    # Of perfect correlations z is infinite.
    low_z, z, samples = (np.arctanh(np.clip(r, -1 + 1e-12, 1 - 1e-12)) for r in (less, whole, resampled))
    ends = np.tanh([student_interval(low_z, samples, count)[0], student_interval(z, samples, count)[1]])
    low = np.where(ends[0] * ends[1] > 0, np.abs(ends).min(0), 0) ** 2
    return np.minimum(low, scores), np.maximum(np.abs(ends).max(0) ** 2, scores)


def placements(
    ranks: Float[np.ndarray, "sequence time unit"],
    indicator: Float[np.ndarray, "sequence time"],
    view: Steps,
) -> tuple[Float[np.ndarray, "sequence unit 2"], Float[np.ndarray, "sequence 2"]]:
    """Return what `resample_auroc` needs: how many steps of the other class lie below, and how many steps there are.

    Args:
        ranks: within folds; their centre does not matter as long as it is the fold's.
        indicator: 1 at positive steps, 0 at all others.
        view: mask and split.
    """
    below = lower_of_other_class(ranks, indicator, view)
    both = np.stack([indicator, view.mask - indicator], axis=-1).astype(np.float32)
    return (below.transpose(0, 2, 1) @ both).astype(np.float64), both.sum(1).astype(np.float64)


def lower_of_other_class(
    ranks: Float[np.ndarray, "sequence time unit"], indicator: Float[np.ndarray, "sequence time"], view: Steps
) -> Float[np.ndarray, "sequence time unit"]:
    """Return how many steps of the other class in its fold lie below each step, ties counted half; 0 off the mask.

    Ranks are halves of whole numbers: the positives below each rank are counted, which needs no sort.
    """
    below = np.zeros(ranks.shape, dtype=np.float32)
    for members in view.split.members:
        real = view.mask[members]
        if not real.any():
            continue
        own, positive = ranks[members][real].T, indicator[members][real] > 0
        # Whatever their centre is, ranks from 1 to n have their mean in the middle.
        shift = (own.shape[1] + 1) / 2 - own.mean(1, dtype=np.float64, keepdims=True)
        twice = np.rint(2 * (own + shift)).astype(np.int64)
        placed = np.zeros((*real.shape, len(own)), dtype=np.float32)
        lower = np.empty(own.shape, dtype=np.float32)
        for row, out in zip(twice, lower):
            count = np.bincount(row[positive], minlength=2 * len(row) + 1)
            out[:] = (np.cumsum(count) - 0.5 * count).take(row)
        placed[real] = np.where(positive, 0.5 * twice - 0.5 - lower, lower).T
        below[members] = placed
    return below


def resample_auroc(
    below: Float[np.ndarray, "sequence unit 2"],
    counts: Float[np.ndarray, "sequence 2"],
    sign: Float[np.ndarray, "fold unit"],
    split: Split,
    weights: Float[np.ndarray, "sample sequence"],
) -> Float[np.ndarray, "sample unit"]:
    """Return the AUROC in each bootstrap sample, linear in how often each sequence was drawn.

    A step's placement is the share of its fold's steps of the other class that it beats (ties count half). A
    fold's AUROC is the mean placement of its positives, and of its negatives; to first order a sample's is
    the sum of the two weighted means less the AUROC itself (DeLong, DeLong & Clarke-Pearson 1988; Obuchowski
    1997 for clusters). NaN in a sample without any pair.

    Args:
        below: for each sequence, summed over its positive steps and over its negative ones: how many steps
            of the other class in its fold lie below the step's value.
        counts: each sequence's positive and negative steps.
        sign: each fold's orientation.
        split: which sequences are held out together.
        weights: from `bootstrap_weights`.
    """
    total, pairs = np.zeros((len(weights), below.shape[1])), np.zeros((len(weights), 1))
    for fold, members in enumerate(split.members):
        n = counts[members].sum(0)
        if n.min() == 0:
            continue
        drawn, count = weights[:, members], counts[members]
        positive = below[members, :, 0] / n[1] - 0.5 * count[:, :1]
        negative = 0.5 * count[:, 1:] - below[members, :, 1] / n[0]
        excess = positive.sum(0) / n[0]
        weighted = drawn @ count
        share = np.maximum(weighted, 1)
        sample = drawn @ positive / share[:, :1] + drawn @ negative / share[:, 1:] - excess
        pair = weighted[:, :1] * weighted[:, 1:]
        total += pair * np.clip(sign[fold] * sample, -0.5, 0.5)
        pairs += pair
    return np.where(pairs > 0, 0.5 + total / np.maximum(pairs, 1), np.nan)


def percentile_interval(
    samples: Shaped[np.ndarray, "sample *rest"], level: float = 0.95
) -> tuple[Shaped[np.ndarray, "*rest"], Shaped[np.ndarray, "*rest"]]:
    """Return the percentile interval over samples; samples in which a score is undefined do not count."""
    ends = [(1 - level) / 2, (1 + level) / 2]
    missing = np.isnan(samples).reshape(len(samples), -1)
    if not missing.any():
        low, high = np.quantile(samples, ends, axis=0)
        return low, high
    flat = samples.reshape(len(samples), -1)
    out = np.full((2, flat.shape[1]), np.nan)
    some = ~missing.all(0)
    out[:, some] = np.nanquantile(flat[:, some], ends, axis=0)
    return out[0].reshape(samples.shape[1:]), out[1].reshape(samples.shape[1:])
