"""Values on disk that are read slice by slice."""

from dataclasses import dataclass
from operator import index as whole_number
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lstm_probe.core.errors import InputError
from lstm_probe.core.shown import Shown, Told, shape_words
from lstm_probe.recorder.disk.index import DTYPES, input_names

if TYPE_CHECKING:
    from lstm_probe.recorder.disk.stored import StoredRecording


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """Values of all sequences on disk; `stored.c[5:8]` and `stored.c[:, :, 3]` read them shard by shard.

    The time axis is that of the longest sequence; after the end of its own shard's longest, a sequence has
    zeros.

    Args:
        stored: where it belongs to.
        names: the tensors that make it up, side by side along the last axis.
    """

    stored: "StoredRecording"
    names: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """(sequence, time, unit), or (sequence, time) for a signal."""
        every = [self.stored.index.contents.tensors[name] for name in self.names]
        first, last = every[0].shape(len(self.stored), self.stored.time), sum(one.size for one in every)
        return (*first[:-1], last) if every[0].size else first

    @property
    def dtype(self) -> torch.dtype:
        """The type of its numbers."""
        return DTYPES[self.stored.index.contents.tensors[self.names[0]].dtype]

    def __len__(self) -> int:
        return len(self.stored)

    def __repr__(self) -> str:
        return f"StoredTensor({' | '.join(self.names)}, shape={self.shape}, dtype={self.dtype})"

    def __getitem__(self, key: Any) -> Tensor:
        """Return a slice, as of a tensor: a sequence's number or a slice first, then whatever torch takes."""
        first, *rest = key if isinstance(key, tuple) and key else (key,)
        if first is Ellipsis:
            first, rest = slice(None), [Ellipsis, *rest]
        if isinstance(first, slice):
            try:
                rows = range(len(self))[first]
            except TypeError:
                raise InputError(f"{first}: a slice of whole numbers is needed") from None
            if rows.step < 0:
                raise InputError(f"{first}: sequences are read forward only")
            return self._rows(rows, rest)
        try:
            row = range(len(self))[whole_number(first)]
        except TypeError:
            raise InputError(f"{type(first).__name__}: sequences are chosen by a number or a slice") from None
        return self._rows(range(row, row + 1), rest)[0]

    def _rows(self, rows: range, rest: list[Any]) -> Tensor:
        found = []
        for number, shard in enumerate(self.stored.index.shards):
            edges = shard.first, shard.first + shard.sequences
            begin, end = (-((rows.start - edge) // rows.step) for edge in edges)  # rounded up
            own = rows[max(0, begin) : max(0, end)]
            if own:
                with self.stored.opened(number) as file:
                    parts = [file.get_slice(name)[own[0] - shard.first : own[-1] + 1 - shard.first]
                             for name in self.names]  # fmt: skip
                block = (parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1))[:: rows.step]
                found.append(self._padded(block)[(slice(None), *rest)])
        if not found:
            return torch.zeros(0, *self.shape[1:], dtype=self.dtype)[(slice(None), *rest)]
        return found[0] if len(found) == 1 else torch.cat(found)

    def _padded(self, block: Tensor) -> Tensor:
        shape = (len(block), *self.shape[1:])
        if block.shape == shape:
            return block
        out = block.new_zeros(shape)
        out[:, : block.shape[1]] = block
        return out


@dataclass(frozen=True, eq=False, repr=False)
class StoredLayer(Shown):
    """One layer in one direction of a recording on disk: its inputs and variables, each a StoredTensor."""

    stored: "StoredRecording"
    layer: int
    direction: str

    def _told(self) -> Told:
        shapes = [f"{v}: {shape_words(self[v])} (sequence, time, unit)" for v in self.variables]
        return Told(f"Layer {self.layer} {self.direction} of {self.stored.folder}", shapes)

    @property
    def variables(self) -> tuple[str, ...]:
        """Which variables were recorded."""
        return self.stored.variables

    @property
    def inputs(self) -> StoredTensor:
        """What really went into the layer."""
        return StoredTensor(self.stored, input_names(self.stored.config, self.variables, self.layer))

    def __getitem__(self, variable: str) -> StoredTensor:
        """Return one variable by its letter."""
        if variable not in self.variables:
            raise InputError(f"variable={variable}: not recorded; there are {' '.join(self.variables)}")
        return StoredTensor(self.stored, (f"layer{self.layer}.{self.direction}.{variable}",))

    def __getattr__(self, name: str) -> StoredTensor:
        if not name.startswith("_") and name in self.stored.config.cell.names:
            return self[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
