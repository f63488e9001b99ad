"""F(s) − s as a linear map of s near some states, and the steps to where that is least, or 0.

Of an LSTM of one layer nobody but a unit itself hears its c, so that c falls out of the equations by a rotation of the
unit's two rows: half as many unknowns are left, and the same solution.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lstm_probe.dynamics.step_map import StepMap


@dataclass(frozen=True)
class Whole:
    """Of any network.

    Attributes:
        missed: F(s) − s.
        slope: its derivative.
    """

    missed: Float[Tensor, "n size"]
    slope: Float[Tensor, "n size size"]

    def damped(self, damping: Float[Tensor, " n"]) -> Float[Tensor, "n size"]:
        """Return the steps d that make |missed + slope · d|² + damping · |d|² least."""
        return _least(self.slope, self.missed, damping)

    def exact(self) -> Float[Tensor, "n size"]:
        """Return the steps d that make missed + slope · d zero; not finite where there is none."""
        made: Tensor = torch.linalg.solve_ex(self.slope, -self.missed)[0]
        return made

    def __getitem__(self, index: Tensor) -> "Whole":
        return Whole(self.missed[index], self.slope[index])


@dataclass(frozen=True)
class Folded:
    """Of an LSTM of one layer: `Whole` in fewer numbers.

    Attributes:
        missed: first of h, then of c.
        by_h: the derivative of both by every h.
        by_c: that by the unit's own c; by others' it is 0.
    """

    missed: Float[Tensor, "n size"]
    by_h: Float[Tensor, "n size unit"]
    by_c: Float[Tensor, "n size"]

    def damped(self, damping: Float[Tensor, " n"]) -> Float[Tensor, "n size"]:
        """As `Whole.damped`: with c at its best, the part of a unit's two rows that is across by_c counts in full, and
        both rows with what damping leaves of them.
        """
        own = damping.unsqueeze(1)
        weight = self._weight + own
        root, left = weight.sqrt().reciprocal(), (own / weight).sqrt().repeat(1, 2)
        slope, missed = self._across()
        slope = torch.cat([root.unsqueeze(-1) * slope, left.unsqueeze(-1) * self.by_h], dim=1)
        return self._with_c(_least(slope, torch.cat([root * missed, left * self.missed], dim=1), damping), weight)

    def exact(self) -> Float[Tensor, "n size"]:
        """As `Whole.exact`."""
        slope, missed = self._across()
        return self._with_c(-torch.linalg.solve_ex(slope, missed)[0], self._weight)

    def __getitem__(self, index: Tensor) -> "Folded":
        return Folded(self.missed[index], self.by_h[index], self.by_c[index])

    @property
    def _weight(self) -> Float[Tensor, "n unit"]:
        h, c = self.by_c.square().chunk(2, dim=1)
        return h + c

    def _across(self) -> tuple[Float[Tensor, "n unit unit"], Float[Tensor, "n unit"]]:
        """Return the derivative by h, and what is missed, of what does not change with c."""
        (h, c), (by_h, by_c), (of_h, of_c) = (one.chunk(2, dim=1) for one in (self.by_c, self.by_h, self.missed))
        return h.unsqueeze(-1) * by_c - c.unsqueeze(-1) * by_h, h * of_c - c * of_h

    def _with_c(self, h: Float[Tensor, "n unit"], weight: Float[Tensor, "n unit"]) -> Float[Tensor, "n size"]:
        left = self.missed + (self.by_h @ h.unsqueeze(-1)).squeeze(-1)
        of_h, of_c = (self.by_c * left).chunk(2, dim=1)
        return torch.cat([h, -(of_h + of_c) / weight], dim=1)


Linear = Whole | Folded


def linear(step: StepMap, state: Float[Tensor, "n size"], x: Float[Tensor, " feature"]) -> Linear:
    """Return F(s) − s near these states."""
    if not step.folds:
        after, derived = step.jacobian(state, x)
        derived.diagonal(dim1=1, dim2=2).sub_(1)
        return Whole(after - state, derived)
    after, by_h, by_c = step.folded(state, x)
    by_h[:, : step.units].diagonal(dim1=1, dim2=2).sub_(1)
    by_c[:, step.units :] -= 1
    return Folded(after - state, by_h, by_c)


def _least(
    slope: Float[Tensor, "n row column"], missed: Float[Tensor, "n row"], damping: Float[Tensor, " n"]
) -> Float[Tensor, "n column"]:
    """Return the d that make |missed + slope · d|² + damping · |d|² least."""
    turned = slope.transpose(1, 2)
    normal = turned @ slope
    normal.diagonal(dim1=1, dim2=2).add_(damping.unsqueeze(1))
    factor = torch.linalg.cholesky_ex(normal)[0]
    return -torch.cholesky_solve(turned @ missed.unsqueeze(-1), factor).squeeze(-1)
