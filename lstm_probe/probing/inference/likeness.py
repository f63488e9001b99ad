"""How alike two networks' units are on the same sequences: one by one, by what they tell of signals, and as a whole.

What has to be chosen (which unit goes with which, how one space is turned onto the other) is chosen on one half of
the sequences and scored on the other. All units have mean 0 and standard deviation 1 over the steps of a half.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True, eq=False)
class Sums:
    """What is summed over the steps of one half: correlations of two networks' units, and of both with signals.

    Attributes:
        between: correlation of each unit with each of the other network's.
        own: of the units with signals' columns.
        other: of the other network's units with these.
        squares: sums over steps of |x|²|y|², of |x|⁴ and of |y|⁴.
        n: how many steps there are.
    """

    between: Float[np.ndarray, "unit other"]
    own: Float[np.ndarray, "unit column"]
    other: Float[np.ndarray, "other column"]
    squares: Float[np.ndarray, " 3"]
    n: int

    @classmethod
    def of(
        cls,
        x: Float[np.ndarray, "step unit"],
        y: Float[np.ndarray, "step other"],
        signals: Float[np.ndarray, "step column"],
        others: Float[np.ndarray, "step column"] | None = None,
    ) -> "Sums":
        """Return the sums; all columns have mean 0 and standard deviation 1 (constant ones are 0).

        Args:
            x: one network's units.
            y: the other's.
            signals: what x is correlated with.
            others: what y is; None for the same.
        """
        n, others = len(x), signals if others is None else others
        lengths = np.stack([np.einsum("tu,tu->t", x, x), np.einsum("tu,tu->t", y, y)])
        squares = np.array([lengths[0] @ lengths[1], lengths[0] @ lengths[0], lengths[1] @ lengths[1]])
        return cls(x.T @ y / n, x.T @ signals / n, y.T @ others / n, squares, n)

    def turned(
        self, rotation: Float[np.ndarray, "other direction"], within: Float[np.ndarray, "other other"]
    ) -> "Sums":
        """Return the sums with directions of the other network's units, at standard deviation 1, in their place.

        Args:
            rotation: a direction in each column.
            within: correlations of the other network's units.
        """
        scale = np.sqrt(np.maximum((rotation * (within @ rotation)).sum(0), 1e-300))
        return replace(self, between=self.between @ rotation / scale, other=(rotation.T @ self.other) / scale[:, None])


def matched(
    similarity: Float[np.ndarray, "unit other"],
) -> tuple[Int[np.ndarray, " match"], Int[np.ndarray, " match"]]:
    """Return the pairs of units, each unit in one pair at most, whose similarities have the largest sum."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(similarity, maximize=True)
    return np.asarray(rows), np.asarray(columns)


def match_responses(first: Sums, second: Sums) -> tuple[np.ndarray, np.ndarray, Float[np.ndarray, " match"]]:
    """Return which units go with which by |r| on the first half, and r on the second, signed as on the first."""
    rows, columns = matched(np.abs(first.between))
    return rows, columns, np.sign(first.between[rows, columns]) * second.between[rows, columns]


def match_signals(
    first: Sums, second: Sums, owner: Float[np.ndarray, "column signal"], exchanged: Sums | None = None
) -> tuple[np.ndarray, np.ndarray, Float[np.ndarray, " match"]]:
    """Return which units go with which by the signal that both tell best on the first half, and that on the second.

    What two units share of a signal is the lesser of their two effects on it.

    With `exchanged`, it is what the same pairs share of the same signals by chance. By chance means that at most one of
    the two units tells the signal; which one is not known. So one's effect on the exchanged signal stands beside the
    other's on the actual one, then the other way round, and the greater of the two lesser effects counts: never less
    than with the right unit exchanged, of which the actual value is one draw more. So p-values are never too small, and
    too large where neither unit tells the signal. Units matched anew would not do: greater effects on the half that
    chooses may choose lesser ones on the other.

    Args:
        first: sums of the half that chooses.
        second: of the half that is scored.
        owner: makes effects on signals of squared correlations with columns.
        exchanged: of that half, each network's units with the signals of the other's sequences.
    """
    shared = np.minimum(((first.own**2) @ owner)[:, None], ((first.other**2) @ owner)[None])
    rows, columns = matched(shared.max(-1))
    best = owner[:, shared[rows, columns].argmax(-1)].T

    def told(sums: Sums) -> list[np.ndarray]:
        return [np.einsum("mc,mc->m", r**2, best) for r in (sums.own[rows], sums.other[columns])]

    own, other = told(second)
    if exchanged is None:
        return rows, columns, np.minimum(own, other)
    own_by_chance, other_by_chance = told(exchanged)
    return rows, columns, np.maximum(np.minimum(own_by_chance, other), np.minimum(own, other_by_chance))


