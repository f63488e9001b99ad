"""What is left of each target's score when units are merged into the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from lstm_probe.capacity.exact import exact_folds
from lstm_probe.capacity.fold import Part
from lstm_probe.capacity.goal import SHARES, TWO_SHARES, outputs_by_step, places
from lstm_probe.capacity.merger import Merger
from lstm_probe.causal.elimination import ALL
from lstm_probe.causal.halves import share_with_interval
from lstm_probe.core.groups import drawn_as_one, group_codes
from lstm_probe.core.signal import Batch


@dataclass(frozen=True)
class Parts:
    """Sequences in three parts, whole groups each.

    Attributes:
        fit: which the merge is fitted on, and the order found.
        choose: which say how many units are enough.
        check: which say what these keep.
        blocks: which of the last belong together.
    """

    fit: Batch
    choose: Batch
    check: Batch
    blocks: Int[np.ndarray, " sequence"]

    @classmethod
    def of(cls, batch: Batch, groups: Any, check: Batch | None, seed: int) -> "Parts":
        """Return parts of a batch to fit, to choose and to check, of sizes near `SHARES`; `TWO_SHARES` with `check`."""
        found, blocks = places(batch, SHARES if check is None else TWO_SHARES, groups, seed)
        fit, choose = (batch[torch.from_numpy(own)] for own in found[:2])
        if check is None:
            return cls(fit, choose, batch[torch.from_numpy(found[2])], blocks[found[2]])
        codes = drawn_as_one(group_codes(check.groups, len(check)))
        return cls(fit, choose, check, np.arange(len(check)) if codes is None else codes)


class Merging:
    """A network, with units merged into the others in least squares.

    Attributes:
        narrowing: of the module as it is.
        exact: the folds that cut what can be cut exactly.
        least: how many units each layer and direction keeps then.
    """

    def __init__(self, model: nn.Module, parts: Parts, layer: str | None) -> None:
        self.parts = parts
        self._whole = self._cut = Merger(model, parts.fit, layer)
        self.narrowing = self._whole.narrowing
        self.exact = exact_folds(self.narrowing)
        self.least = len(next(iter(self.exact.values())).kept)
        if self.narrowing.fewest < self.least < self.narrowing.units:
            self._cut = Merger(self.narrowing.take(self.exact), parts.fit, self.narrowing.name)

    def order(self, target: str | None = None) -> Mapping[Part, list[int]]:
        """Return the order in which units go, of those that are left after the exact cuts, by their number there.

        Args:
            target: whose outputs alone count; None for all.
        """
        if self.least == self.narrowing.fewest:
            return {part: list(range(self.least)) for part in self.exact}
        return self._cut.by_trial(least=self.narrowing.fewest, target=target)

    def original(self, part: Part, units: Sequence[int]) -> list[int]:
        """Return the module's own numbers of units that are left after the exact cuts."""
        return sorted(self.exact[part].kept[unit] for unit in units)

    def merged(self, kept: Mapping[Part, Sequence[int]], *, cut: bool) -> nn.Module:
        """Return the network with these units alone; it holds until the next call.

        Args:
            kept: by layer and direction.
            cut: whether they are numbers of those that are left after the exact cuts.
        """
        units = len(next(iter(kept.values())))
        if units == self.narrowing.units:
            return self.narrowing.model
        if cut and units == self.least:
            return self.narrowing.narrow(self.exact)
        return (self._cut if cut else self._whole).merged(kept)


class Scores:
    """Scores of networks on some sequences, and in samples of them (see `resamples`), as shares of the intact one's.

    Attributes:
        targets: whose scores are looked at.
        intact: each target's score in every sample, of the network as it is.
    """

    def __init__(
        self,
        batch: Batch,
        intact: nn.Module,
        targets: Sequence[str],
        counts: Float[Tensor, "sample sequence"] | None = None,
    ) -> None:
        self.batch, self.targets = batch, tuple(targets)
        self._counts = torch.ones(1, len(batch), dtype=torch.float64) if counts is None else counts
        self.intact = self.samples(intact)

    def samples(self, model: nn.Module) -> dict[str, Float[np.ndarray, " sample"]]:
        """Return each target's score in every sample of the sequences; the first are these themselves."""
        sums = self.batch.statistics(outputs_by_step(model, self.batch))
        specs = {spec.name: spec for spec in self.batch.target_specs}
        return {name: specs[name].score(self._counts @ sums[name]).clamp(min=0).numpy() for name in self.targets}

    def share(self, name: str, samples: Mapping[str, Float[np.ndarray, " sample"]]) -> float:
        """Return a target's share, or the least of all."""
        return min(float(samples[one][0] / self.intact[one][0]) for one in self._of(name))

    def interval(self, name: str, samples: Mapping[str, Float[np.ndarray, " sample"]], blocks: int) -> dict[str, float]:
        """Return it with its interval; `blocks` as in `share_with_interval`."""
        return share_with_interval(self.batch, self._of(name), samples, self.intact, blocks)

    def _of(self, name: str) -> tuple[str, ...]:
        return self.targets if name == ALL else (name,)
