"""What is known of a stream's units and signals after a first look: ranges, scales, bins, levels."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Shaped
from torch import Tensor

from lstm_probe.core.errors import InputError
from lstm_probe.core.given import beside_missing, check_kind, check_values, labels_type
from lstm_probe.core.kinds import MOST_LABELS, Signal
from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.vocabulary import NUMBERS
from lstm_probe.probing.data.study import blocks_of
from lstm_probe.probing.data.view import Scale
from lstm_probe.probing.inference.window import windowed
from lstm_probe.probing.streaming.bins import SAMPLE, Bins
from lstm_probe.probing.streaming.shards import Shard, numbers
from lstm_probe.recorder.data import Recording


@dataclass(eq=False)
class Spread:
    """Mean, variance and range of columns, step after step."""

    n: float = 0
    mean: Any = 0.0
    square: Any = 0.0
    low: Any = np.inf
    high: Any = -np.inf

    def add(self, rows: Shaped[np.ndarray, "step column"]) -> None:
        """Take in more steps."""
        if not len(rows):
            return
        self.low, self.high = np.minimum(self.low, rows.min(0)), np.maximum(self.high, rows.max(0))
        mean = rows.mean(0, dtype=np.float64)
        off = rows - mean
        total, away = self.n + len(rows), mean - self.mean
        # Chan, Golub & LeVeque 1979.
        self.square = self.square + np.einsum("sc,sc->c", off, off) + away**2 * (self.n * len(rows) / total)
        self.mean = self.mean + away * (len(rows) / total)
        self.n = total

    @property
    def varies(self) -> bool:
        """Whether any column has more than one value."""
        return bool(np.any(np.asarray(self.high) > self.low))

    @property
    def scale(self) -> Scale:
        """What brings the columns to mean 0 and standard deviation 1; a constant becomes exactly 0."""
        constant = self.high == self.low
        deviation = np.sqrt(self.square / max(1, self.n))
        some = ~constant & (deviation > 0)
        mean = np.where(constant, self.low, self.mean).astype(np.float64)
        return Scale(mean, np.where(some, 1 / np.where(some, deviation, 1), 1.0))


class Sample:
    """A fixed number of steps of a stream, each as likely as any other: those with the smallest of random keys."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(derive_seed(seed, "sample"))
        self.keys: list[np.ndarray] = []
        self.rows: list[list[np.ndarray]] = []
        self.highest = 1.0

    def add(self, columns: Sequence[Shaped[np.ndarray, "step _"]]) -> None:
        """Take in more steps, of every array the same ones."""
        keys = self.rng.random(len(columns[0]))
        chosen = np.flatnonzero(keys < self.highest)
        self.keys.append(keys[chosen])
        self.rows.append([rows[chosen] for rows in columns])
        if sum(map(len, self.keys)) > 1.25 * SAMPLE:
            self._reduce()

    def _reduce(self) -> None:
        keys = np.concatenate(self.keys)
        kept = np.sort(np.argsort(keys, kind="stable")[:SAMPLE])
        rows = [np.concatenate(parts)[kept] for parts in zip(*self.rows)]
        self.keys, self.rows, self.highest = [keys[kept]], [rows], keys[kept].max(initial=0)

    def result(self) -> list[Shaped[np.ndarray, "step _"]]:
        """Return the sampled steps of each array."""
        self._reduce()
        return self.rows[0]


@dataclass(eq=False)
class UnitSurvey:
    """What is known of units after a first look: their scale at each lag, and where their bins lie.

    Args:
        variables: which are looked at.
        lags: in steps.
        seed: of the sample.
        window: how many steps back the inputs that are looked at reach.
    """

    variables: Sequence[str]
    lags: Sequence[int]
    seed: int
    window: int = 0
    spreads: dict[tuple[int, int], Spread] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sample = Sample(self.seed)

    def add(self, rec: Recording, shard: Shard) -> None:
        """Take in a recording of a shard's sequences."""
        rows = []
        for k, (name, values) in enumerate(looked_at(rec, self.variables, self.window)):
            array = numbers(values)
            bad = shard.mask & ~np.isfinite(array).all(-1)
            if bad.any():
                sequence, step = np.argwhere(bad)[0]
                raise InputError(f"{name}: not a number at sequence {shard.first + sequence}, step {step}")
            for lag in self.lags:
                spread = self.spreads.setdefault((lag, k), Spread())
                spread.add(array[:, lag:][shard.lagged(lag)])
            rows.append(array[shard.mask])
        sequence = np.repeat(np.arange(shard.first, shard.first + len(rec)), shard.lengths)
        self.sample.add([*rows, sequence[:, None]])

    def scale(self, lag: int, block: int) -> Scale:
        """Return a block's scale."""
        return self.spreads[lag, block + 1].scale

    def input_scale(self, lag: int) -> Scale:
        """Return the scale of the window of inputs, in which those of the present step come first."""
        return self.spreads[lag, 0].scale

    @cached_property
    def sampled(self) -> list[Shaped[np.ndarray, "step _"]]:
        """The sampled steps: the inputs, each block, and the sequence's number."""
        return self.sample.result()

    @cached_property
    def bins(self) -> list[Bins]:
        """Each block's bins."""
        return [Bins.of(rows) for rows in self.sampled[1:-1]]


