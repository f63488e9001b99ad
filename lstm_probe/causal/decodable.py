"""What a linear read-out of the state tells of a signal at one step, on sequences that it was not fitted on."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

#: How often sequences are held out.
FOLDS = 5
#: Ridge penalties, in variances of a unit; the best is taken, so that what is left is found rather than missed.
PENALTIES = (1e-6, 1e-3, 1e-2, 1e-1, 1.0)


def held_out_r2(x: Float[Tensor, "row unit"], z: Float[Tensor, "row column"], fold: Int[Tensor, " row"]) -> float:
    """Return the R² of a ridge read-out of `z` from `x`, fitted without the rows that it is tested on.

    Args:
        x: states of one step, a row for each sequence.
        z: the signal there, in columns, whose squared errors are added up.
        fold: of each row, which of `FOLDS` parts it is held out with.

    Returns:
        1 − squared error / squared error of the mean of the fitted rows, at the best of `PENALTIES`; NaN where the
        signal is constant, or a part is empty.
    """
    z = z.double() - z.double().mean(0)
    z = z[:, z.square().mean(0) > 0]
    n = torch.bincount(fold, minlength=FOLDS).double()
    if not z.shape[1] or not bool((n > 0).all()):
        return math.nan
    x = x.double() - x.double().mean(0)
    x = x / x.square().mean(0).sqrt().clamp(min=torch.finfo(x.dtype).tiny)
    both = torch.cat([x, z], dim=1)
    own = [both[fold == k] for k in range(FOLDS)]
    sums, products = torch.stack([one.sum(0) for one in own]), torch.stack([one.T @ one for one in own])
    rest = (n.sum() - n).view(-1, 1)
    mean = (sums.sum(0) - sums) / rest
    fitted = (products.sum(0) - products) / rest.unsqueeze(-1) - mean.unsqueeze(2) * mean.unsqueeze(1)
    crossed = sums.unsqueeze(2) * mean.unsqueeze(1)
    tested = products - crossed - crossed.mT + n.view(-1, 1, 1) * mean.unsqueeze(2) * mean.unsqueeze(1)
    d = x.shape[1]
    penalty = torch.tensor(PENALTIES, dtype=x.dtype, device=x.device).view(-1, 1, 1, 1)
    penalized = fitted[:, :d, :d] + penalty * torch.eye(d, dtype=x.dtype, device=x.device)
    b = torch.linalg.solve(penalized, fitted[:, :d, d:].expand(len(PENALTIES), -1, -1, -1))
    # Squared errors of z − x b about the means of the fitted rows, out of the products of the tested ones.
    missed = (b * (tested[:, :d, :d] @ b - 2 * tested[:, :d, d:])).sum((1, 2, 3))
    total = tested[:, d:, d:].diagonal(dim1=1, dim2=2).sum()
    return float(1 - (total + missed.min()) / total)
