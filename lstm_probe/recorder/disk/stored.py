"""A recording on disk, larger than memory: slices of it are read when they are asked for."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Int
from safetensors import SafetensorError, safe_open
from torch import Tensor

from lstm_probe.core.errors import InputError
from lstm_probe.core.files import sha256
from lstm_probe.core.kinds import Signal
from lstm_probe.core.numbers import many
from lstm_probe.core.shown import Shown, SmallTable, Told, listed
from lstm_probe.recorder.agreement import checks_table
from lstm_probe.recorder.config import LSTMConfig
from lstm_probe.recorder.data import LayerRecording, Recording
from lstm_probe.recorder.disk.index import INDEX, Index, StoredShard, input_names
from lstm_probe.recorder.disk.slices import StoredLayer, StoredTensor

if TYPE_CHECKING:
    import pandas as pd

CALL = "the same lp.record(..., to=...)"
AGAIN = f"{CALL} records it again"


class StoredRecording(Shown):
    """A recording on disk: used like a Recording, but values are read when they are asked for.

    `stored.c[3:10]` is the memory of seven sequences where there is one layer and direction, else
    `stored[0, "forward"].c[3:10]`. Each shard's checksum is verified when the shard is first read.
    """

    def __init__(self, folder: Path, index: Index) -> None:
        self.folder, self.index = folder, index
        self._verified: set[int] = set()

    @property
    def config(self) -> LSTMConfig:
        """What is needed to build an untrained network of the same architecture."""
        return self.index.contents.config

    @property
    def variables(self) -> tuple[str, ...]:
        """Which variables were recorded."""
        return self.index.contents.variables

    @cached_property
    def time(self) -> int:
        """Steps of the longest sequence."""
        return max(shard.time for shard in self.index.shards)

    @cached_property
    def lengths(self) -> Int[Tensor, " sequence"]:
        """How many steps of each sequence are real."""
        return StoredTensor(self, ("lengths",))[:]

    @property
    def inputs(self) -> StoredTensor:
        """What really went into the lowest layer."""
        return self[0].inputs

    @property
    def signals(self) -> dict[str, StoredTensor]:
        """The signals' values (sequence, time), by name; with their kinds and roles, `shards` gives them."""
        return {name: StoredTensor(self, (f"signal.{name}",)) for name in self.index.contents.signals}

    def __len__(self) -> int:
        """Return how many sequences were recorded."""
        last = self.index.shards[-1]
        return last.first + last.sequences

    def __getitem__(self, key: int | tuple[int, str]) -> StoredLayer:
        """Return a layer: `stored[1]`, `stored[1, "reverse"]`."""
        layer, direction = key if isinstance(key, tuple) else (key, "forward")
        if (layer, direction) not in self.config.parts:
            legal = ", ".join(f'[{k}, "{d}"]' for k, d in self.config.parts)
            raise InputError(f'[{layer}, "{direction}"]: no such layer and direction; there are {legal}')
        return StoredLayer(self, layer, direction)

    def __iter__(self) -> Iterator[StoredLayer]:
        """Go through layers and directions, lowest layer first."""
        return (StoredLayer(self, *key) for key in self.config.parts)

    def __getattr__(self, name: str) -> StoredTensor:
        if name.startswith("_") or name not in self.config.cell.names:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        if len(self.config.parts) > 1:
            raise InputError(
                f"this recording has {self.config.layers} layers and {1 + self.config.bidirectional} "
                f'direction(s): say which, as in stored[0].{name} or stored[0, "reverse"].{name}'
            )
        return self[0][name]

    def _told(self) -> Told:
        config, shards = self.config, len(self.index.shards)
        what = f"StoredRecording: {many(len(self), 'sequence')} of up to {many(self.time, 'step')}"
        size = sum(shard.bytes for shard in self.index.shards)
        parts = [f"{layer} {direction}" for layer, direction in config.parts]
        lines = [
            f"{self.folder}: {many(shards, 'shard')}, {size / 1e6:,.1f} MB",
            f"{' '.join(self.variables)} of {many(config.units, 'unit')}; layer {listed(parts)}",
            f"signals beside it: {listed(self.index.contents.signals)}",
        ]
        rows = [(name, one.kind or "a plain array", one.role or "", one.meaning or "")
                for name, one in self.index.contents.signals.items()]  # fmt: skip
        read = "Values are read when they are asked for: stored[0].c[3:10]; lp.probe_units(stored) takes all of them."
        return Told(what, lines, [SmallTable(("signal", "kind", "role", "meaning"), rows)], below=[read])

    def shards(self) -> Iterator[tuple[Recording, dict[str, Signal | Tensor]]]:
        """Go through all sequences, shard by shard: a Recording in memory, and its signals by name.

        Nothing is kept of a shard that was handed out: a caller that drops it (`del`) before asking for
        the next one holds one at a time. A signal that was given as a plain array comes as a tensor.

        Raises:
            InputError: a shard is missing or damaged.
        """
        for number in range(len(self.index.shards)):
            yield self._shard(number)

    def _shard(self, number: int) -> tuple[Recording, dict[str, Signal | Tensor]]:
        with self.opened(number) as file:
            tensors = {name: file.get_tensor(name) for name in self.index.contents.tensors}
        parts = {}
        for layer, direction in self.config.parts:
            inputs = [tensors[name] for name in input_names(self.config, self.variables, layer)]
            values = {v: tensors[f"layer{layer}.{direction}.{v}"] for v in self.variables}
            seen = inputs[0] if len(inputs) == 1 else torch.cat(inputs, dim=-1)
            parts[layer, direction] = LayerRecording.of(layer, direction, seen, values, self.config.cell)
        signals: dict[str, Signal | Tensor] = {}
        for name, known in self.index.contents.signals.items():
            own = tensors[f"signal.{name}"]
            words: Any = known.kind, known.role, known.meaning
            signals[name] = Signal(name, own, *words) if known.kind else own
        return Recording(parts, tensors["lengths"], self.config), signals

    def check(self) -> "pd.DataFrame":
        """Return what was compared with what the module returned, as `Recording.check`; `call` is the batch.

        Of several calls in one batch the one that agrees least stands for all. Recordings of before have no rows.
        """
        return checks_table(check for own in self.index.checks.values() for check in own)

    def verify(self, *, sizes_only: bool = False) -> None:
        """Compare the checksum of every shard, or, much faster, its size alone.

        Raises:
            InputError: one line for each shard that is missing or damaged.
        """
        problems: list[str] = []
        for number in range(len(self.index.shards)):
            try:
                self._verify(number, sizes_only)
            except InputError as error:
                problems += error.problems
        if problems:
            raise InputError(*problems)

    def _verify(self, number: int, size_only: bool = False) -> None:
        shard = self.index.shards[number]
        file = self.folder / shard.file
        try:
            size = file.stat().st_size
            whole = size == shard.bytes and (size_only or sha256(file) == shard.sha256)
        except FileNotFoundError:
            raise InputError(f"{file}: missing; {AGAIN}") from None
        except OSError as error:
            raise InputError(f"{file}: cannot be read ({error.strerror})") from error
        if not whole:
            what = "its checksum is wrong" if size == shard.bytes else f"{size} bytes of {shard.bytes}"
            raise InputError(f"{file}: damaged ({what}); {AGAIN}")
        if not size_only:
            self._verified.add(number)

    @contextmanager
    def opened(self, number: int) -> Iterator[Any]:
        """Open a shard, verified, to read tensors from."""
        if number not in self._verified:
            self._verify(number)
        shard = self.index.shards[number]
        path = self.folder / shard.file
        try:
            with safe_open(path, "pt") as file:
                _check_held(file, path, shard, self.index)
                yield file
        except (SafetensorError, OSError, ValueError) as error:
            reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
            raise InputError(f"{path}: damaged ({reason}); {AGAIN}") from error


def _check_held(file: Any, path: Path, shard: StoredShard, index: Index) -> None:
    """Raise a ValueError unless a file holds what the index says, which its header follows from."""
    header = index.contents.header(shard.sequences, shard.time, shard.first)
    with path.open("rb") as stream:
        if stream.read(len(header)) != header:
            raise ValueError(f"its header is not as {INDEX} says")
    lengths = file.get_tensor("lengths")
    if lengths.min() < 1 or lengths.max() > shard.time:
        raise ValueError("lengths out of range")


def open_recording(folder: str | PathLike[str]) -> StoredRecording:
    """Open a recording that `record(..., to=folder)` made.

    Raises:
        InputError: the folder holds none, an unfinished one, or one whose index or shards are damaged.
    """
    place = Path(folder)
    if not (place / INDEX).is_file():
        what = f"no recording (it has no {INDEX})" if place.is_dir() else "no such folder"
        raise InputError(f"{place}: {what}")
    index = Index.read(place)
    if not index.complete:
        done = sum(shard.sequences for shard in index.shards)
        raise InputError(f"{place}: unfinished ({done} sequences so far); {CALL} continues it")
    stored = StoredRecording(place, index)
    stored.verify(sizes_only=True)
    return stored
