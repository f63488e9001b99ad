"""What a null hypothesis allows to be exchanged: whole sequences, or the steps of a sequence in a circle."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import gammaln

from lstm_probe.core.errors import InputError, nearest
from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.vocabulary import NULLS
from lstm_probe.probing.data.signals import CheckedSignal
from lstm_probe.probing.data.split import Split
from lstm_probe.probing.data.view import View

logger = logging.getLogger(__name__)

#: What is rolled in a circle has to be this many times as long as its autocorrelation time.
LEAST_TIMES = 3

#: Sequences of nearby lengths are taken together until there are this many to shuffle.
LEAST_GROUP = 16


@dataclass(frozen=True, eq=False)
class LengthGroups:
    """Which sequences may be exchanged, and how many steps of each then count.

    Attributes:
        members: the sequences of each group.
        lengths: each sequence's number of steps in the null: its group's shortest, or 0 if it takes no part.
    """

    members: list[Int[np.ndarray, " _"]]
    lengths: Int[np.ndarray, " sequence"]

    @classmethod
    def of(cls, lengths: Int[np.ndarray, " sequence"], least: int = LEAST_GROUP) -> "LengthGroups":
        """Return groups of at least `least` sequences of equal or adjacent lengths.

        Each group is cut to its shortest sequence, so that exchanging its members is exact. The few shortest
        that are left over join the group above them, or take no part where that would cost it more steps than
        they have.
        """
        groups: list[np.ndarray] = []
        pending = np.empty(0, dtype=np.int64)
        for length in np.unique(lengths)[::-1]:
            pending = np.concatenate([pending, np.flatnonzero(lengths == length)])
            if len(pending) >= least:
                groups.append(pending)
                pending = np.empty(0, dtype=np.int64)
        if len(pending) and not groups:
            groups.append(pending)
        elif len(pending):
            cut = (lengths[groups[-1]].min() - lengths[pending].min()) * len(groups[-1])
            lost_by_joining = cut + (lengths[pending] - lengths[pending].min()).sum()
            if lost_by_joining <= lengths[pending].sum():
                groups[-1] = np.concatenate([groups[-1], pending])
        cut_lengths = np.zeros_like(lengths)
        for members in groups:
            cut_lengths[members] = lengths[members].min()
        return cls(groups, cut_lengths)

    def moves(self, signal: CheckedSignal) -> bool:
        """Return whether to exchange sequences changes a signal: not where all of one length are alike in it."""
        mask = signal.among(np.arange(signal.values.shape[1]) < self.lengths[:, None])
        return any(bool(varies(signal.values[own], mask[own], 0).any()) for own in self.members)

    @property
    def log_ways(self) -> float:
        """The logarithm of how many different permutations there are."""
        return float(sum(gammaln(len(members) + 1) for members in self.members))

    def permutations(self, count: int, seed: int) -> Int[np.ndarray, "permutation sequence"]:
        """Return the identity, then `count` random permutations within groups."""
        rng = np.random.default_rng(derive_seed(seed, "permutations"))
        out = np.tile(np.arange(len(self.lengths)), (count + 1, 1))
        for members in self.members:
            out[1:, members] = rng.permuted(np.tile(members, (count, 1)), axis=1)
        return out

    def moving(self, view: View) -> View:
        """Return the view whose columns and mask are moved: this one, lined up with units already."""
        return view

    def moved(
        self,
        source: Float[np.ndarray, "column sequence step"],
        permutations: Int[np.ndarray, "permutation sequence"],
        members: Int[np.ndarray, " member"],
        lag: int = 0,
    ) -> Float[np.ndarray, "column permutation member time"]:
        """Return other sequences' columns in these sequences' place."""
        return np.take(source, permutations[:, members], axis=1)

    def sums(
        self,
        source: Float[np.ndarray, "sequence step column"],
        permutations: Int[np.ndarray, "permutation sequence"],
        split: Split,
        lag: int = 0,
    ) -> Float[np.ndarray, "fold shuffled"]:
        """Return each fold's sums: a column's permutations stand side by side."""
        own = source.sum(1)
        return np.stack([own[permutations[:, members]].sum(1).T.ravel() for members in split.members])


@dataclass(frozen=True, eq=False)
class Rolls:
    """Each sequence's signals rolled in time, within its real length, by a random number of steps of its own.

    This keeps how steps of a sequence depend on each other, and needs no second sequence. But a roll breaks a sequence
    where its end meets its beginning, and does not keep what depends on the step index. So sequences must be many
    times as long as units and signals remember: with 20 steps of series that remember 10, false alarms were twice as
    many as they should be (`scripts/calibration.py`). And where units and signals share a trend over steps, only the
    shuffle is right.

    Attributes:
        lengths: each sequence's number of real steps.
    """

    lengths: Int[np.ndarray, " sequence"]

    def moves(self, signal: CheckedSignal) -> bool:
        """Return whether to roll sequences changes a signal: not where it stands still in each."""
        mask = signal.among(np.arange(signal.values.shape[1]) < self.lengths[:, None])
        return bool(varies(signal.values, mask, 1).any())

    @property
    def log_ways(self) -> float:
        """The logarithm of how many different permutations there are."""
        return float(np.log(np.maximum(self.lengths - 1, 1)).sum())

    def permutations(self, count: int, seed: int) -> Int[np.ndarray, "permutation sequence"]:
        """Return 0 steps for all, then `count` times from 1 to length − 1 for each sequence."""
        rng = np.random.default_rng(derive_seed(seed, "rolls"))
        out = np.zeros((count + 1, len(self.lengths)), dtype=np.int64)
        out[1:] = rng.integers(1, np.maximum(self.lengths, 2), size=(count, len(self.lengths)))
        return out

    def moving(self, view: View) -> View:
        """Return the view whose columns and mask are moved: at lag 0, as all real steps go round, and the lag is taken
        afterwards."""
        return View.make(view.signals, self.lengths, view.split)

    def moved(
        self,
        source: Float[np.ndarray, "column sequence step"],
        permutations: Int[np.ndarray, "permutation sequence"],
        members: Int[np.ndarray, " member"],
        lag: int,
    ) -> Float[np.ndarray, "column permutation member time"]:
        """Return these sequences' own columns from other steps."""
        columns, sequences, steps = source.shape
        taken = np.arange(steps - lag) - permutations[:, members, None]
        taken %= np.maximum(self.lengths, 1)[members, None]
        taken += steps * members[:, None]
        result: np.ndarray = source.reshape(columns, sequences * steps).take(taken, axis=1)
        return result

    def sums(
        self,
        source: Float[np.ndarray, "sequence step column"],
        permutations: Int[np.ndarray, "permutation sequence"],
        split: Split,
        lag: int,
    ) -> Float[np.ndarray, "fold shuffled"]:
        """Return each fold's sums: all of a sequence less the last `lag` steps before the one that comes first."""
        rolled = np.repeat(source.sum(1, keepdims=True), source.shape[1], axis=1)
        length = np.maximum(self.lengths, 1)[:, None]
        for k in range(1, lag + 1):
            last = (-np.arange(source.shape[1]) - k) % length
            rolled -= np.take_along_axis(source, last[..., None], axis=1) * (k <= length)[..., None]
        every = [rolled[members, permutations[:, members] % length[members, 0]] for members in split.members]
        return np.stack([own.sum(1).T.ravel() for own in every])


