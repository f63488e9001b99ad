"""In which order units go, in closed form: what is lost when one after the other is merged into those that are left."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from lstm_probe.capacity.fold import Part, blocks_below, effective, parts_of, weights_of
from lstm_probe.capacity.narrowing import Narrowing
from lstm_probe.capacity.readers import matrices
from lstm_probe.capacity.sums import RIDGE, Moments

#: What readers behind the LSTM weigh, beside its own recurrence.
READER_WEIGHT = 3.0


def importance(narrowing: Narrowing, part: Part) -> Float[Tensor, "unit unit"]:
    """Return W'W over all weights that read a part's units: of what is missing in them, how much arrives.

    Of the recurrence and the next layer once, of readers behind the LSTM `READER_WEIGHT` times.
    """
    lstm = narrowing.lstm
    own = weights_of(lstm, part)
    read = own["hr"] if "hr" in own else torch.eye(narrowing.units, dtype=torch.float64)
    rows = [effective(own)]
    rows += [
        weights_of(lstm, above)["ih"][:, blocks_below(lstm, above)[part]] @ read
        for above in parts_of(lstm)
        if part in blocks_below(lstm, above)
    ]
    width = len(read)
    for reader in narrowing.readers:
        module = narrowing.model.get_submodule(reader.name)
        for matrix in matrices(module):
            weight = getattr(module, matrix.weight).detach().cpu().double()
            rows += [READER_WEIGHT**0.5 * weight[:, at : at + width] @ read for at, of in reader.blocks if of == part]
    products: Tensor = sum((row.T @ row for row in rows), torch.zeros(narrowing.units, narrowing.units).double())
    return products


class Elimination:
    """Units of a layer and direction that go one after the other, with what each further one would cost.

    With E the covariance of what is left of the units that are cut after they are predicted from those that are kept,
    and M the importance of what is missing, the cost of a set is tr(E M). E is the inverse of the block of the
    precision matrix that belongs to the set, and is brought up to date by one unit at a time.
    """

    def __init__(self, moments: Moments, weights: Float[Tensor, "unit unit"], *, offset: bool) -> None:
        own = moments.covariance if offset else moments.covariance + torch.outer(moments.mean, moments.mean)
        ridge = RIDGE * own.diagonal().mean().clamp(min=1e-30)
        self._precision = torch.linalg.inv(own + ridge * torch.eye(len(own)).to(own))
        self._weights = weights
        self._left = torch.zeros(0, 0).to(own)
        self.cut: list[int] = []
        self.kept = list(range(len(own)))

    def costs(self) -> Float[Tensor, " kept"]:
        """Return what the set would cost with each of the kept units cut as well."""
        p, m, left = self._precision, self._weights, self._left
        d, k = torch.tensor(self.cut, dtype=torch.long), torch.tensor(self.kept)
        across = p[d][:, k]
        v = left @ across
        scale = p[k, k] - (across * v).sum(0)
        grown = (v * (m[d][:, d] @ v)).sum(0) - 2 * (v * m[d][:, k]).sum(0) + m[k, k]
        costs: Tensor = (left * m[d][:, d]).sum() + grown / scale.clamp(min=1e-30)
        return costs

    def remove(self, unit: int) -> None:
        """Cut a unit."""
        d, p = torch.tensor(self.cut, dtype=torch.long), self._precision
        v = self._left @ p[d, unit]
        scale = (p[unit, unit] - p[d, unit] @ v).clamp(min=1e-30)
        column = -(v / scale).unsqueeze(1)
        self._left = torch.cat([
            torch.cat([self._left + torch.outer(v, v) / scale, column], dim=1),
            torch.cat([column.T, (1 / scale).view(1, 1)], dim=1),
        ])  # fmt: skip
        self.cut.append(unit)
        self.kept.remove(unit)


def closed_form_order(moments: Moments, weights: Float[Tensor, "unit unit"], *, offset: bool) -> Sequence[int]:
    """Return the units in the order in which they go, the last one that is left at the end."""
    elimination = Elimination(moments, weights, offset=offset)
    while len(elimination.kept) > 1:
        elimination.remove(elimination.kept[int(elimination.costs().argmin())])
    return [*elimination.cut, *elimination.kept]
