"""Sums over sequences, from which the squared errors of outputs and those of lines through them come in any sample.

A model is run many times on the same targets: what no run changes is made ready once.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lstm_probe.core.errors import InputError
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target, less_the_first

#: Sums of squares are taken of values less their means, beforehand where the variance is below this share of them.
FAR = 1e-3


class LineSums:
    """Regression targets that are scored at the same steps.

    Args:
        specs: of the targets.
        values: of each, (sequence, time, size).
        mask: at which steps they are scored.
    """

    def __init__(self, specs: Sequence[Target], values: Sequence[Tensor], mask: Bool[Tensor, "sequence time"]) -> None:
        self.specs, self._sizes = specs, [spec.size for spec in specs]
        self._mask = None if bool(mask.all()) else mask.unsqueeze(-1)
        self._y = self._own(torch.cat([part.double() for part in values], dim=-1))
        self._n = mask.sum(1, keepdim=True).double()
        self._sum, self._square = self._y.sum(1), _products(self._y, self._y)
        self._count, self._squares = self._n.sum(0).clamp(min=1), self._square.sum(0)
        total = self._sum.sum(0)
        self._mean = total / self._count
        apart = self._own(less_the_first(self._y, mask))
        self._apart = [apart.sum(1), _products(apart, apart)]
        self._near = self._squares - self._mean * total > FAR * self._squares

    def _own(self, values: Tensor) -> Tensor:
        return values if self._mask is None else torch.where(self._mask, values, 0.0)

    def raw(self, outputs: Float[Tensor, "sequence time output"]) -> list[Float[Tensor, "sequence statistic"]]:
        """Return the sums of `Target.statistics` of each target."""
        error = self._own(outputs.double() - self._y)
        return self._by_target([self._n, *self._apart, _products(error, error)])

    def refitted(self, outputs: Float[Tensor, "sequence time output"]) -> list[Float[Tensor, "sequence statistic"]]:
        """Return n, Σy, Σy², Σo, Σo² and Σoy of each target in each sequence, of values less their overall means.

        Raises:
            InputError: an output or a target is not finite at a scored step.
        """
        n, y, my, ys = self._n, self._y, self._mean, self._sum
        o = self._own(outputs.double())
        os, oos, oys = o.sum(1), _products(o, o), _products(o, y)
        so, soo = os.sum(0), oos.sum(0)
        mo, rounding = so / self._count, (8 * torch.finfo(outputs.dtype).eps) ** 2
        near = self._near & (soo - mo * so > (FAR * soo).maximum(rounding * self._squares))
        # Where the means are small enough they are taken off the sums, else off the values.
        rows = [n.expand_as(ys), ys - my * n, self._square - 2 * my * ys + my**2 * n,
                os - mo * n, oos - 2 * mo * os + mo**2 * n, oys - my * os - mo * ys + my * mo * n]  # fmt: skip
        if not bool(near.all()):
            far = ~near
            y, o = (self._own((own - mean)[..., far]) for own, mean in ((y, my), (o, mo)))
            # What varies by less than the rounding of numbers as large as the output or its target is a constant, but
            # where the target varies no more than that.
            varies = o.square().sum((0, 1))
            constant = (varies <= rounding * (soo + self._squares)[far]) & (varies < y.square().sum((0, 1)))
            o = torch.where(constant, 0.0, o)
            less = n.expand(-1, o.shape[-1]), y.sum(1), _products(y, y), o.sum(1), _products(o, o), _products(o, y)
            rows = [own.clone() for own in rows]
            for own, values in zip(rows, less):
                own[:, far] = values
        if not all(bool(own.sum().isfinite()) for own in rows):
            names = ", ".join(repr(spec.name) for spec in self.specs)
            raise InputError(f"An output or a value of the targets {names} is not a finite number at a scored step.")
        return self._by_target(rows)

    def _by_target(self, rows: Sequence[Tensor]) -> list[Tensor]:
        every = torch.stack([own.expand_as(self._sum) for own in rows], dim=1)
        return [part.flatten(1) for part in every.split(self._sizes, dim=-1)]


def _products(one: Tensor, other: Tensor) -> Tensor:
    """Return the sums of products over the steps of each sequence."""
    summed: Tensor = torch.linalg.vecdot(one, other, dim=1)
    return summed


def by_steps(batch: Batch) -> list[tuple[Tensor, list[Target]]]:
    """Return a batch's targets, those together that are scored at the same steps, with those steps."""
    alike: list[tuple[Tensor, list[Target]]] = []
    plain = [spec for spec in batch.target_specs if spec.name not in batch.scored]
    if plain:
        alike.append((batch.mask, plain))
    for spec in batch.target_specs:
        if spec.name in batch.scored:
            mask = batch.scored_steps(spec.name)
            same = next((specs for other, specs in alike if torch.equal(other, mask)), None)
            if same is None:
                alike.append((mask, [spec]))
            else:
                same.append(spec)
    return alike
