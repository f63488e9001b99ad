"""Ranks within bins, where values are too many to be sorted: AUROC from counts, with its error known.

Each unit's values fall into up to 4,096 bins, whose edges are quantiles of a sample. Steps in the same bin count
as tied, half a pair each. A value that the sample holds often enough to fill a bin has one for itself, where
ties are real ties. So an AUROC is off by at most half the share of pairs that fall into the same bin of several
values: with 4,096 bins of equal content this is below 1/4096, and `Counts.error` says what it really is.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped

logger = logging.getLogger(__name__)

#: How many bins each unit has, and how many steps the sample that their edges come from.
BINS, SAMPLE = 4096, 65_536

#: An AUROC that can be off by more than this is worth a warning.
MOST_ERROR = 1e-3


@dataclass(frozen=True, eq=False)
class Bins:
    """Where each unit's bins begin: bin k + 1 holds edge[k] ≤ value < edge[k + 1]."""

    edges: Shaped[np.ndarray, "unit edge"]

    @classmethod
    def of(cls, sample: Shaped[np.ndarray, "step unit"]) -> "Bins":
        """Return bins of about equally many values of a sample, one at least."""
        edges = np.full((sample.shape[1], BINS - 1), np.inf, dtype=sample.dtype)
        for row, values in zip(edges, np.sort(sample.T)):
            distinct = np.unique(values)
            often = distinct
            if 2 * len(distinct) > len(row):
                places = np.linspace(0, len(values) - 1, len(row)).astype(np.int64)
                distinct, counts = np.unique(values[places], return_counts=True)
                often = distinct[counts > 1]
                if len(values) <= len(row):
                    often = often[:0]  # every value of the sample begins a bin
            found = np.union1d(distinct, np.nextafter(often, np.asarray(np.inf, dtype=sample.dtype)))
            row[: len(found)] = found
        return cls(edges)

    @property
    def single(self) -> Shaped[np.ndarray, "unit bin"]:
        """Which bins hold one value only."""
        out = np.zeros((len(self.edges), BINS), dtype=bool)
        infinite = np.asarray(np.inf, dtype=self.edges.dtype)
        out[:, 1:-1] = np.nextafter(self.edges[:, :-1], infinite) == self.edges[:, 1:]
        return out

    def places(self, values: Shaped[np.ndarray, "step unit"]) -> Int[np.ndarray, "unit step"]:
        """Return the place of each value's bin among all bins of all units, unit by unit."""
        out = np.empty(values.T.shape, dtype=np.int64)
        for unit, (row, edges) in enumerate(zip(np.ascontiguousarray(values.T), self.edges)):
            # Sorting first is several times as fast as searching for values in any order.
            order = np.argsort(row)
            out[unit, order] = np.searchsorted(edges, row[order], side="right")
            out[unit] += unit * BINS
        return out


@dataclass(frozen=True, eq=False)
class Counts:
    """How many steps of each fold fall into each bin: all of them, and each indicator's positives.

    Attributes:
        every: of all steps.
        positive: of the positives; (fold, unit, bin) for each indicator.
    """

    every: Int[np.ndarray, "fold unit bin"]
    positive: Int[np.ndarray, "column fold unit bin"]

    @classmethod
    def empty(cls, columns: int, folds: int, units: int) -> "Counts":
        """Return counts of no steps."""
        shape = (folds, units, BINS)
        return cls(np.zeros(shape, dtype=np.int32), np.zeros((columns, *shape), dtype=np.int32))

    def add(
        self,
        places: Int[np.ndarray, "unit step"],
        fold: Int[np.ndarray, " step"],
        indicators: Shaped[np.ndarray, "step column"],
    ) -> None:
        """Count these steps."""
        index = places + fold * self.every[0].size
        count(self.every, index)
        for own, indicator in zip(self.positive, indicators.T):
            count(own, index[:, indicator > 0])

    def middles(self, column: int | None = None) -> Float[np.ndarray, "fold unit bin"]:
        """Return how many steps (all, or an indicator's positives) lie below the middle of each bin."""
        own = (self.every if column is None else self.positive[column]).astype(np.float64)
        return own.cumsum(-1) - own / 2

    def excess(self, column: int) -> Float[np.ndarray, "fold unit"]:
        """Return each fold's sum of the positives' centred ranks, as `scores.rank_excess` does."""
        centre = self.every.sum(-1, dtype=np.float64, keepdims=True) / 2
        result: np.ndarray = np.einsum("fub,fub->fu", self.positive[column], self.middles() - centre)
        return result

    def error(self, column: int, single: Shaped[np.ndarray, "unit bin"]) -> Float[np.ndarray, " unit"]:
        """Return how far off each AUROC can be: half the share of pairs in one bin of several values."""
        positive = self.positive[column].astype(np.float64)
        negative = self.every - positive
        pairs = (positive.sum(-1) * negative.sum(-1)).sum(0)
        result: np.ndarray = np.einsum("fub,fub->u", positive * ~single, negative) / 2 / np.maximum(1, pairs)
        return result


def largest_error(errors: Iterable[float]) -> float:
    """Return how far off any AUROC can be, and log it if that is much."""
    most = float(max(errors))
    if most > MOST_ERROR:
        logger.warning("AUROCs can be off by up to %.1g: the stream's steps are too unlike a sample of them", most)
    return most


def count(into: Int[np.ndarray, "*shape"], index: Int[np.ndarray, "*some"]) -> None:
    """Add 1 at every place that the index names, as often as it does."""
    flat = torch.from_numpy(np.ascontiguousarray(index).ravel())
    ones = torch.ones(1, dtype=torch.int32).expand(len(flat))
    torch.from_numpy(into).view(-1).scatter_add_(0, flat, ones)


def looked_up(
    table: Float[np.ndarray, "fold unit bin"],
    places: Int[np.ndarray, "unit step"],
    fold: Int[np.ndarray, " step"],
) -> Float[np.ndarray, "unit step"]:
    """Return each step's value in a table of bins."""
    result: np.ndarray = table.ravel().take(places + fold * table[0].size)
    return result


def level_excess(
    values: Float[np.ndarray, "fold level column"],
    positive: Float[np.ndarray, "fold level column"],
    every: Float[np.ndarray, "fold level"],
) -> Float[np.ndarray, "fold column"]:
    """Return the sum of the positives' centred ranks by a value that is the same wherever the level is.

    Args:
        values: of each level, by which steps are ranked.
        positive: how many steps of the level are positive.
        every: how many steps there are of the level.
    """
    out = np.zeros((len(values), values.shape[-1]))
    for fold, column in np.ndindex(*out.shape):
        _, group = np.unique(values[fold, :, column], return_inverse=True)
        total = np.bincount(group, every[fold])
        middle = total.cumsum() - total / 2 - total.sum() / 2
        out[fold, column] = np.bincount(group, positive[fold, :, column]) @ middle
    return out
