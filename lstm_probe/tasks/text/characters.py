"""What character language models share: text read with care, as numbers, and windows of it as sequences."""

import hashlib
import logging
import unicodedata
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from lstm_probe.core.budget import reading, size_of_regular, spend
from lstm_probe.core.errors import InputError
from lstm_probe.core.kinds import Signal
from lstm_probe.core.numbers import many
from lstm_probe.core.signal import Batch
from lstm_probe.core.target import Target
from lstm_probe.tasks.base import Task
from lstm_probe.tasks.parameters import problems_of
from lstm_probe.tasks.steps import by_name, step_signal
from lstm_probe.tasks.text.signals import NEWLINE, Track, code_points

log = logging.getLogger(__name__)
CONTROLS = {"\n": "newline", "\t": "tab"}  # their Unicode names are none
BEGIN = ("line", "anywhere")
OTHER = "�"  # stands for every character outside the alphabet


def read_text(path: Path) -> str:
    """Return a file's text, lines ended by a line feed alone.

    Raises:
        InputError: there is no such file, or it cannot be read, is empty, binary or not UTF-8.
    """
    key = f"task.path={path}"
    size = size_of_regular(key, path)
    with reading(key, size):
        return _read_within(key, path, size)


def _read_within(key: str, path: Path, size: int) -> str:
    spend(size, "its bytes")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{key}: cannot be read: {error.strerror}.") from None
    # One character beyond the first 65,536 makes all of them four bytes wide, one beyond Latin-1 two.
    highest = int(np.frombuffer(data, np.uint8).max(initial=0))
    spend(size * (1 if highest < 0xC4 else 2 if highest < 0xF0 else 4), "its text")
    if b"\0" in data:
        raise InputError(f"{key}: is binary, or text that is not UTF-8; a UTF-8 text file is needed.")
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{key}: is not UTF-8 (byte {data[error.start]:#04x} at {error.start}); convert it first."
        ) from None
    if not text.strip():
        raise InputError(f"{key}: {'has nothing but blanks and ends of lines' if data else 'is empty'}.")
    return text


@dataclass(frozen=True, eq=False)
class Corpus:
    """Text to train on and text kept apart from it.

    Attributes:
        training: what networks are trained on.
        held_out: what everything is measured on.
        find_tracks: makes the signals of the held-out text.
        find_strings: says of each character to train on whether it is inside a string; None where that is not needed.
    """

    training: str
    held_out: str
    find_tracks: Callable[[], Sequence[Track]]
    find_strings: Callable[[], Bool[np.ndarray, " training"]] | None = None

    @cached_property
    def tracks(self) -> Sequence[Track]:
        """The signals of the held-out text."""
        return self.find_tracks()

    def strings(self, held_out: bool) -> Bool[np.ndarray, " character"]:
        """Return whether each character of the text to train on, or of the one held out, is inside a string."""
        if held_out:
            return next(track.values for track in self.tracks if track.name == "in_string") > 0
        assert self.find_strings is not None
        return self.find_strings()

    @cached_property
    def codes(self) -> tuple[np.ndarray, np.ndarray]:
        """The numbers of the characters of both texts."""
        return code_points(self.training).astype(np.int32), code_points(self.held_out).astype(np.int32)


def cut_at(text: str, held_out: float, needed: int) -> int:
    """Return where the last `held_out` share of a text begins, if `needed` are left at a line's beginning."""
    at = min(len(text) - round(held_out * len(text)), len(text) - needed)
    line = text.find("\n", max(at - 1, 0)) + 1
    return line if 0 < line <= len(text) - needed else at


def check_room(what: str, corpus: Corpus, length: int) -> None:
    """Raise an InputError if one of the two texts has no room for a sequence and the character after it."""
    if min(len(corpus.training), len(corpus.held_out)) <= length:
        size = len(corpus.training) + len(corpus.held_out)
        raise InputError(
            f"{what}: its {size} characters are too few for task.length={length}: the part to train on and "
            f"the part held out need at least {length + 1} each."
        )


def digest_of(files: Sequence[Path]) -> str | None:
    """Return the SHA-256 of a file's bytes, of several files that of theirs in a row; None where one is not there."""
    try:
        own = [_digest(path) for path in files]
    except (OSError, InputError):  # said by what reads them
        return None
    if len(own) < 2:
        return own[0].hexdigest() if own else None
    return hashlib.sha256(b"".join(digest.digest() for digest in own)).hexdigest()


def _digest(path: Path) -> Any:
    size_of_regular(f"task.path={path}", path)
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256")


def check_source(task: Any, read: Callable[[Path], object]) -> None:
    """Raise an InputError with everything that is wrong with a task's parameters and with its file.

    A task that is right gets its file's full path and the digest of its content.

    Args:
        task: one with `path`, `content`, `files` and `corpus`.
        read: reads a file or raises an InputError.
    """
    problems = problems_of(task)
    if problems and task.path:
        try:
            read(Path(task.path).expanduser())
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(*problems)
    if task.path is not None:
        _ = task.corpus
    digest = digest_of(task.files)
    if task.content not in (None, digest):
        raise InputError(
            f"task.path={task.path}: has changed: its content is not what this run was made with (SHA-256"
            f" {task.content[:12]} ...). Put the old text back, or make a new run with the new one."
        )
    object.__setattr__(task, "content", digest)
    if task.path is not None:
        object.__setattr__(task, "path", str(Path(task.path).expanduser().resolve()))


def character_name(character: str) -> str:
    """Return a name without blanks for a character.

    >>> [character_name(c) for c in ("a", " ", "\\n", "é", "\\u200b")]
    ['a', 'space', 'newline', 'é', 'zero_width_space']
    """
    if character in CONTROLS:
        return CONTROLS[character]
    if character.isprintable() and not character.isspace():
        return character
    return unicodedata.name(character, f"U+{ord(character):04X}").lower().replace(" ", "_")


def side_by_side(starts: Int[np.ndarray, " start"], window: int, shift: int) -> list[int]:
    """Return starts of windows that do not overlap: the first from `shift` on, then each as early as can be.

    >>> side_by_side(np.array([0, 3, 4, 8, 9]), 4, 1)
    [3, 8]
    """
    chosen, at = [], shift
    while (k := int(np.searchsorted(starts, at))) < len(starts):
        chosen.append(int(starts[k]))
        at = chosen[-1] + window
    return chosen


class Characters(Task):
    """A character language model: read text, say after each character which comes next.

    Sequences are windows of a text. What networks are trained on and what `sample` returns come from two
    different texts. As long as they fit side by side, the sequences of a sample do not overlap; they stand in their
    order in the text.
    """

    path: str | None
    length: int
    begin: str

    @property
    def attainable(self) -> bool:
        """Return False: how well a text can be told is not known."""
        return False

    @property
    @abstractmethod
    def files(self) -> list[Path]:
        """The files that `path` stands for; none where it is null."""

    @property
    @abstractmethod
    def alphabet(self) -> str:
        """The characters that have an input of their own."""

    @property
    @abstractmethod
    def corpus(self) -> Corpus:
        """The text."""

    @property
    def input_names(self) -> tuple[str, ...]:
        return (*map(character_name, self.alphabet), "other")

    @property
    def targets(self) -> tuple[Target, ...]:
        return (Target("next", "next_symbol", size=self.n_inputs, classes=self.input_names),)

    @cached_property
    def _symbols(self) -> tuple[Int[Tensor, " training"], Int[Tensor, " held_out"]]:
        """Both texts as symbols; the last symbol stands for all characters outside the alphabet."""
        table = np.full(0x110000, len(self.alphabet), np.int16)
        table[code_points(self.alphabet)] = np.arange(len(self.alphabet))
        training, held_out = (torch.from_numpy(table[codes]) for codes in self.corpus.codes)
        if bool((held_out == held_out[0]).all()):
            where = "" if self.path is None else f"task.path={self.path}: "
            raise InputError(f"{where}the part held out is one symbol over and over, "
                             f"{self.input_names[int(held_out[0])]}: there is nothing to predict.")  # fmt: skip
        return training, held_out

    def _starts(self, held_out: bool) -> Int[Tensor, " start"]:
        """Return where a sequence may begin in the text to train on, or in the one held out."""
        codes = self.corpus.codes[held_out]
        room = len(codes) - self.length
        if self.begin == "anywhere":
            return torch.arange(room)
        ends = codes == NEWLINE
        if self.begin == "code":
            ends &= ~self.corpus.strings(held_out)
        return torch.from_numpy(np.append(0, np.flatnonzero(ends[: room - 1]) + 1))

    @cached_property
    def _to_train_on(self) -> Int[Tensor, " start"]:
        return self._starts(held_out=False)

    @cached_property
    def _held_out(self) -> Int[Tensor, " start"]:
        return self._starts(held_out=True)

    @property
    def most(self) -> int:
        """Return how many different sequences the held-out text has."""
        return len(self._held_out)

    @property
    def in_order(self) -> bool:
        """Return True."""
        return True

    @property
    def batches_at_once(self) -> int:
        """Return few: one-hot characters are wide, and memory used again is much faster than fresh one."""
        return 8

    def draw(self, n: int, rng: torch.Generator) -> Batch:
        starts = self._held_out_starts(n, rng)
        places = starts.unsqueeze(1) + torch.arange(self.length)
        lines = torch.from_numpy(self.corpus.codes[1][places.numpy()] == NEWLINE).cumsum(1).float()
        signals = [
            Signal(track.name, torch.from_numpy(track.values[places.numpy()]).float(), track.kind, track.role,
                   track.meaning)
            for track in self.corpus.tracks
        ]  # fmt: skip
        signals.append(Signal("lines", lines, "continuous", "nuisance", "lines ended so far in the sequence"))
        signals.append(step_signal(n, self.length))
        return self._batch(self._symbols[1], starts, by_name(signals))

    def _held_out_starts(self, n: int, rng: torch.Generator) -> Int[Tensor, " sequence"]:
        """Return where `n` different sequences begin, one behind the other."""
        if n > self.most:
            more = "a longer text or a larger task.held_out has more"
            more += "" if self.begin == "anywhere" else ", and so has task.begin=anywhere"
            raise InputError(
                f"{many(n, 'sequence')} {'was' if n == 1 else 'were'} asked for, but the held-out text has only "
                f"{many(self.most, 'different sequence')} of task.length={self.length}: {more}."
            )
        window = self.length + 1
        shift = int(torch.randint(window, (1,), generator=rng))
        apart = side_by_side(self._held_out.numpy(), window, shift)
        if n > len(apart):  # one more may fit from the first on
            apart = side_by_side(self._held_out.numpy(), window, 0)
        if n <= len(apart):
            return torch.tensor(apart)[torch.randperm(len(apart), generator=rng)[:n].sort().values]
        log.warning(
            "at most %s into the held-out text side by side: some of these %d overlap, which makes intervals and "
            "p-values too optimistic", f"{many(len(apart), 'sequence')} fit{'s' * (len(apart) == 1)}", n,
        )  # fmt: skip
        return self._held_out[torch.randperm(self.most, generator=rng)[:n].sort().values]

    def draw_training(self, n: int, rng: torch.Generator) -> Batch:
        """Return `n` windows of the text to train on, without signals."""
        starts = self._to_train_on
        return self._batch(self._symbols[0], starts[torch.randint(len(starts), (n,), generator=rng)], {})

    def draw_passages(self, n: int, parts: int, rng: torch.Generator) -> Batch:
        room = len(self._symbols[0]) - parts * self.length
        starts = self._to_train_on[self._to_train_on < room]
        if not len(starts):
            raise InputError(
                f"tbptt={parts}: the text to train on has {len(self._symbols[0])} characters, too few for passages "
                f"of {parts} times task.length={self.length}."
            )
        first = starts[torch.randint(len(starts), (n,), generator=rng)]
        return self._batch(self._symbols[0], (self.length * torch.arange(parts).unsqueeze(1) + first).flatten(), {})

    def _batch(
        self, symbols: Int[Tensor, " character"], starts: Int[Tensor, " sequence"], signals: dict[str, Signal]
    ) -> Batch:
        windows = symbols[starts.unsqueeze(1) + torch.arange(self.length + 1)].long()
        inputs = functional.embedding(windows[:, :-1], torch.eye(self.n_inputs))
        lengths = torch.full((len(starts),), self.length)
        return Batch(inputs, {"next": windows[:, 1:]}, self.targets, lengths, signals)

    def text_of(self, inputs: Float[Tensor, "time feature"]) -> str:
        """Return the characters of one sequence of inputs; `OTHER` for those outside the alphabet."""
        return "".join((self.alphabet + OTHER)[k] for k in inputs.argmax(-1).tolist())
