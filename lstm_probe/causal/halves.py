"""Sets of units are chosen on some sequences and checked on others: on two halves of them, unless others are given."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from lstm_probe.causal.elimination import ALL, Shares
from lstm_probe.causal.intervening import Intervening
from lstm_probe.causal.redrawn import FEW, PART, Redrawn
from lstm_probe.causal.refit import batch_refit_statistics, refit_score
from lstm_probe.core.groups import drawn_as_one, group_codes
from lstm_probe.core.order import UnitKey
from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.signal import Batch

#: Of a normal distribution, 95 % lie within so many standard deviations.
Z = 1.96


def halves_of(
    n: int, groups: Int[np.ndarray, " sequence"] | None, seed: int, share: float = 0.5
) -> tuple[Int[np.ndarray, " chosen"], Int[np.ndarray, " other"]]:
    """Return the numbers of the sequences of two halves of `n`, whole groups each (None: each sequence is its own).

    The first part may be another share of them than one half.
    """
    blocks = np.arange(n) if groups is None else groups
    place = np.random.default_rng(seed).permutation(int(blocks.max()) + 1)[blocks]
    ends = np.bincount(place).cumsum()[:-1]
    middle = ends[np.abs(ends - n * share).argmin()]
    order = np.argsort(place, kind="stable")
    return np.sort(order[:middle]), np.sort(order[middle:])


@dataclass(frozen=True)
class Halves:
    """A model on a batch, and the same on parts of its sequences.

    Sets are chosen at the means of the whole batch, as those of a part may hide what differs between the parts; they
    are checked at the means of the sequences that check, as a set may do at the very means that chose it alone.

    Attributes:
        runs: the model on all of them.
        groups: of sequences that belong together; None where each is its own.
        targets: whose scores are looked at.
        seed: of the halves.
        check: other sequences to check on, if there are any; then all of these choose.
    """

    runs: Intervening
    groups: Int[np.ndarray, " sequence"] | None
    targets: tuple[str, ...]
    seed: int
    check: Batch | None = None

    def split(self, again: int = 0) -> tuple[Int[np.ndarray, " chosen"], Int[np.ndarray, " other"]]:
        """Return the numbers of the sequences of two halves, whole groups each; others for every `again`."""
        return halves_of(len(self.runs.batch), self.groups, derive_seed(self.seed, "halves of sufficient sets", again))

    def on(self, sequences: Int[np.ndarray, " sequence"]) -> Intervening:
        """Return the model on these sequences."""
        codes = None if self.groups is None else self.groups[sequences]
        batch = self.runs.batch[torch.from_numpy(sequences)]
        return self._anew(batch, codes) if self.runs.mode == "resample" else self.runs.on(batch)

    def _anew(self, batch: Batch, codes: Int[np.ndarray, " other"] | None) -> Intervening:
        """Return the model on other sequences, its units clamped to what they are in these."""
        runs = self.runs
        return Intervening(runs.model, batch, layer=runs.name, variable=runs.variable, mode=runs.mode, groups=codes,
                           seed=self.seed)  # fmt: skip

    def checking(self) -> tuple[Intervening, Int[np.ndarray, " other"]]:
        """Return the model on the sequences that did not choose, clamped to their means; and which belong together."""
        if self.check is not None:
            codes = drawn_as_one(group_codes(self.check.groups, len(self.check)))
            return self._anew(self.check, codes), np.arange(len(self.check)) if codes is None else codes
        sequences = self.split()[1]
        codes = None if self.groups is None else self.groups[sequences]
        return self._anew(self.runs.batch[torch.from_numpy(sequences)], codes), sequences if codes is None else codes

    def shares(self, sequences: Int[np.ndarray, " sequence"]) -> Shares:
        """Return what clamps leave on these sequences."""
        return Shares(self.on(sequences), self.targets)

    @cached_property
    def first(self) -> Shares:
        """On the sequences that choose."""
        if self.check is not None:
            return Shares(self.runs, self.targets)
        return self.shares(self.split()[0])


def checked(
    halves: Halves, gone: Mapping[str, Sequence[UnitKey]], bootstrap: int
) -> dict[str, dict[str, float]]:  # fmt: skip
    """Return the share that is left on the sequences that did not choose, with its interval, by target and of all.

    The interval holds, too, that the means are those of a sample.
    Where what is counted is right in nearly all sequences, resamples of these hardly differ, and others still may:
    intervals of counts are at least as wide as Wilson's.

    Args:
        halves: of the sequences.
        gone: by target and of all, the units that are clamped at once.
        bootstrap: resamples of sequences, or of groups of them; where there are none, or there is one group alone,
            the interval is NaN.
    """
    runs, blocks = halves.checking()
    counts = resamples(blocks, bootstrap, derive_seed(halves.seed, "bootstrap of sufficient sets"))
    intact = _samples(runs.batch, runs.intact.outputs, counts)
    redrawn = Redrawn(runs, counts, FEW, PART) if runs.mode == "mean" and len(counts) > 1 else None
    out, known = {}, {}
    for name, units in gone.items():
        which, of = frozenset(units), halves.targets if name == ALL else (name,)
        if which not in known:
            outputs = runs.outputs(which).outputs
            more = redrawn.of_set(tuple(which), outputs) if redrawn is not None and which and name == ALL else {}
            known[which] = {one: scores + more[one][1] if more else scores
                            for one, scores in _samples(runs.batch, outputs, counts).items()}  # fmt: skip
        widened = len(np.unique(blocks)) if which else 0
        out[name] = share_with_interval(runs.batch, of, known[which], intact, widened)
    return out


def resamples(
    blocks: Int[np.ndarray, " sequence"], bootstrap: int, seed: int
) -> Float[Tensor, "sample sequence"]:  # fmt: skip
    """Return how often each sequence is in each sample: once in the first, then as whole blocks are drawn again.

    Of one block alone nothing is known of others, and nothing is drawn.
    """
    codes = np.unique(blocks, return_inverse=True)[1]
    count = int(codes.max()) + 1
    bootstrap = bootstrap if count > 1 else 0
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=bootstrap).astype(float)[:, codes]
    return torch.from_numpy(np.concatenate([np.ones((1, len(blocks))), drawn]))


def share_with_interval(
    batch: Batch, targets: Sequence[str], left: Mapping[str, Float[np.ndarray, " sample"]],
    intact: Mapping[str, Float[np.ndarray, " sample"]], blocks: int,
) -> dict[str, float]:  # fmt: skip
    """Return the least share of these targets' scores that is left, with its 95 % interval.

    Args:
        batch: of the sequences.
        targets: that are looked at.
        left: each target's score in every sample of `resamples`.
        intact: the same of the network as it is.
        blocks: how many were drawn, so that an interval of counts is at least as wide as Wilson's; 0 leaves that out.
    """
    with np.errstate(divide="ignore", invalid="ignore"):  # in a sample there may be nothing to keep
        shares = [left[one] / intact[one] for one in targets]
    least = np.min(shares, axis=0)
    finite = least[1:][np.isfinite(least[1:])]
    low, high = np.quantile(finite, (0.025, 0.975)) if len(finite) else (np.nan, np.nan)
    counted = [share[0] for one, share in zip(targets, shares) if _is_count(batch, one, share[0])]
    if len(least) > 1 and blocks and counted:
        lowest, highest = _wilson(min(counted), blocks)
        low, high = min(low, lowest), max(high, min(highest, 1.0))
    return {"checked": float(least[0]), "checked_low": float(low), "checked_high": float(high)}


def _is_count(batch: Batch, target: str, share: float) -> bool:
    """Return whether a share is one of whole sequences; so is that of right steps where all are right."""
    (loss,) = (spec.loss for spec in batch.target_specs if spec.name == target)
    return loss == "multilabel" or (loss in ("binary", "class") and bool(share >= 1))


def _wilson(share: float, n: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share of n.

    >>> tuple(round(end, 3) for end in _wilson(1.0, 128))
    (0.971, 1.0)
    """
    share = min(share, 1.0)
    middle, half = share + Z**2 / (2 * n), Z * math.sqrt(share * (1 - share) / n + (Z / (2 * n)) ** 2)
    return (middle - half) / (1 + Z**2 / n), (middle + half) / (1 + Z**2 / n)


def _samples(
    batch: Batch, outputs: Float[Tensor, "sequence time output"], counts: Float[Tensor, "sample sequence"]
) -> dict[str, Float[np.ndarray, " sample"]]:
    """Return each target's refitted score in every sample."""
    sums = batch_refit_statistics(batch, outputs)
    return {spec.name: refit_score(spec, counts @ sums[spec.name]).numpy() for spec in batch.target_specs}
