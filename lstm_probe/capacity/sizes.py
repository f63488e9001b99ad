"""How small a network can be made by merging: all sizes, by two orders in which units go, on held-out sequences."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import nn

from lstm_probe.capacity.fold import Fold, Part
from lstm_probe.capacity.goal import Goal
from lstm_probe.capacity.merger import Merger
from lstm_probe.core.signal import Batch

#: Units, of all layers and directions together, up to which all are tried; of more, the closed form cuts some first.
ALL_TRIED = 64

Orders = Mapping[Part, list[int]]


@dataclass(frozen=True)
class Smaller:
    """A network in which units are merged into others.

    Attributes:
        model: in evaluation mode.
        folds: from the network that it was made of.
        share: what it keeps of the worst target, on the sequences that decide.
    """

    model: nn.Module
    folds: Mapping[Part, Fold]
    share: float


class Merging:
    """Makes networks of every size out of one.

    Args:
        model: to make smaller.
        fit: sequences for moments, orders and readers.
        goal: on the sequences that decide.
        layer: which LSTM.
        least: units that are kept at least.
    """

    def __init__(self, model: nn.Module, fit: Batch, goal: Goal, *, layer: str | None, least: int = 1) -> None:
        self._merger, self._goal = Merger(model, fit, layer), goal
        self.narrowing = self._merger.narrowing
        self.units = self.narrowing.units
        self.least = min(max(least, self.narrowing.lstm.proj_size + 1), self.units)
        self._shares: list[tuple[Orders, dict[int, float]]] = []

    def shares(self) -> Iterator[tuple[int, float]]:
        """Go through all sizes from large to small with what the better order keeps."""
        if not self._shares:
            closed = self._merger.closed_form()
            self._shares.append((closed, self._scan(closed)))
            tried = self._tried(*self._shares[0])
            self._shares.append((tried, self._scan(tried)))
        for size in range(self.units - 1, self.least - 1, -1):
            yield size, max(shares[size] for _, shares in self._shares)

    def smallest(self, bar: float) -> int | None:
        """Return the smallest size that keeps a share, as does the next larger one; None where there is none."""
        reached = {self.units: True, **{size: share >= bar for size, share in self.shares()}}
        sizes = [size for size in range(self.least, self.units) if reached[size] and reached[size + 1]]
        return min(sizes, default=None)

    def at(self, size: int) -> Smaller:
        """Return the network of a size, by the better order."""
        list(self.shares())
        orders, shares = max(self._shares, key=lambda own: own[1][size])
        kept = _last(orders, size)
        return Smaller(copy.deepcopy(self._merger.merged(kept)).eval(), self._merger.folds(kept), shares[size])

    def _scan(self, orders: Orders) -> dict[int, float]:
        """Return what each size keeps."""
        return {size: self._goal.kept(self._merger.merged(_last(orders, size)))
                for size in range(self.least, self.units)}  # fmt: skip

    def _tried(self, closed: Orders, shares: Mapping[int, float]) -> Orders:
        """Return an order by trial; of many units, after the closed form has cut those that cost least."""
        start = self.units
        if self.units * len(closed) > ALL_TRIED:
            good = min((size for size, share in shares.items() if share >= max(shares.values()) - 0.05),
                       default=self.units)  # fmt: skip
            start = max(good, min(self.units, ALL_TRIED // len(closed)))
        if start >= self.units:
            return self._merger.by_trial(least=self.least)
        kept = {part: sorted(own) for part, own in _last(closed, start).items()}
        small = copy.deepcopy(self._merger.merged(kept)).eval()
        orders = Merger(small, self._merger.fit, self.narrowing.name or None).by_trial(least=min(self.least, start - 1))
        return {part: [*closed[part][:-start], *(kept[part][k] for k in own)] for part, own in orders.items()}


def _last(orders: Orders, size: int) -> Orders:
    """Return those that are left of an order when there are so many."""
    return {part: own[-size:] for part, own in orders.items()}
