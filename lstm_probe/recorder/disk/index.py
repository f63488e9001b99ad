"""How a recording lies on disk: shards in the safetensors format, and an index that says what they hold.

A folder holds `shard-00000.safetensors` and so on, each with some whole sequences, and `index.json`: the
settings, what every shard contains, and each shard's checksum and size. Files are written beside their place,
flushed to the disk and renamed, the index after its shard: what stands in the index is whole, whenever the
program was stopped.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch

from lstm_probe.cells.declared import Cell
from lstm_probe.cells.known import UnknownCellError, get_cell
from lstm_probe.cells.lstm import LSTM
from lstm_probe.core.errors import InputError
from lstm_probe.core.files import write_whole
from lstm_probe.core.vocabulary import DIMS, INITS, KINDS, ROLES, UNKNOWN
from lstm_probe.recorder.agreement import Check
from lstm_probe.recorder.config import LSTMConfig

FORMAT, VERSION = "lstm_probe recording", 1
MOST_LAYERS = 1000  # that an index is believed to speak the truth about
INDEX, LOCK = "index.json", ".lock"
_OWN = r"(index\.json|shard-\d{5,}\.safetensors)"
OWN_FILES = re.compile(rf"{_OWN}|\.{_OWN}\.\w+\.partial|\.lock(\.claim(\.\w+)?)?")

#: Fields of a comparison, and their types.
_CHECKED = {
    "call": int, "layer": int, "direction": str, "compared": str, "sequences": int, "steps": int,
    "difference": float, "scale": float, "tolerance": float, "step": type(None),
}  # fmt: skip
#: safetensors' names of the types of numbers.
DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8,
    "BOOL": torch.bool,
}  # fmt: skip
DTYPE_NAMES = {dtype: name for name, dtype in DTYPES.items()}


class Field(NamedTuple):
    """One tensor of every shard: its type, its dimensions' names, the last one's length if that is fixed."""

    dtype: str
    dims: tuple[str, ...]
    size: int = 0

    def shape(self, sequences: int, time: int) -> tuple[int, ...]:
        """Return its shape in a shard of this many sequences and steps."""
        return tuple({"sequence": sequences, "time": time}.get(dim, self.size) for dim in self.dims)

    def n_bytes(self, sequences: int, time: int) -> int:
        """Return its size in such a shard."""
        size = DTYPES[self.dtype].itemsize
        for length in self.shape(sequences, time):
            size *= length
        return size


@dataclass(frozen=True)
class StoredSignal:
    """What is known of a signal besides its values; kind and role are empty if it was a plain array."""

    dtype: str
    kind: str = ""
    role: str = ""
    meaning: str = ""

    def __post_init__(self) -> None:
        known = self.dtype in DTYPES and self.kind in ("", *KINDS) and self.role in ("", *ROLES)
        if not known or type(self.meaning) is not str:
            legal = f"one of {' '.join(KINDS)}, and one of {' '.join(ROLES)}"
            raise InputError(f"signals: kind={self.kind}, role={self.role}: must be {legal}")


def in_order(variables: Iterable[str], cell: Cell) -> tuple[str, ...]:
    """Return variables in their cell's order, each once."""
    return tuple(v for v in cell.names if v in variables)


def input_names(config: LSTMConfig, variables: Iterable[str], layer: int) -> tuple[str, ...]:
    """Return the tensors that, side by side, went into a layer: its own, or the h of the layer below."""
    if layer == 0 or "h" not in variables:
        return (f"layer{layer}.inputs",)
    return tuple(f"layer{below}.{direction}.h" for below, direction in config.parts if below == layer - 1)


#: What a recording of before does not say of a network.
_LATER = {"backward": False, "init": UNKNOWN, "forget_bias": None, "cell": LSTM.name}


def _told(config: LSTMConfig) -> dict[str, Any]:
    """Return a configuration as recordings have it; those of before know no LSTM that reads backward alone."""
    told = {one.name: getattr(config, one.name) for one in fields(config)} | {"cell": config.cell.name}
    return {name: value for name, value in told.items() if name not in _LATER or value != _LATER[name]}


