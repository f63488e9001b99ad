"""A signal's linear trace taken out of a state: LEACE in closed form (Belrose and others 2023, theorem 4.3)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lstm_probe.core.products import crossed

#: Directions in which the state varies by less than this share of its largest variance are rounding.
FLAT = 1e-10
#: A correlation below this is rounding.
TRACE = 1e-8


@dataclass(frozen=True)
class Eraser:
    """An affine map that takes out of a state all that is linear in a signal: x − left · right · (x − mean).

    Attributes:
        mean: of the states that it was fitted on.
        left, right: float64; their product is a projection.
    """

    mean: Float[Tensor, " unit"]
    left: Float[Tensor, "unit rank"]
    right: Float[Tensor, "rank unit"]

    def __call__(self, x: Float[Tensor, "row unit"]) -> Float[Tensor, "row unit"]:
        """Return states without the signal's trace."""
        whole = x.double()
        seen = whole @ self.right.T - self.right @ self.mean
        return torch.addmm(whole, seen, self.left.T, alpha=-1).to(x.dtype)

    @property
    def rank(self) -> int:
        """How many directions are taken out."""
        return self.left.shape[1]


def fit_eraser(x: Float[Tensor, "row unit"], z: Float[Tensor, "row column"]) -> Eraser:
    """Return the map after which no linear read-out of `x` tells of `z`, and which changes `x` as little as can be.

    With W the whitening of x and U the left singular vectors of W Σxz: x − W⁺ U Uᵀ W (x − mean). As little as can be
    is the mean squared change, in any norm.

    Args:
        x: states, (row, unit).
        z: the signal, in columns: its value, sine and cosine, or an indicator of each class.
    """
    x, z = x.double(), z.double()
    mean, z = x.mean(0), z - z.mean(0)
    centred, z = x - mean, z / z.square().mean(0).sqrt().clamp(min=torch.finfo(z.dtype).tiny)
    values, vectors = torch.linalg.eigh(crossed(centred, centred) / len(x))
    kept = values > max(FLAT * float(values[-1]), 0.0)
    roots, vectors = values[kept].sqrt(), vectors[:, kept]
    # Whitened along its own axes, which is W but for a rotation that falls out again.
    U, s, _ = torch.linalg.svd((vectors.T @ crossed(centred, z) / len(x)) / roots.unsqueeze(1), full_matrices=False)
    U = U[:, s > TRACE]
    return Eraser(mean, (vectors * roots) @ U, (vectors / roots @ U).T)
