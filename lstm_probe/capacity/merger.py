"""A network and what is merged in it: who is kept says all else."""

from collections.abc import Mapping, Sequence

from torch import nn

from lstm_probe.capacity.fold import Fold, Part
from lstm_probe.capacity.greedy import greedy_orders, merged_folds
from lstm_probe.capacity.narrowing import Narrowing
from lstm_probe.capacity.order import closed_form_order, importance
from lstm_probe.capacity.sums import moments_of
from lstm_probe.core.signal import Batch

#: As many sequences are enough to try on which unit goes next.
TRIED_ON = 128

Kept = Mapping[Part, Sequence[int]]


class Merger:
    """Makes copies of a module in which units are merged into those that are kept, in least squares.

    Args:
        model: any module that holds an `nn.LSTM`; it is not changed.
        fit: sequences for moments, orders and readers.
        layer: which LSTM, where there are several.

    Attributes:
        narrowing: of the module.
        moments: of its units.
        some: sequences to try on which unit goes next.
    """

    def __init__(self, model: nn.Module, fit: Batch, layer: str | None) -> None:
        self.fit, self.some = fit, fit[: min(len(fit), TRIED_ON)]
        self.narrowing = Narrowing(model, fit, layer=layer)
        self.moments = moments_of(model, fit, self.narrowing.name, self.narrowing.lstm)

    def folds(self, kept: Kept) -> dict[Part, Fold]:
        """Return the folds that merge all other units into those that are kept."""
        return merged_folds(self.narrowing, self.moments, {part: list(own) for part, own in kept.items()})

    def merged(self, kept: Kept) -> nn.Module:
        """Return the copy in which these units are kept, its readers fitted; it holds until the next call."""
        small = self.narrowing.narrow(self.folds(kept))
        self.narrowing.refit(small, self.fit)
        return small

    def closed_form(self) -> dict[Part, list[int]]:
        """Return the units in the order in which they go by what is lost in closed form."""
        narrowing = self.narrowing
        return {part: list(closed_form_order(own, importance(narrowing, part), offset=narrowing.offset))
                for part, own in self.moments.items()}  # fmt: skip

    def by_trial(self, *, least: int = 1, target: str | None = None) -> dict[Part, list[int]]:
        """Return the units in the order in which they go by trial; see `greedy_orders`."""
        return greedy_orders(self.narrowing, self.moments, self.some, least=least, target=target)
