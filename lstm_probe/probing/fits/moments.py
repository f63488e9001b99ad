"""Univariate held-out fits in closed form, from sums over the steps of each sequence."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from lstm_probe.probing.data.split import Split

#: A unit whose variance in a training part is below this share of its mean square is constant there.
CONSTANT = 1e-12


def add_rows(
    into: Float[np.ndarray, "group *rest"],
    group: Int[np.ndarray, " sequence"],
    values: Float[np.ndarray, "sequence *rest"],
) -> None:
    """Add each sequence's values to those of its group."""
    order = np.argsort(group, kind="stable")
    present, start = np.unique(group[order], return_index=True)
    into[present] += np.add.reduceat(values[order], start)


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over the steps of each group (a sequence, a fold or a training part), for all units and signals.

    One pass over the data makes them; fits, held-out errors and bootstrap samples need nothing else. Sums over units
    are the same for all columns, or each column's own where columns are about different steps.
    """

    n: Float[np.ndarray, "group 1 _"]
    x: Float[np.ndarray, "group unit _"]
    xx: Float[np.ndarray, "group unit _"]
    y: Float[np.ndarray, "group 1 column"]
    yy: Float[np.ndarray, "group 1 column"]
    xy: Float[np.ndarray, "group unit column"]

    @classmethod
    def of(
        cls,
        x: Float[np.ndarray, "sequence time unit"],
        y: Float[np.ndarray, "sequence time column"],
        mask: Bool[np.ndarray, "sequence time"],
    ) -> "Moments":
        """Return each sequence's sums. Both `x` and `y` must be 0 where the mask is False."""
        return cls(
            n=mask.sum(1).astype(np.float64)[:, None, None],
            x=x.sum(1)[:, :, None],
            xx=np.einsum("stu,stu->su", x, x)[:, :, None],
            y=y.sum(1)[:, None],
            yy=np.einsum("std,std->sd", y, y)[:, None],
            xy=x.transpose(0, 2, 1) @ y,
        )

    @classmethod
    def of_columns(
        cls,
        n: Float[np.ndarray, " group"],
        y: Float[np.ndarray, "group column"],
        yy: Float[np.ndarray, "group column"],
    ) -> "Moments":
        """Return the sums over columns alone, without any units."""
        x = np.zeros((len(n), 0, 1))
        return cls(n[:, None, None], x, x, y[:, None], yy[:, None], np.zeros((len(n), 0, y.shape[1])))

    def columns(self, some: Int[np.ndarray, " some"]) -> "Moments":
        """Return the sums of some of the columns."""
        return replace(self, y=self.y[..., some], yy=self.yy[..., some], xy=self.xy[..., some])

    def add_rows(self, other: "Moments", group: Int[np.ndarray, " sequence"]) -> None:
        """Add each sequence's sums to those of its group, in place."""
        for field in fields(self):
            add_rows(getattr(self, field.name), group, getattr(other, field.name))

    def map(self, function: Callable[[np.ndarray], np.ndarray]) -> "Moments":
        """Return the sums that `function` makes of each of these."""
        return Moments(*(function(getattr(self, field.name)) for field in fields(self)))


def squared_errors(held_out: Moments, training: Moments) -> Float[np.ndarray, "group unit column"]:
    """Return each group's sum of (y − a − b·x)², with a and b fitted by least squares on `training`.

    Written about the training part's means, which keeps every difference small.
    """
    n = np.maximum(training.n, 1)
    mean_x, mean_y = training.x / n, training.y / n
    variance = training.xx - mean_x * training.x
    varies = variance > CONSTANT * training.xx
    slope = (training.xy - mean_x * training.y) * (varies / np.where(varies, variance, 1))
    spread_x = held_out.xx - mean_x * (2 * held_out.x - held_out.n * mean_x)
    spread_y = held_out.yy - mean_y * (2 * held_out.y - held_out.n * mean_y)
    cross = held_out.xy - mean_x * held_out.y - mean_y * (held_out.x - held_out.n * mean_x)
    result: np.ndarray = spread_y - slope * (2 * cross - slope * spread_x)
    return result


def held_out_errors(sequences: Moments, split: Split) -> Float[np.ndarray, "sequence unit column"]:
    """Return each sequence's squared error under the fit on the other folds."""
    training = sequences.map(split.sums).map(split.training)
    return squared_errors(sequences, training.map(lambda sums: sums[split.fold]))


def unit_errors(sequences: Moments, split: Split) -> Float[np.ndarray, "sequence unit column"]:
    """Return each sequence's squared error, for standardised columns; a constant unit's is that of the mean.

    It predicts the mean, to which it is compared: R² is 0, whatever the training part's own mean is.
    """
    errors = held_out_errors(sequences, split)
    errors[:, sequences.xx.sum(0)[:, 0] == 0] = sequences.yy
    return errors
