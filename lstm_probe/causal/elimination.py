"""Leaving out units one after the other, as long as those that are left still carry a target.

A unit that is left out is clamped, together with all that went before it. What a set of clamps leaves of every target
comes from one pass, which is made once.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float
from torch import Tensor

from lstm_probe.causal.intervening import Intervening
from lstm_probe.causal.refit import Summing, scores_from
from lstm_probe.core.order import UnitKey

#: Stands for all targets together: the least share of any.
ALL = "all"
#: From a share below this on nothing is left, and the curve ends.
NOTHING = 0.01
#: As many units at most are left out in one step, after the first.
AT_ONCE = 64
#: As many points of the curve are measured, at most, beyond the set.
POINTS = 6


class Shares:
    """What is left of each target's refitted score when units are clamped, as shares of that of the network as it is.

    Attributes:
        runs: the model on the sequences that are looked at.
        targets: whose shares are looked at.
        passes: how many passes were made.
    """

    def __init__(self, runs: Intervening, targets: Sequence[str]) -> None:
        self.runs, self.targets = runs, tuple(targets)
        self._summing = Summing(runs.batch)
        self._intact = self._scores(runs.intact.outputs)
        self._known: dict[frozenset[UnitKey], dict[str, float]] = {frozenset(): dict.fromkeys((*targets, ALL), 1.0)}

    def _scores(self, outputs: Float[Tensor, "sequence time output"]) -> dict[str, float]:
        return scores_from(self.runs.batch, self._summing.refitted(outputs))

    @property
    def passes(self) -> int:
        return len(self._known) - 1

    def of(self, clamped: Iterable[UnitKey]) -> dict[str, float]:
        """Return the share that is left of each target, and the least of all; NaN where there was nothing."""
        which = frozenset(clamped)
        if which not in self._known:
            left = self._scores(self.runs.outputs(which).outputs)
            shares = {name: left[name] / self._intact[name] if self._intact[name] > 0 else np.nan
                      for name in self.targets}  # fmt: skip
            self._known[which] = {**shares, ALL: float(np.min(list(shares.values())))}
        return self._known[which]

    def known(self, clamped: Iterable[UnitKey], target: str) -> float:
        """Return the share that is left of a target where that pass was made, else NaN."""
        return self._known.get(frozenset(clamped), {}).get(target, np.nan)


def eliminate(
    shares: Shares, target: str, order: Sequence[UnitKey], least: float, *, first: int = 1
) -> list[UnitKey]:  # fmt: skip
    """Return the units that can be left out together, in the order in which they went.

    They are tried in the given order, each in addition to those that went before, and those that had to stay once
    more. Of several that go at once no pass is made for each: after a success twice as many are tried, and where these
    cost too much, the first of them that does is looked for by halving. Where clamping more never costs less, the same
    units go as would one by one; in any case what is left has a share of at least `least`.

    Args:
        shares: of the sequences that decide.
        target: that is to be carried, or `ALL`.
        order: all units, that which is tried first first.
        least: the share that has to be left.
        first: how many units are tried at once at first.
    """
    gone: list[UnitKey] = []
    for size in (first, 1):
        left = [unit for unit in order if unit not in gone]
        start, failed, following = 0, 0, 1
        while start < len(left):
            block = left[start : start + size]
            if shares.of([*gone, *block])[target] >= least:
                gone += block
                start += len(block)
                if start < failed:
                    size = (failed - start) // 2 or 1
                else:
                    size, following = following, min(2 * following, AT_ONCE)
            elif len(block) > 1:
                failed, size = start + len(block), len(block) // 2
            else:
                start, size, following = start + 1, 1, 2
    return gone


def curve(shares: Shares, target: str, gone: Sequence[UnitKey], kept: Sequence[UnitKey]) -> list[float]:
    """Return the share that is left of a target before each of these units is left out, one after the other.

    NaN where several went at once. Of those that are kept, at most `POINTS` passes are made, evenly over them, until
    nothing is left.
    """
    out = [shares.known(gone[:k], target) for k in range(len(gone))]
    places = {round(k * (len(kept) - 1) / (POINTS - 1)) for k in range(POINTS)} if kept else set()
    ended = False
    for k in range(len(kept)):
        left = np.nan if k not in places or ended else shares.of([*gone, *kept[:k]])[target]
        ended = ended or left < NOTHING
        out.append(left)
    return out