def varies(
    values: Float[np.ndarray, "sequence time"], mask: Bool[np.ndarray, "sequence time"], axis: int
) -> Bool[np.ndarray, " other"]:
    """Return where values differ along an axis, at the steps of the mask."""
    least, most = (np.where(mask, values, end) for end in (np.inf, -np.inf))
    result: np.ndarray = least.min(axis, initial=np.inf) < most.max(axis, initial=-np.inf)
    return result


#: How signals are moved against units in one permutation.
Exchange = LengthGroups | Rolls


def make_exchange(null: str, lengths: Int[np.ndarray, " sequence"]) -> Exchange:
    """Return what is exchanged under a null hypothesis.

    Raises:
        InputError: no such null.
    """
    if null not in NULLS:
        raise InputError(f"null={null}: must be one of {' '.join(NULLS)}.{nearest(null, NULLS)}")
    return Rolls(lengths) if null == "roll" else LengthGroups.of(lengths)


def warn_of_unmoved(exchange: Exchange, checked: Sequence[CheckedSignal]) -> Bool[np.ndarray, " signal"]:
    """Log which signals the null leaves as they are, so that nothing can track them; return which it moves.

    Nothing is said of nuisances: that the step index is the same in all sequences is as it should be.
    """
    moved = np.array([exchange.moves(signal) for signal in checked])
    names = ", ".join(signal.name for signal, m in zip(checked, moved) if not m and signal.role != "nuisance")
    if names:
        if isinstance(exchange, Rolls):
            why = "null=roll: %s: constant in every sequence, so that to roll it changes nothing"
        else:
            why = "null=shuffle: %s: alike in all sequences of a length, so that to exchange them changes nothing"
        logger.warning(why + " and nothing can be told from chance", names)
    return moved


