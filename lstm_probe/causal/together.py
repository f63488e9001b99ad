"""Which units are needed together: of those that cost nothing alone, the smallest sets that cost when clamped at once.

Two units that hold the same thing each seem useless. So the units that cost nothing alone are clamped all at once;
while that costs a target, a set that is as small as can be and still costs is searched for (QuickXplain, Junker 2004:
about 2 k log2(n / k) runs for k of n units), and taken out.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lstm_probe.causal.intervening import Intervening
from lstm_probe.causal.scoring import Scoring
from lstm_probe.causal.status import HARDLY_LEARNED
from lstm_probe.core.order import UnitKey

Units = tuple[UnitKey, ...]


@dataclass(frozen=True)
class Together:
    """What was found of the units that cost nothing alone.

    Attributes:
        spare: all of them.
        sets: smallest sets that cost when clamped at once, with the targets that each costs.
        rest: what is left without these; clamped at once, at the means of these sequences, it costs nothing.
        passes: how many runs that took.
    """

    spare: Units
    sets: tuple[tuple[Units, frozenset[str]], ...]
    rest: Units
    passes: int


class Clamping:
    """Clamps sets of units at once and says which targets that costs; the same set is never run twice.

    Args:
        subject: the model on the batch.
        scoring: of what it loses.
        least: the share of a target's intact score that counts.
        elsewhere: how far from what the units are clamped to they have to be spared as well (see `spares`); None where
            that cannot be had.
    """

    def __init__(
        self, subject: Intervening, scoring: Scoring, least: float, elsewhere: Sequence[Mapping[UnitKey, float]] | None
    ) -> None:
        self.subject, self.scoring, self.least, self.elsewhere = subject, scoring, least, elsewhere
        self.known: dict[tuple[frozenset[UnitKey], int], dict[str, tuple[float, float, float]]] = {}

    @property
    def passes(self) -> int:
        """Return how many runs there were."""
        return len(self.known)

    def costs(self, units: Iterable[UnitKey]) -> frozenset[str]:
        """Return the targets that it surely costs to clamp these units at once."""
        return frozenset(
            name for name, (intact, lost, low) in self._losses(units).items()
            if low > 0 and lost >= self.least * intact and intact >= HARDLY_LEARNED
        )  # fmt: skip

    def spares(self, units: Iterable[UnitKey], name: str) -> bool:
        """Return whether clamping these units at once costs a target less than what counts, elsewhere, too.

        That is more than that no cost was shown.
        """
        if self.elsewhere is None:
            return False
        told = (self._losses(units, at)[name] for at in range(1 + len(self.elsewhere)))
        return all(lost < self.least * intact for intact, lost, _ in told)

    def _losses(self, units: Iterable[UnitKey], at: int = 0) -> dict[str, tuple[float, float, float]]:
        """Return what `Scoring.losses` does, at what the units are clamped to (0) or elsewhere, without an interval."""
        key = frozenset(units), at
        if key not in self.known:
            by = self.elsewhere[at - 1] if self.elsewhere and at else None
            outcome = self.subject.outputs(key[0], by) if key[0] else self.subject.intact
            self.known[key] = self.scoring.losses(outcome.outputs, math.inf if at else self.least)
        return self.known[key]


def needed_together(clamping: Clamping, spare: Sequence[UnitKey]) -> Together:
    """Take smallest costly sets out of the units that cost nothing alone, until the rest costs nothing.

    Args:
        clamping: runs the network.
        spare: those units, the one that comes nearest to a cost first.
    """
    before, rest, sets = clamping.passes, list(spare), []
    while clamping.costs(rest):
        found = smallest_costly(lambda units: bool(clamping.costs(units)), rest)
        sets.append((tuple(sorted(found)), clamping.costs(found)))
        rest = [unit for unit in rest if unit not in found]
    return Together(tuple(spare), tuple(sets), tuple(rest), clamping.passes - before)


def smallest_costly(costly: Callable[[Sequence[Any]], bool], units: Sequence[Any]) -> list[Any]:
    """Return a subset that is costly while no unit can be left out of it; earlier units are preferred.

    Where more clamps can cost less, so that halving goes astray, units are left out one by one instead.

    >>> smallest_costly(lambda chosen: {2, 5} <= {*chosen}, range(8))
    [2, 5]
    """
    found = _explained([], [], list(units), costly)
    if costly(found) and all(not costly([one for one in found if one != unit]) for unit in found):
        return sorted(found)
    kept = list(units)
    for unit in reversed(units):
        without = [one for one in kept if one != unit]
        if costly(without):
            kept = without
    return sorted(kept)


def _explained(
    background: list[Any], added: list[Any], units: list[Any], costly: Callable[[Sequence[Any]], bool]
) -> list[Any]:
    """QuickXplain: what of `units` is needed beside the background, to which `added` was added last."""
    if added and costly(background):
        return []
    if len(units) == 1:
        return units
    half = len(units) // 2
    first, second = units[:half], units[half:]
    later = _explained(background + first, first, second, costly)
    return _explained(background + later, later, first, costly) + later
