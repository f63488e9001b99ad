"""Signals moved in time against units: in a circle, or by whole windows of one series; how long they stay alike."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from lstm_probe.core.seeding import derive_seed
from lstm_probe.probing.data.signals import CheckedSignal
from lstm_probe.probing.data.split import Split
from lstm_probe.probing.data.view import View


def varies(
    values: Float[np.ndarray, "sequence time"], mask: Bool[np.ndarray, "sequence time"], axis: int
) -> Bool[np.ndarray, " other"]:
    """Return where values differ along an axis, at the steps of the mask."""
    least, most = (np.where(mask, values, end) for end in (np.inf, -np.inf))
    result: np.ndarray = least.min(axis, initial=np.inf) < most.max(axis, initial=-np.inf)
    return result


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


@dataclass(frozen=True, eq=False)
class Shifts:
    """Units of the middle windows beside the signals of windows earlier or later by the same number.

    The linear shift of Harris (2020, "Nonsense correlations in neuroscience", bioRxiv 2020.11.29.402719): with
    K = n // 4, units of windows K to n − K − 1, and shifts from −K to K. No window is broken, none goes round, and
    whatever binds neighbouring windows together stays. There are 2K shifts besides none, and so no p-value below
    1 / (2K + 1).

    Attributes:
        windows: each window's number of steps: that of the shortest.
        lengths: likewise, and 0 for the windows whose units take no part.
        reach: K.
    """

    windows: Int[np.ndarray, " sequence"]
    lengths: Int[np.ndarray, " sequence"]
    reach: int

    @classmethod
    def of(cls, lengths: Int[np.ndarray, " sequence"]) -> "Shifts":
        """Return the shifts of windows of one series, in order, cut to the shortest."""
        windows, reach = np.full_like(lengths, lengths.min()), len(lengths) // 4
        number = np.arange(len(lengths))
        middle = (number >= reach) & (number < len(lengths) - reach)
        return cls(windows, np.where(middle, windows, 0), reach)

    def moves(self, signal: CheckedSignal) -> bool:
        """Return whether to shift windows changes a signal: not where all are alike in it."""
        mask = signal.among(np.arange(signal.values.shape[1]) < self.windows[:, None])
        return bool(varies(signal.values, mask, 0).any())

    @property
    def log_ways(self) -> float:
        """The logarithm of how many shifts there are."""
        return float(np.log(2 * self.reach + 1))

    def permutations(self, count: int, seed: int) -> Int[np.ndarray, "permutation sequence"]:
        """Return which window's signal stands beside each window's units: its own, then in each of the 2K shifts.

        There are as many as there are, whatever `count` and `seed` say. Windows that take no part keep their own.
        """
        own = np.arange(len(self.lengths))
        shifts = [d for d in range(-self.reach, self.reach + 1) if d]
        return np.stack([own, *(np.where(self.lengths > 0, own + d, own) for d in shifts)])

    def moving(self, view: View) -> View:
        """Return the view whose columns and mask are moved: that of all windows."""
        return View.make(view.signals, self.windows, view.split, view.lag)

    def moved(
        self,
        source: Float[np.ndarray, "column sequence step"],
        permutations: Int[np.ndarray, "permutation sequence"],
        members: Int[np.ndarray, " member"],
        lag: int = 0,
    ) -> Float[np.ndarray, "column permutation member time"]:
        """Return other windows' columns in these windows' place; those that take no part have units of 0."""
        return np.take(source, permutations[:, members], axis=1)

    def sums(
        self,
        source: Float[np.ndarray, "sequence step column"],
        permutations: Int[np.ndarray, "permutation sequence"],
        split: Split,
        lag: int = 0,
    ) -> Float[np.ndarray, "fold shuffled"]:
        """Return each fold's sums over the windows that take part: a column's permutations stand side by side."""
        own = source.sum(1)
        part = [members[self.lengths[members] > 0] for members in split.members]
        return np.stack([own[permutations[:, members]].sum(1).T.ravel() for members in part])


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