@dataclass(frozen=True)
class Contents:
    """What every shard of a recording holds."""

    config: LSTMConfig
    variables: tuple[str, ...]
    dtype: str
    signals: Mapping[str, StoredSignal]

    @classmethod
    def of_json(cls, told: Mapping[str, Any]) -> "Contents":
        """Return what an index says; a ValueError, TypeError or KeyError where that cannot be."""
        cell = get_cell(str(told["config"].get("cell", LSTM.name)), trusted=False)
        config = LSTMConfig(**{**told["config"], "cell": cell})
        sizes = [one for one in fields(LSTMConfig) if one.name not in ("forget_bias", "cell")]
        bias = config.forget_bias
        if any(type(getattr(config, one.name)) is not one.type for one in sizes) or not isinstance(bias, float | None):
            raise TypeError("an LSTM's size of a wrong type")
        low = min(config.inputs, config.units, config.layers, config.projection + 1)
        if config.init not in INITS or low < 1 or config.layers > MOST_LAYERS:
            raise ValueError("an impossible LSTM")
        variables, dtype = tuple(told["variables"]), told["dtype"]
        if not variables or variables != in_order(variables, cell) or dtype not in DTYPES:
            raise ValueError("unknown variables or types")
        signals = {name: StoredSignal(**own) for name, own in told["signals"].items()}
        return cls(config, variables, dtype, signals)

    @cached_property
    def tensors(self) -> dict[str, Field]:
        """Return every tensor by name, as they lie in a file: wide numbers first, so that all are aligned."""
        shown = self.config.projection or self.config.units
        both = shown * (1 + self.config.bidirectional)
        found = {"lengths": Field("I64", ("sequence",))}
        for layer, direction in self.config.parts:
            inputs = input_names(self.config, self.variables, layer)[0]
            size = both if layer else self.config.inputs
            found.setdefault(inputs, Field(self.dtype, DIMS["inputs"], size))
            for v in self.variables:
                last = "output" if v == "h" and self.config.projection else "unit"
                size = shown if v == "h" else self.config.units
                found[f"layer{layer}.{direction}.{v}"] = Field(self.dtype, DIMS[last], size)
        for name, signal in self.signals.items():
            found[f"signal.{name}"] = Field(signal.dtype, ("sequence", "time"))
        return dict(sorted(found.items(), key=lambda item: -DTYPES[item[1].dtype].itemsize))

    def n_bytes(self, sequences: int, time: int) -> int:
        """Return how many bytes a shard's tensors take."""
        return sum(one.n_bytes(sequences, time) for one in self.tensors.values())

    def header(self, sequences: int, time: int, first: int) -> bytes:
        """Return what a shard starts with: eight bytes of length, then JSON that says where each tensor lies.

        Written here, because safetensors' own writer orders the metadata differently from call to call.
        """
        told = {
            "format": FORMAT,
            "version": str(VERSION),
            "first": str(first),
            "config": json.dumps(_told(self.config)),
            "dims": json.dumps({name: one.dims for name, one in self.tensors.items()}),
            "signals": json.dumps({name: asdict(signal) for name, signal in self.signals.items()}),
        }
        entries: dict[str, Any] = {"__metadata__": told}
        end = 0
        for name, one in self.tensors.items():
            start, end = end, end + one.n_bytes(sequences, time)
            shape = one.shape(sequences, time)
            entries[name] = {"dtype": one.dtype, "shape": shape, "data_offsets": [start, end]}
        text = json.dumps(entries, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        return len(text).to_bytes(8, "little") + text


@dataclass(frozen=True)
class StoredShard:
    """One shard as the index has it.

    Attributes:
        file: its name in the folder.
        sha256: of the whole file.
        bytes: of the whole file.
        first: how many sequences lie in the shards before it.
        sequences: how many it holds.
        time: steps of its longest sequence, to which the others are padded.
        batch: which of the batches given it is from.
        batch_sha256: of that batch's inputs, lengths and signals.
        ends_batch: whether it is that batch's last shard.
    """

    file: str
    sha256: str
    bytes: int
    first: int
    sequences: int
    time: int
    batch: int
    batch_sha256: str
    ends_batch: bool


@dataclass
class Index:
    """The index of a folder.

    Attributes:
        settings: what a resumed recording must agree with; by name, as text.
        contents: what every shard holds.
        shards: in order.
        complete: whether every batch is recorded.
        checks: by batch, what of it was compared with what the module returned.
    """

    settings: Mapping[str, str]
    contents: Contents
    shards: list[StoredShard] = field(default_factory=list)
    complete: bool = False
    checks: dict[int, list[Check]] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write index.json, all or nothing."""
        told = {
            "format": FORMAT, "version": VERSION, "complete": self.complete, "settings": self.settings,
            "contents": {
                "config": _told(self.contents.config), "variables": self.contents.variables,
                "dtype": self.contents.dtype,
                "signals": {name: asdict(own) for name, own in self.contents.signals.items()},
            },
            "shards": [vars(shard) for shard in self.shards],
            "checks": [asdict(check) for own in self.checks.values() for check in own],
        }  # fmt: skip
        write_whole(folder / INDEX, json.dumps(told, indent=1))

    @classmethod
    def read(cls, folder: Path) -> "Index":
        """Return a folder's index.

        Raises:
            InputError: it is damaged, or of another format or version.
        """
        file = folder / INDEX
        try:
            told = json.loads(file.read_bytes())
            if (told["format"], told["version"]) != (FORMAT, VERSION):
                raise ValueError("another format")
            contents = Contents.of_json(told["contents"])
            shards = [StoredShard(**one) for one in told["shards"]]
            _check_shards(shards, contents)
            settings = {str(name): str(value) for name, value in told["settings"].items()}
            checks: dict[int, list[Check]] = {}
            for one in told.get("checks", []):  # recordings of before have none
                check = Check(**one)
                if any(type(getattr(check, name)) is not kind for name, kind in _CHECKED.items()):
                    raise TypeError("a comparison of a wrong type")
                checks.setdefault(check.call, []).append(check)
            return cls(settings, contents, shards, told["complete"] is True, checks)
        except OSError as error:
            raise InputError(f"{file}: cannot be read ({error.strerror})") from error
        except UnknownCellError as error:
            raise InputError(f"{file}: {error}") from error
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
            what = f"damaged, or not of version {VERSION} of this format"
            raise InputError(f"{file}: {what}; delete {folder} and record it again") from error


def shard_name(number: int) -> str:
    """Return the file name of a shard."""
    return f"shard-{number:05d}.safetensors"


def _check_shards(shards: list[StoredShard], contents: Contents) -> None:
    """Raise a ValueError unless the shards follow one another and their sizes fit what they hold."""
    if not shards:
        raise ValueError("no shards")
    first, batch = 0, 0
    for number, shard in enumerate(shards):
        for one in fields(StoredShard):
            if type(getattr(shard, one.name)) is not one.type:
                raise ValueError(f"{one.name} of a wrong type")
        if shard.file != shard_name(number) or shard.first != first or shard.batch != batch:
            raise ValueError("shards that do not follow one another")
        n, time = shard.sequences, shard.time
        if n < 1 or time < 1 or contents.n_bytes(n, time) >= shard.bytes:
            raise ValueError("sizes that do not fit")
        first, batch = first + shard.sequences, batch + shard.ends_batch