def linear_cka(sums: Sums, own: Float[np.ndarray, "unit unit"], other: Float[np.ndarray, "other other"]) -> float:
    """Return debiased linear CKA: 1 for spaces that are alike up to rotation and scale, about 0 for unrelated ones.

    Kornblith, Norouzi, Lee & Hinton (2019) with the unbiased HSIC of Song, Smola, Gretton, Bedo & Borgwardt (2012),
    reckoned from sums alone, steps being its samples. Below 0 is possible.

    Args:
        sums: of both networks.
        own: correlations of the units with each other.
        other: those of the other network's.
    """
    n = sums.n
    if n < 4:
        return float("nan")
    traces = (len(own), len(other))  # |x|² summed over steps, over n
    pairs = ((sums.between, traces[0], traces[1]), (own, traces[0], traces[0]), (other, traces[1], traces[1]))
    hsic = [
        n * n * (c**2).sum() - n / (n - 2) * square + n * n * a * b / ((n - 1) * (n - 2))
        for (c, a, b), square in zip(pairs, sums.squares)
    ]
    return float(hsic[0] / np.sqrt(hsic[1] * hsic[2])) if hsic[1] > 0 and hsic[2] > 0 else float("nan")


def procrustes(first: Sums, second: Sums) -> float:
    """Return how alike two spaces are after the rotation (and reflection) that brings them together best.

    The rotation is fitted on the first half. On the second: tr(RᵀXᵀY) / (|X| |Y|), which is 1 for spaces alike up to
    rotation, and about 0 for unrelated ones. Of spaces of several sizes the smaller one is turned into the larger.
    """
    u, _, v = np.linalg.svd(first.between, full_matrices=False)
    return float(((u @ v) * second.between).sum() / np.sqrt(np.prod(second.between.shape)))


def by_units(
    first: Sums, second: Sums, owner: Float[np.ndarray, "column signal"], exchanged: tuple[Sums, Sums] | None = None
) -> dict[str, float]:
    """Return the mean over matched units, by each way of matching; arguments as of `likeness`."""
    found = {"units": float(match_responses(*(exchanged or (first, second)))[2].mean())}
    if owner.shape[1]:
        found["signals"] = float(match_signals(first, second, owner, exchanged and exchanged[1])[2].mean())
    return found


def likeness(
    first: Sums,
    second: Sums,
    owner: Float[np.ndarray, "column signal"],
    own: Float[np.ndarray, "unit unit"],
    other: Float[np.ndarray, "other other"],
    exchanged: tuple[Sums, Sums] | None = None,
) -> Mapping[str, float]:
    """Return how alike networks are by name: units (by responses), signals, and as a whole cka and procrustes.

    With `exchanged`, how alike they are by chance.

    Args:
        first: sums of the half that chooses.
        second: sums of the half that is scored.
        owner: makes effects on signals of squared correlations with columns; without signals none are matched.
        own: correlations of the units with each other on the second half.
        other: those of the other network's.
        exchanged: sums of both halves with the other network's sequences in another order.
    """
    chosen, scored = exchanged or (first, second)
    whole = {"cka": linear_cka(scored, own, other), "procrustes": procrustes(chosen, scored)}
    return by_units(first, second, owner, exchanged) | whole
