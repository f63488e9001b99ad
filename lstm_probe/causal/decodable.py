"""What a linear read-out of the state tells of a signal at one step, on sequences that it was not fitted on."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lstm_probe.core.products import crossed

#: How often sequences are held out.
FOLDS = 5
#: Ridge penalties, in variances of a unit; the best is taken, so that what is left is found rather than missed.
PENALTIES = (1e-6, 1e-3, 1e-2, 1e-1, 1.0)


class HeldOut:
    """States of one step, of which it is asked what they tell of signals on rows that no read-out was fitted on.

    Args:
        x: a row for each sequence.
        fold: of each row, which of `FOLDS` parts it is held out with.
    """

    def __init__(self, x: Float[Tensor, "row unit"], fold: Int[Tensor, " row"]) -> None:
        self._parts = [torch.nonzero(fold == k)[:, 0] for k in range(FOLDS)]
        self._n = x.new_tensor([len(part) for part in self._parts], dtype=torch.float64)
        x = x.double() - x.double().mean(0)
        self._x = [x[part] for part in self._parts]
        sums, products = self._sums(self._x), torch.stack([crossed(own, own) for own in self._x])
        spread = (products.sum(0).diagonal() / len(x)).sqrt()
        #: What makes a unit's variance 1.
        self._size = torch.where(spread > 0, 1 / spread, 0.0)
        self._sum, products = sums * self._size, products * (self._size.unsqueeze(1) * self._size)
        self._mean = self._mean_of_rest(self._sum)
        fitted, self._tested = self._apart(products, self._sum, self._mean, self._sum, self._mean)
        penalty = torch.tensor(PENALTIES, dtype=x.dtype, device=x.device).view(-1, 1, 1, 1)
        penalized = fitted + penalty * torch.eye(x.shape[1], dtype=x.dtype, device=x.device)
        self._factor = torch.linalg.cholesky_ex(penalized)[0]

    def r2(self, z: Float[Tensor, "row column"]) -> float:
        """Return the R² of a ridge read-out of a signal, fitted without the rows that it is tested on.

        Args:
            z: the signal, in columns, whose squared errors are added up.

        Returns:
            1 − squared error / squared error of the mean of the fitted rows, at the best of `PENALTIES`; NaN where the
            signal is constant, or a part is empty.
        """
        z = z.double() - z.double().mean(0)
        z = z[:, z.square().mean(0) > 0]
        if not z.shape[1] or not bool((self._n > 0).all()):
            return math.nan
        parts = [z[part] for part in self._parts]
        sums, squares = self._sums(parts), torch.stack([crossed(own, own) for own in parts])
        shared = torch.stack([crossed(own, z_own) for own, z_own in zip(self._x, parts)]) * self._size.unsqueeze(1)
        mean = self._mean_of_rest(sums)
        fitted, tested = self._apart(shared, self._sum, self._mean, sums, mean)
        b = torch.cholesky_solve(fitted.expand(len(PENALTIES), -1, -1, -1), self._factor)
        # Squared errors of z − x b about the means of the fitted rows, out of the products of the tested ones.
        missed = (b * (self._tested @ b - 2 * tested)).sum((1, 2, 3))
        total = self._apart(squares, sums, mean, sums, mean)[1].diagonal(dim1=1, dim2=2).sum()
        return float(1 - (total + missed.min()) / total)

    def _sums(self, parts: Sequence[Tensor]) -> Float[Tensor, "fold column"]:
        return torch.stack([own.sum(0) for own in parts])

    def _mean_of_rest(self, sums: Float[Tensor, "fold column"]) -> Float[Tensor, "fold column"]:
        """Return the mean of all rows but a part's."""
        return (sums.sum(0) - sums) / (self._n.sum() - self._n).unsqueeze(1)

    def _apart(
        self, products: Float[Tensor, "fold one other"], one: Tensor, mean: Tensor, other: Tensor, other_mean: Tensor
    ) -> tuple[Float[Tensor, "fold one other"], Float[Tensor, "fold one other"]]:
        """Return the covariances of all rows but a part's, and that part's products about their means.

        Args:
            products: of two things, summed over the rows of each part.
            one, other: sums of the two over these.
            mean, other_mean: of all rows but these.
        """
        means = mean.unsqueeze(2) * other_mean.unsqueeze(1)
        rest = (self._n.sum() - self._n).view(-1, 1, 1)
        crossed = one.unsqueeze(2) * other_mean.unsqueeze(1) + mean.unsqueeze(2) * other.unsqueeze(1)
        return (products.sum(0) - products) / rest - means, products - crossed + self._n.view(-1, 1, 1) * means
