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
from lstm_probe.capacity.greedy import greedy_orders, merged_folds
from lstm_probe.capacity.narrowing import Narrowing
from lstm_probe.capacity.sums import Moments, moments_of
from lstm_probe.causal.elimination import ALL
from lstm_probe.causal.halves import halves_of, share_with_interval
from lstm_probe.causal.intervening import by_step
from lstm_probe.core.errors import InputError
from lstm_probe.core.groups import drawn_as_one, group_codes
from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.signal import Batch
from lstm_probe.recorder.calling import outputs_of
from lstm_probe.recorder.leaving import undisturbed

#: As many sequences are enough to try on which unit goes next.
TRY_ON = 128


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
        """Return one half to fit; the other to choose, or, where no others are given to check, a quarter for each."""
        codes = drawn_as_one(group_codes(batch.groups if groups is None else groups, len(batch)))
        blocks = np.arange(len(batch)) if codes is None else codes
        fit, choose = halves_of(len(batch), blocks, derive_seed(seed, "halves of merged units"))
        if check is not None:
            own = drawn_as_one(group_codes(check.groups, len(check)))
            checked = np.arange(len(check)) if own is None else own
            return cls(_some(batch, fit), _some(batch, choose), check, checked)
        left = np.unique(blocks[choose], return_inverse=True)[1]
        if left.max() == 0:
            raise InputError("groups: half of the sequences are of one group; there must be more groups, or `check`")
        choose, other = (choose[half] for half in halves_of(len(choose), left, derive_seed(seed, "quarters")))
        return cls(_some(batch, fit), _some(batch, choose), _some(batch, other), blocks[other])


def _some(batch: Batch, which: Int[np.ndarray, " some"]) -> Batch:
    return batch[torch.from_numpy(which)]


class Merging:
    """A network, with units merged into the others in least squares.

    Attributes:
        narrowing: of the module as it is.
        exact: the folds that cut what can be cut exactly.
        least: how many units each layer and direction keeps then.
    """

    def __init__(self, model: nn.Module, parts: Parts, layer: str | None) -> None:
        self.parts = parts
        self.narrowing = Narrowing(model, parts.fit, layer=layer)
        self.exact = exact_folds(self.narrowing)
        self.least = len(next(iter(self.exact.values())).kept)
        self._whole = self.narrowing, self._moments(self.narrowing)
        self._cut = self._whole
        if 1 < self.least < self.narrowing.units:
            narrow = Narrowing(self.narrowing.take(self.exact), parts.fit, layer=self.narrowing.name)
            self._cut = narrow, self._moments(narrow)

    def _moments(self, narrowing: Narrowing) -> Mapping[Part, Moments]:
        return moments_of(narrowing.model, self.parts.fit, narrowing.name, narrowing.lstm)

    def order(self, target: str | None = None) -> Mapping[Part, list[int]]:
        """Return the order in which units go, of those that are left after the exact cuts, by their number there.

        Args:
            target: whose outputs alone count; None for all.
        """
        if self.least == 1:
            return {part: [0] for part in self.exact}
        narrowing, moments = self._cut
        some = self.parts.fit[: min(len(self.parts.fit), TRY_ON)]
        return greedy_orders(narrowing, moments, some, target=target)

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
        narrowing, moments = self._cut if cut else self._whole
        small = narrowing.narrow(merged_folds(narrowing, moments, {part: list(own) for part, own in kept.items()}))
        narrowing.refit(small, self.parts.fit)
        return small


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
        with undisturbed(model):
            sums = self.batch.statistics(by_step(self.batch, outputs_of(model, self.batch)))
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
