"""Recording batch after batch into a folder: it says first what it will need, and can be interrupted."""

import errno
import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from lstm_probe.core.errors import InputError
from lstm_probe.core.files import PARTIAL, human, sha256, write_whole
from lstm_probe.core.holding import confirm, held
from lstm_probe.core.kinds import Signal
from lstm_probe.recorder.agreement import worst
from lstm_probe.recorder.data import Recording
from lstm_probe.recorder.disk.digests import batch_sha256, raw
from lstm_probe.recorder.disk.index import (
    DTYPE_NAMES,
    INDEX,
    LOCK,
    OWN_FILES,
    Contents,
    Index,
    StoredShard,
    StoredSignal,
    in_order,
    shard_name,
)

log = logging.getLogger(__name__)


def _taken_apart(batch: Any) -> tuple[Any, Any, Mapping[str, Any]]:
    """Return a batch's inputs, lengths and signals."""
    if isinstance(batch, list):  # as a DataLoader gives them
        return tuple(batch), None, {}
    if isinstance(batch, Tensor | Mapping | tuple) or not hasattr(batch, "inputs"):
        return batch, None, {}
    return batch.inputs, getattr(batch, "lengths", None), getattr(batch, "signals", {})


def _signal_values(name: str, given: Any, n: int, time: int) -> Tensor:
    values = given.values if isinstance(given, Signal) else given
    try:
        values = torch.as_tensor(values)
    except (TypeError, ValueError, RuntimeError):
        values = None
    if values is None or values.dtype not in DTYPE_NAMES:
        raise InputError(f"signals[{name!r}]: only numbers can be stored; number the classes")
    if values.dim() != 2 or len(values) != n or values.shape[1] < time:
        raise InputError(
            f"signals[{name!r}]: shape {tuple(values.shape)}; there are {n} sequences of {time} steps, "
            f"so it must be {(n, time)}"
        )
    return values[:, :time]  # a module that packs its sequences may have dropped steps that are real for none


def _contents(rec: Recording, signals: Mapping[str, Any], values: Mapping[str, Tensor]) -> Contents:
    variables = in_order(next(iter(rec)).variables, rec.config.cell)
    described = {}
    for name, given in signals.items():
        words = (given.kind, given.role, given.meaning) if isinstance(given, Signal) else ()
        described[name] = StoredSignal(DTYPE_NAMES[values[name].dtype], *words)
    return Contents(rec.config, variables, DTYPE_NAMES[rec.inputs.dtype], described)


