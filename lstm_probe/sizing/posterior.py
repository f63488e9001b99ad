"""What outcomes of trainings say of the smallest size that solves a task: a posterior on a grid of laws.

A law says how often a training with `u` units solves the task,

    P(solved | u) = 0.005 + (0.995 - lapse) Phi((log2 u - m) / s),

with `Phi` the normal distribution function: half of the way up at 2^m units, over a width of `s` octaves, and some
trainings fail at any size (`lapse`). Beforehand all `m` are alike per octave, and all `s`; few trainings fail. The
answer of a law is its smallest size with P of at least one half; where no size up to the largest has that, it lies
beyond.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int
from scipy.special import ndtr

LUCKY = 0.005  # how often a training that is too small counts as solved
HALF = 0.5  # the answer is the smallest size that solves the task at least so often
WIDTHS = (0.01, 0.03, 0.1, 0.25, 0.5, 1.0)  # s, in octaves
#: lapse, and how probable each is beforehand; with the last one no size solves the task in half of the trainings.
LAPSES = {0.01: 1.0, 0.05: 1.0, 0.15: 0.5, 0.3: 0.25, 0.45: 0.12, 0.65: 0.12}
BELOW, ABOVE, STEPS = 1.0, 0.5, 90  # m: octaves below the smallest size and above the largest; cells at least
LEVEL = 0.95


@dataclass(frozen=True)
class Grid:
    """Every law that is thought possible, by answer.

    Attributes:
        sizes: that may be tried: whole numbers, one after the other.
        solves: P(solved | size) of each law.
        prior: probability of each law before anything is known.
        starts: where in the laws each answer begins, in the order of `answers`.
        answers: every answer that some law gives, in order; the size after the last stands for beyond it.
    """

    sizes: Int[np.ndarray, " size"]
    solves: Float[np.ndarray, "law size"]
    prior: Float[np.ndarray, " law"]
    starts: Int[np.ndarray, " answer"]
    answers: Int[np.ndarray, " answer"]


@lru_cache(maxsize=4)
def grid_of(smallest: int, largest: int) -> Grid:
    """Return the laws for sizes from `smallest` to `largest`.

    The cells of `m` end at every size, so that each of them is the answer of some law.
    """
    sizes = np.arange(smallest, largest + 1)
    octaves = np.log2(sizes)
    edges = np.union1d(np.linspace(octaves[0] - BELOW, octaves[-1] + ABOVE, STEPS + 1), octaves)
    middles, weights = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
    m, s, lapse = (part.ravel() for part in np.meshgrid(middles, WIDTHS, list(LAPSES), indexing="ij"))
    solves = LUCKY + (1 - LUCKY - lapse)[:, None] * ndtr((octaves - m[:, None]) / s[:, None])
    enough = solves >= HALF
    answer = np.where(enough.any(1), sizes[enough.argmax(1)], largest + 1)
    order = np.argsort(answer, kind="stable")
    prior = np.multiply.outer(weights, np.tile(list(LAPSES.values()), len(WIDTHS))).ravel()[order]
    answers, starts = np.unique(answer[order], return_index=True)
    return Grid(sizes, solves[order], prior / prior.sum(), starts, answers)


class Posterior:
    """What is known of the smallest size that solves a task.

    Args:
        smallest: size that may be tried.
        largest: size that may be tried.
        outcomes: (units, solved) of trainings.
    """

    def __init__(self, smallest: int, largest: int, outcomes: Iterable[tuple[int, bool]] = ()) -> None:
        self.smallest, self.largest = smallest, largest
        self._grid = grid_of(smallest, largest)
        self._laws = self._grid.prior
        for units, solved in outcomes:
            self.see(units, solved)

    def see(self, units: int, solved: bool) -> None:
        """Take the outcome of a training in."""
        solves = self._grid.solves[:, units - self.smallest]
        laws = self._laws * (solves if solved else 1 - solves)
        self._laws = laws / laws.sum()

    def probabilities(self) -> dict[int, float]:
        """Return the probability of each answer; `largest` + 1 stands for beyond the largest."""
        return dict(zip(self._grid.answers.tolist(), self._by_answer(self._laws).tolist()))

    def interval(self) -> tuple[int, int, int]:
        """Return the median of the answer and the ends of its 95 % interval; `largest` + 1 stands for beyond."""
        total = np.cumsum(self._by_answer(self._laws))
        # What is left of one by rounding is no reason to go one size further.
        quantiles = np.array([HALF, (1 - LEVEL) / 2, (1 + LEVEL) / 2]) - 1e-9
        median, low, high = self._grid.answers[np.searchsorted(total, quantiles)].tolist()
        return median, low, high

    def entropies(self) -> Float[np.ndarray, " size"]:
        """Return, for each size, the entropy in nats that the answer is expected to have after one more training."""
        joint = self._by_answer(self._laws[:, None] * self._grid.solves)
        rest = self._by_answer(self._laws)[:, None] - joint
        expected: Float[np.ndarray, " size"] = _entropy(joint) + _entropy(rest)
        return expected

    def best_next(self) -> int:
        """Return the size of which one more training is expected to tell most, the smallest of several."""
        expected = self.entropies()
        return int(self._grid.sizes[np.flatnonzero(expected <= expected.min() + 1e-9)[0]])

    def curve(self, quantiles: Sequence[float] = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)) -> Float[np.ndarray, "row size"]:
        """Return the mean of P(solved | size) over the laws, and its quantiles, a row each."""
        laws, solves = self._laws, self._grid.solves
        order = np.argsort(solves, axis=0)
        total = np.cumsum(laws[order], axis=0)
        ranked = np.take_along_axis(solves, order, axis=0)
        rows = [ranked[np.minimum((total < q).sum(0), len(laws) - 1), np.arange(len(self._grid.sizes))]
                for q in quantiles]  # fmt: skip
        return np.stack([laws @ solves, *rows])

    def _by_answer(self, laws: Float[np.ndarray, "law *size"]) -> Float[np.ndarray, "answer *size"]:
        sums: Float[np.ndarray, answer * size] = np.add.reduceat(laws, self._grid.starts, axis=0)
        return sums


def _entropy(joint: Float[np.ndarray, "answer size"]) -> Float[np.ndarray, " size"]:
    """Return the entropy of the answer given an outcome, times that outcome's probability."""
    joint = joint.clip(min=0)
    weight = joint.sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        inner = np.where(joint > 0, joint * np.log(joint), 0.0).sum(0)
        entropy: Float[np.ndarray, " size"] = np.where(weight > 0, weight * np.log(weight), 0.0) - inner
    return entropy
