"""A stream of recordings, and its shards one at a time."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lstm_probe.core.errors import InputError
from lstm_probe.core.given import Signals
from lstm_probe.core.kinds import Signal
from lstm_probe.recorder.data import Recording


@runtime_checkable
class RecordingStream(Protocol):
    """Recordings of one network that follow one another, such as a StoredRecording's shards.

    Each is (Recording, signals by name), with whole sequences. `shards` is called several times and must give
    the same ones every time.
    """

    def shards(self) -> Iterator[tuple[Recording, Mapping[str, Any]]]:
        """Go through all of them."""
        ...


def numbers(values: Tensor) -> Float[np.ndarray, "*shape"]:
    """Return what was recorded as an array of 32 or 64 bits."""
    values = values.detach().cpu()
    return (values.float() if values.dtype.itemsize < 4 else values).numpy()


@dataclass(frozen=True, eq=False)
class Shard:
    """One recording of a stream.

    Attributes:
        number: its own, from 0.
        first: how many sequences lie in the shards before it.
        rec: what was recorded.
        signals: by name, of these sequences.
    """

    number: int
    first: int
    rec: Recording
    signals: Mapping[str, Any]

    @property
    def rows(self) -> slice:
        """The numbers of its sequences."""
        return slice(self.first, self.first + len(self.rec))

    @cached_property
    def mask(self) -> Bool[np.ndarray, "sequence time"]:
        """True where a step is real."""
        return self.rec.mask.cpu().numpy()

    @cached_property
    def lengths(self) -> Int[np.ndarray, " sequence"]:
        """How many steps of each sequence are real."""
        return self.rec.lengths.cpu().numpy().astype(np.int64)

    def lagged(self, lag: int) -> Bool[np.ndarray, "sequence time"]:
        """Return which steps from `lag` on are real; the time axis starts there."""
        return self.mask[:, lag:]


@dataclass(eq=False)
class Source:
    """A stream with its signals, which lie in it or are given for all sequences at once.

    Attributes:
        stream: the recordings.
        signals: arrays of (sequence, time) by name, or None.
        lengths: of all sequences, once they are known.
    """

    stream: RecordingStream
    signals: Signals
    lengths: Int[np.ndarray, " sequence"] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.stream, RecordingStream):
            kind = type(self.stream).__name__
            raise InputError(f"recording: a {kind}; it must be a Recording, a StoredRecording, or have `shards()`")
        if self.signals is not None and not isinstance(self.signals, Mapping):
            kind = type(self.signals).__name__
            raise InputError(f"signals: a {kind}; a stream of recordings takes a dict of arrays of (sequence, time)")

    def visit(self, use: Callable[[Shard], None], every: int = 1) -> None:
        """Call `use` with every n-th shard, and hold none of them while the next is made."""
        first = number = 0
        for rec, own in self.stream.shards():
            shard = Shard(number, first, rec, own)
            first, number = first + len(rec), number + 1
            del rec, own
            if self.lengths is not None and not np.array_equal(self.lengths[shard.rows], shard.lengths):
                raise InputError(f"shard {shard.number}: not the one that came here before")
            if shard.number % every == 0:
                use(shard if self.signals is None else self._given(shard))
            del shard
        if number == 0:
            raise InputError("recording: there are no shards")
        if self.lengths is not None and first != len(self.lengths):
            raise InputError(f"recording: {first} sequences, but {len(self.lengths)} before")

    def _given(self, shard: Shard) -> Shard:
        cut: dict[str, Any] = {}
        for name, given in (self.signals or {}).items():
            values = given.values if isinstance(given, Signal) else given
            try:
                values = values if hasattr(values, "shape") else np.asarray(values)
            except ValueError:
                raise InputError(
                    f"signals[{name!r}]: sequences of unequal length; a stream needs an array of (sequence, time)"
                ) from None
            if len(values.shape) != 2:
                raise InputError(f"signals[{name!r}]: shape {tuple(values.shape)}; it must be (sequence, time)")
            own = values[shard.rows][:, : shard.mask.shape[1]]
            cut[name] = replace(given, values=torch.as_tensor(own)) if isinstance(given, Signal) else own
        return replace(shard, signals=cut)