@contextmanager
def _only_writer(folder: Path) -> Iterator[None]:
    """Make the folder and let nobody else write into it; the lock goes with its process, even if killed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise InputError(f"to={folder}: a file, not a folder") from None
    foreign = sorted(file.name for file in folder.iterdir() if not OWN_FILES.fullmatch(file.name))
    if foreign:
        there = ", ".join(foreign[:3])
        raise InputError(f"to={folder}: contains other files ({there}); choose an empty or new folder")

    def refuse() -> None:
        raise InputError(f"to={folder}: another process is recording into it")

    try:
        with held(folder / LOCK, refuse):
            for partial in folder.glob(f".*{PARTIAL}"):
                partial.unlink()
            yield
    finally:
        with suppress(OSError):
            folder.rmdir()  # only if nothing came to lie in it


class Writer:
    """Writes one recording; see `record_to`."""

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, str],
        shard_bytes: int | None,
        expected: tuple[str, int] | None,
    ) -> None:
        self.folder, self.settings, self.shard_bytes, self.expected = folder, settings, shard_bytes, expected
        self.index: Index | None = None
        self.whole: set[int] = set()
        if (folder / INDEX).exists():
            self.index = Index.read(folder)
            self._check_settings(self.index.settings)
            self.whole = {k for k, shard in enumerate(self.index.shards) if self._is_whole(shard)}
        self.batches = self.shards = self.sequences = 0  # that are dealt with
        self.announced = False

    def _check_settings(self, there: Mapping[str, str]) -> None:
        told = [
            "other weights" if name == "weights" else f"{name}: {there.get(name)} there, {here} here"
            for name, here in self.settings.items()
            if there.get(name) != here
        ]
        if told:
            raise InputError(f"to={self.folder}: there is another recording ({'; '.join(told)}); choose another folder")

    def _is_whole(self, shard: StoredShard) -> bool:
        file = self.folder / shard.file
        return file.is_file() and file.stat().st_size == shard.bytes and sha256(file) == shard.sha256

    def add(self, inputs: Any, lengths: Any, signals: Mapping[str, Any], run: Callable[[Any, Any], Recording]) -> None:
        """Record one batch, unless it is recorded already."""
        digest, there = batch_sha256(inputs, lengths, signals), self._there()
        if there and there[0].batch_sha256 != digest:
            raise InputError(
                f"to={self.folder}: batch {self.batches} is not the one that was recorded there; "
                "give the same batches in the same order, or choose another folder"
            )
        numbers = range(self.shards, self.shards + len(there))
        if there and there[-1].ends_batch and self.whole.issuperset(numbers):
            self.shards += len(there)
            self.sequences += sum(shard.sequences for shard in there)
        else:
            try:
                self._record(run(inputs, lengths), signals, digest)
            except InputError as error:
                problems = (f"batch {self.batches}: {problem}" for problem in error.problems)
                raise InputError(*problems) from error
        self.batches += 1

    def _there(self) -> list[StoredShard]:
        """Return what the index has of the batch whose turn it is."""
        shards = self.index.shards if self.index else []
        end = self.shards
        while end < len(shards) and shards[end].batch == self.batches:
            end += 1
        return shards[self.shards : end]

    def _record(self, rec: Recording, signals: Mapping[str, Any], digest: str) -> None:
        n, time = rec.inputs.shape[:2]
        values = {name: _signal_values(name, given, n, time) for name, given in signals.items()}
        contents = _contents(rec, signals, values)
        index = self.index or Index(self.settings, contents)
        if contents != index.contents:
            raise InputError("its signals, or their kinds or types, are not those of the batches before")
        tensors = {"lengths": rec.lengths.long(), **{f"signal.{name}": own for name, own in values.items()}}
        for part in rec:
            tensors.setdefault(f"layer{part.layer}.inputs", part.inputs)
            tensors |= {f"layer{part.layer}.{part.direction}.{v}": part[v] for v in contents.variables}
        rows = self._rows(contents, n, time)
        if not self.announced:
            self._announce(contents, n, time, -(-n // rows))
        self.index = index
        index.checks[self.batches] = worst(rec.checks, self.batches)
        for start in range(0, n, rows):
            if self.shards not in self.whole:
                own = {name: values[start : start + rows] for name, values in tensors.items()}
                self._write(index, own, time, digest, start + rows >= n)
            self.shards, self.sequences = self.shards + 1, self.sequences + min(rows, n - start)

    def _write(self, index: Index, tensors: Mapping[str, Tensor], time: int, digest: str, ends_batch: bool) -> None:
        name, n = shard_name(self.shards), len(tensors["lengths"])
        header = index.contents.header(n, time, self.sequences)
        blocks = (raw(tensors[key]) for key in index.contents.tensors)  # one at a time: each may be a copy
        confirm(self.folder / LOCK)
        checksum, size = write_whole(self.folder / name, chain([header], blocks))
        confirm(self.folder / LOCK)
        index.shards[self.shards : self.shards + 1] = [
            StoredShard(name, checksum, size, self.sequences, n, time, self.batches, digest, ends_batch)
        ]
        index.complete = False
        index.write(self.folder)

    def _rows(self, contents: Contents, n: int, time: int) -> int:
        """Return how many sequences of a batch go into one shard."""
        if self.shard_bytes is None:
            return n
        most = len(contents.header(n, time, self.sequences + n))  # no shard of this batch has a longer one
        rows = (self.shard_bytes - most) // contents.n_bytes(1, time)
        if rows < 1:
            least = most + contents.n_bytes(1, time)
            raise InputError(f"shard_bytes={self.shard_bytes}: one sequence alone takes {least} bytes")
        return min(n, rows)

    def _announce(self, contents: Contents, n: int, time: int, shards: int) -> None:
        """Say how much disk the rest will take, and raise an OSError where there is less."""
        per_batch = contents.n_bytes(n, time) + shards * len(contents.header(n, time, self.sequences))
        needed, what = per_batch, f"for each batch of {n} sequences; how many there are is not known"
        if self.expected is not None:
            unit, total = self.expected
            left = (total - self.batches) if unit == "batches" else (total - self.sequences) / n
            needed, what = round(per_batch * max(1, left)), f"for {total} {unit}"
            if self.batches:
                what = f"more for {total} {unit} in all"
        there = sum(self.index.shards[k].bytes for k in self.whole if k >= self.shards) if self.index else 0
        needed = max(0, needed - there)
        free = shutil.disk_usage(self.folder).free
        log.info("recording to %s: about %s %s (%s free)", self.folder, human(needed), what, human(free))
        if needed > free:
            told = f"the recording needs about {human(needed)} {what}, but the disk has {human(free)} free"
            raise OSError(errno.ENOSPC, told, str(self.folder))
        self.announced = True

    def finish(self) -> None:
        """Mark the recording as complete.

        Raises:
            InputError: there were no batches, or fewer than are recorded already.
        """
        if self.index is None:
            raise InputError("inputs: there are no batches")
        if self.shards < len(self.index.shards):
            raise InputError(
                f"to={self.folder}: more batches are recorded there than the {self.batches} given; "
                "give the same batches, or choose another folder"
            )
        if not self.index.complete:
            self.index.complete = True
            self.index.write(self.folder)


def _batches_and_lengths(given: Any, lengths: Any) -> tuple[Iterable[Any], Iterator[Any] | None]:
    if isinstance(given, Tensor | Mapping | PackedSequence) or hasattr(given, "inputs"):  # a single batch
        return [given], None if lengths is None else iter([lengths])
    if not isinstance(given, Iterable):
        raise InputError(f"inputs: with to=, an iterable of batches, not a {type(given).__name__}")
    return given, None if lengths is None else iter(lengths)


def _expected(batches: Iterable[Any], sequences: int | None) -> tuple[str, int] | None:
    if sequences is not None:
        return "sequences", sequences
    try:
        return "batches", len(batches)  # type: ignore[arg-type]  # whether there is one is the question
    except TypeError:  # a generator, or a loader of a stream
        return None


def record_to(
    folder: Path,
    run: Callable[[Any, Any], Recording],
    settings: Mapping[str, str],
    given: Any,
    lengths: Any = None,
    shard_bytes: int | None = None,
    sequences: int | None = None,
) -> None:
    """Record batch after batch into a folder, and hold no more than one of them.

    Args:
        folder: new, empty, or with the same recording, finished or not: whole shards stay as they are.
        run: called with a batch's inputs and lengths; returns its Recording.
        settings: by name, as text: what must be the same to continue a recording.
        given: batches; each what the module is called with, or something that has `.inputs`, and perhaps
            `.lengths` and `.signals`, such as a task's Batch.
        lengths: for each batch its lengths.
        shard_bytes: the most that one shard may take; else each batch is one.
        sequences: how many there will be in all, where `given` cannot say how many batches it has.

    Raises:
        InputError: batches or settings that do not fit what is there.
        OSError: not enough room on the disk.
    """
    for name, value in (("shard_bytes", shard_bytes), ("sequences", sequences)):
        if value is not None and (type(value) is not int or value < 1):
            raise InputError(f"{name}={value}: must be a whole number from 1")
    batches, every = _batches_and_lengths(given, lengths)
    with _only_writer(folder):
        writer = Writer(folder, settings, shard_bytes, _expected(batches, sequences))
        for batch in batches:
            inputs, own, signals = _taken_apart(batch)
            if every is not None:
                own = next(every, None)
                if own is None:
                    raise InputError("lengths: with to=, give one entry for each batch; there are fewer")
            writer.add(inputs, own, signals, run)
            del batch, inputs, own, signals  # before the next one is made
        writer.finish()
