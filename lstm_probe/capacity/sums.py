"""What the units of an LSTM hand on, on a batch: means and covariances of every layer and direction."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lstm_probe.capacity.fold import Fold, Part
from lstm_probe.cells.module import Layers
from lstm_probe.core.signal import Batch
from lstm_probe.recorder import record
from lstm_probe.recorder.calling import arguments

#: Added to the variances that a regression divides by, as a share of their mean.
RIDGE = 1e-4


@dataclass(frozen=True)
class Moments:
    """Of what the units of a layer and direction hand on, over all real steps: h, or o · tanh(c) under a projection."""

    mean: Float[Tensor, " unit"]
    covariance: Float[Tensor, "unit unit"]

    def fold(self, kept: tuple[int, ...], *, offset: bool) -> Fold:
        """Return the fold in which each unit that is cut is the best linear prediction from those that are kept.

        Args:
            kept: in the order that they are to have.
            offset: whether predictions have a constant beside; without one they go through zero.
        """
        cut = [unit for unit in range(len(self.mean)) if unit not in set(kept)]
        plain = Fold.keeping(kept, len(self.mean))
        if not cut:
            return plain
        products = self.covariance if offset else self.covariance + torch.outer(self.mean, self.mean)
        k, d = torch.tensor(kept), torch.tensor(cut)
        own = products[k][:, k]
        own = own + RIDGE * own.diagonal().mean().clamp(min=1e-30) * torch.eye(len(kept), dtype=torch.float64)
        plain.matrix[d] = torch.linalg.solve(own, products[k][:, d]).T
        if offset:
            plain.offset[d] = self.mean[d] - plain.matrix[d] @ self.mean[k]
        return plain


@torch.no_grad()
def moments_of(model: nn.Module, batch: Batch, name: str, lstm: Layers) -> Mapping[Part, Moments]:
    """Return the moments of every layer and direction on a batch."""
    projected = lstm.proj_size > 0
    rec = record(model, arguments(model, batch), layer=name, variables=("o", "c") if projected else ("h",))
    real, own = rec.mask, batch.mask
    if bool(real.all()) and real.shape[1] == own.shape[1] and len(real) % len(own) == 0:
        real = own.repeat(len(real) // len(own), 1)  # the module does not pack: the batch knows what is real
    found = {}
    for part in rec:
        values = (part["o"] * part["c"].tanh() if projected else part["h"])[real].cpu().double()
        mean = values.mean(0)
        centred = values - mean
        found[part.layer, part.direction] = Moments(mean, centred.T @ centred / max(len(values), 1))
    return found
