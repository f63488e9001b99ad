"""F(s) − s as a linear map of s near some states, and the steps to where that is least, or 0.

Of an LSTM of one layer nobody but a unit itself hears its c, so that c falls out of the equations by a rotation of the
unit's two rows: half as many unknowns are left, and the same solution.
"""

from dataclasses import dataclass
from typing import TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from lstm_probe.dynamics.step_map import StepMap

Near = TypeVar("Near", bound="_Rows")


class _Rows:
    """Of several states, a row in every tensor for each."""

    def __getitem__(self: Near, index: Tensor) -> Near:
        return type(self)(*(own[index] for own in vars(self).values()))

    def put(self, index: Int[Tensor, " some"], others: "_Rows") -> None:
        """Have others stand in these places."""
        for own, new in zip(vars(self).values(), vars(others).values()):
            own[index] = new


@dataclass(frozen=True)
class Whole(_Rows):
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


@dataclass(frozen=True)
class Folded(_Rows):
    """Of an LSTM of one layer: `Whole` in fewer numbers.

    Each unit's rows of h and c are turned into one across what its c changes, which does not hear c, and one along it.

    Attributes:
        missed: F(s) − s, first of h, then of c.
        turned: of that, what is across, and what is along.
        slope: the derivative of these by every h.
        by_c: that of what is along by the unit's own c; by others' it is 0.
    """

    missed: Float[Tensor, "n size"]
    turned: Float[Tensor, "n size"]
    slope: Float[Tensor, "n size unit"]
    by_c: Float[Tensor, "n unit"]

    @classmethod
    def of(cls, missed: Float[Tensor, "n size"], by_h: Tensor, by_c: Float[Tensor, "n size"]) -> "Folded":
        """Return it from the derivatives of h and c by every h, and by the unit's own c."""
        pairs = by_c.unflatten(1, (2, -1))
        length = pairs.norm(dim=1)
        h, c = torch.where(length.unsqueeze(1) > 0, pairs / length.unsqueeze(1), 0.5**0.5).unbind(1)

        def turned(values: Tensor) -> Tensor:
            of_h, of_c = values.chunk(2, dim=1)
            own_h, own_c = (one.view(*one.shape, *[1] * (values.dim() - 2)) for one in (h, c))
            return torch.cat([own_h * of_c - own_c * of_h, own_h * of_h + own_c * of_c], dim=1)

        return cls(missed, turned(missed), turned(by_h), length)

    def damped(self, damping: Float[Tensor, " n"]) -> Float[Tensor, "n size"]:
        """As `Whole.damped`: with c at its best, what is along counts with what damping leaves of it."""
        whole = self.by_c.square() + damping.unsqueeze(1)
        left = (damping.unsqueeze(1) / whole).sqrt()
        weight = torch.cat([torch.ones_like(left), left], dim=1)
        h = _least(weight.unsqueeze(-1) * self.slope, weight * self.turned, damping)
        return self._with_c(h, self.by_c / whole)

    def exact(self) -> Float[Tensor, "n size"]:
        """As `Whole.exact`."""
        units = self.by_c.shape[1]
        h = torch.linalg.solve_ex(self.slope[:, :units], -self.turned[:, :units])[0]
        return self._with_c(h, 1 / self.by_c)

    def _with_c(self, h: Float[Tensor, "n unit"], share: Float[Tensor, "n unit"]) -> Float[Tensor, "n size"]:
        """Return a step with the changes of c that go with those of h: so much of what is then left along."""
        units = h.shape[1]
        left = self.turned[:, units:] + (self.slope[:, units:] @ h.unsqueeze(-1)).squeeze(-1)
        return torch.cat([h, -share * left], dim=1)


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
    return Folded.of(after - state, by_h, by_c)


def _least(
    slope: Float[Tensor, "n row column"], missed: Float[Tensor, "n row"], damping: Float[Tensor, " n"]
) -> Float[Tensor, "n column"]:
    """Return the d that make |missed + slope · d|² + damping · |d|² least."""
    turned = slope.transpose(1, 2)
    normal = turned @ slope
    normal.diagonal(dim1=1, dim2=2).add_(damping.unsqueeze(1))
    factor = torch.linalg.cholesky_ex(normal)[0]
    return -torch.cholesky_solve(turned @ missed.unsqueeze(-1), factor).squeeze(-1)