def autocorrelation_time(signal: CheckedSignal, lengths: Int[np.ndarray, " sequence"]) -> float:
    """Return a signal's integrated autocorrelation time, 1 + 2 Σ ρ(k), in steps.

    ρ(k) is the correlation of the values k steps apart in all sequences, classes by their indicators; summed up to
    the first that is not above 0. White noise has 1, an AR(1) series of coefficient a (1 + a) / (1 − a).
    """
    columns = signal.columns()
    real = signal.among(np.arange(columns.shape[1]) < lengths[:, None])
    columns = np.where(real[..., None], columns - columns[real].mean(0), 0.0)
    size = 2 * columns.shape[1]  # padded, so that nothing goes round

    def products(x: Float[np.ndarray, "sequence time column"]) -> Float[np.ndarray, " time"]:
        power = np.square(np.abs(np.fft.rfft(x, size, axis=1))).sum((0, 2))
        return np.fft.irfft(power, size)[: x.shape[1]]

    pairs = np.maximum(products(real[..., None].astype(np.float64)), 1)
    covariance = products(columns) / pairs
    if covariance[0] <= 0:
        return float(columns.shape[1])
    rho = covariance[1:] / covariance[0]
    falls = np.flatnonzero(rho <= 0)
    return float(1 + 2 * rho[: falls[0] if len(falls) else None].sum())


def warn_of_short(exchange: Exchange, checked: Sequence[CheckedSignal], moved: Bool[np.ndarray, " signal"]) -> None:
    """Log which signals stay like themselves for too long to be rolled in sequences of this length."""
    if not isinstance(exchange, Rolls):
        return
    length = float(exchange.lengths.mean())
    times = [(signal.name, autocorrelation_time(signal, exchange.lengths)) for signal, m in zip(checked, moved) if m]
    short = [f"{name} ({time:.0f} steps)" for name, time in times if length < LEAST_TIMES * time]
    if short:
        logger.warning(
            "null=roll: sequences of %.0f steps are too short to be rolled for signals that stay alike as long "
            "as %s: more would be found than there is; sequences %d times as long as that, or null=shuffle, would do",
            length, ", ".join(short), LEAST_TIMES,
        )  # fmt: skip


def check_exchange(exchange: Exchange, signals: int, alpha: float) -> None:
    """Check that there are ways enough to exchange for something to be found.

    Args:
        exchange: what is exchanged.
        signals: how many can be scored: a family-wise p-value is no less than this over the number of ways.
        alpha: the family-wise error rate.

    Raises:
        InputError: not even the best of all pairs could reach `alpha`.
    """
    if alpha == 0 or exchange.log_ways >= np.log(max(1, signals)) - np.log(alpha):
        return
    count = len(exchange.lengths)
    if isinstance(exchange, Rolls):
        raise InputError(
            f"null=roll: {count} sequences of up to {exchange.lengths.max()} steps can be rolled in too few ways "
            f"for any of {signals} signals to reach alpha={alpha:g}; longer sequences or more of them would do"
        )
    ways = np.exp(exchange.log_ways)
    raise InputError(
        f"null=shuffle: {count} sequences can be exchanged in only {ways:.0f} way{'s' if ways > 1.5 else ''}, too "
        f"few for any of {signals} signals to reach alpha={alpha:g}; null=roll rolls each sequence in time "
        "instead"
    )