def looked_at(rec: Recording, variables: Sequence[str], window: int) -> list[tuple[str, Tensor]]:
    """Return the network's inputs, with those of a window of steps before, and then every block, with names."""
    inputs = windowed(rec.inputs, rec.lengths, window)
    return [("inputs", inputs), *((block.name, block.values) for block in blocks_of(rec, variables))]


@dataclass(eq=False)
class SignalSurvey:
    """What is known of one signal after a first look.

    Attributes:
        given: as it came in the first shard, without values.
        dtype: of its values.
        levels: its distinct values; no more than a few where it can only be continuous.
        spreads: at each lag, if it is made of numbers.
        missing: whether NaN stands behind a sequence's end.
    """

    name: str
    given: Any
    dtype: np.dtype[Any]
    levels: np.ndarray
    spreads: dict[int, Spread]
    missing: bool = False

    @classmethod
    def empty(cls, name: str, given: Any, values: np.ndarray) -> "SignalSurvey":
        """Return what is known of a signal before its first values."""
        known = replace(given, values=given.values[:0]) if isinstance(given, Signal) else None
        return cls(name, known, values.dtype, values[:0, :0].ravel(), {})

    def add(self, values: Shaped[np.ndarray, "sequence time"], shard: Shard, lags: Sequence[int]) -> None:
        """Take in the checked values of a shard."""
        self.dtype = np.result_type(self.dtype, values.dtype)
        self.missing |= beside_missing(values, shard.mask, shard.mask)
        text = values.dtype.kind in "US"
        declared = self.given.kind if self.given is not None else None
        classes = text or declared == "categorical"
        if declared not in NUMBERS and (classes or len(self.levels) <= MOST_LABELS):
            self.levels = np.union1d(self.levels, values[shard.mask])
            if not classes:
                # More than that is continuous, or one problem too many; the least of them may be negative.
                self.levels = self.levels[: MOST_LABELS + 1]
        if text:
            return
        columns = values.astype(np.float64)[..., None]
        if declared == "circular":
            columns = np.concatenate([np.sin(columns), np.cos(columns)], axis=-1)
        for lag in lags:
            own = columns[:, : values.shape[1] - lag][shard.lagged(lag)]
            self.spreads.setdefault(lag, Spread()).add(own)

    def scale(self, lag: int) -> Scale:
        """Return the scale of a signal that is made of numbers."""
        spread = self.spreads[lag]
        if self.given is None or self.given.kind != "circular" or not spread.n:
            return spread.scale
        return Scale.together(spread.mean, spread.square / spread.n)

    def described(self) -> tuple[str, str]:
        """Return kind and role; an InputError where they do not fit the values."""
        return check_kind(self.name, self.given, labels_type(self.dtype, self.missing, self.levels), self.levels)


def survey_signals(shard: Shard, known: dict[str, SignalSurvey], lags: Sequence[int]) -> None:
    """Take in a shard's signals; an InputError names all that is wrong with them."""
    if shard.number and set(known) != set(shard.signals):
        raise InputError(f"shard {shard.number}: its signals are not those of the first: {', '.join(known)}")
    problems: list[str] = []
    for name, given in shard.signals.items():
        try:
            values, _ = check_values(name, given, shard.mask, shard.first)
        except InputError as error:
            problems += error.problems
            continue
        known.setdefault(name, SignalSurvey.empty(name, given, values)).add(values, shard, lags)
    if problems:
        raise InputError(*problems)
