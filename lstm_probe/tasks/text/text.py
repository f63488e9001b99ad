"""A character language model on any text file."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from lstm_probe.core.errors import InputError
from lstm_probe.tasks.parameters import parameter
from lstm_probe.tasks.text.characters import (
    BEGIN,
    Characters,
    Corpus,
    check_room,
    check_source,
    cut_at,
    digest_of,
    read_text,
)
from lstm_probe.tasks.text.signals import text_tracks


def documentation() -> str:
    """Return the reference pages that `help()` shows, which come with every Python."""
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise InputError("task.path=null: this Python comes without its documentation; give a text file.") from None
    return "\n\n".join(topics[name] for name in sorted(topics))


@lru_cache(maxsize=4)
def split_text(path: str | None, digest: str | None, characters: int, held_out: float, length: int) -> Corpus:
    """Return a text, its last part held out; `digest` distinguishes a changed file from the one read before."""
    text = (documentation() if path is None else read_text(Path(path).expanduser()))[:characters]
    at = cut_at(text, held_out, length + 1)
    corpus = Corpus(text[: max(at, 0)], text[max(at, 0) :], lambda: text_tracks(text[max(at, 0) :]))
    check_room(f"task.path={path}", corpus, length)
    return corpus


@dataclass(frozen=True)
class Text(Characters):
    """Read text and say after each character which comes next (Karpathy, Johnson & Fei-Fei 2015).

    Sequences are windows anywhere in the text. The last part of the file is held out: nothing is trained on it, and
    everything is measured on it. Every character that is not among the most frequent ones is the same symbol,
    "other". Without a file it is the text of Python's own `help()`.

    >>> from lstm_probe.tasks.text.signals import text_tracks
    >>> tracks = {track.name: track.values.astype(int).tolist() for track in text_tracks('a "(b)"')}
    >>> for name in ("in_quotes", "brackets", "word_place", "column"):
    ...     print(f"{name:10}", *tracks[name])
    in_quotes  0 0 1 1 1 1 0
    brackets   0 0 0 1 1 0 0
    word_place 1 0 0 0 1 0 0
    column     1 2 3 4 5 6 7
    """

    name = "text"
    summary = "the next character of any text: quotes, brackets, lines and words that are open"
    source = "Karpathy, Johnson & Fei-Fei 2015"

    path: str | None = parameter(
        None, "a text file in UTF-8; null: the text of Python's own help()", example="moby_dick.txt"
    )
    length: int = parameter(100, "characters of a sequence", 2, 100_000)
    begin: str = parameter("anywhere", "where a sequence begins: with a line, or anywhere", choices=BEGIN)
    symbols: int = parameter(96, "how many of the most frequent characters are distinguished", 1, 1000)
    held_out: float = parameter(0.2, "share of the text that is held out of training", 0.01, 0.9)
    characters: int = parameter(10_000_000, "at most this many characters of the file are read", 100, 100_000_000)
    content: str | None = parameter(
        None, "SHA-256 of the file, by which a run recognises its text; null: that of the file as it is now",
        example="9f86d081",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_source(self, read_text)

    @property
    def files(self) -> list[Path]:
        """The file, if it is the user's own."""
        return [] if self.path is None else [Path(self.path).expanduser()]

    @cached_property
    def corpus(self) -> Corpus:
        """The text."""
        return split_text(self.path, digest_of(self.files), self.characters, self.held_out, self.length)

    @cached_property
    def alphabet(self) -> str:
        """The most frequent characters of the text to train on, the most frequent first."""
        counts = Counter(self.corpus.training)
        return "".join(sorted(counts, key=lambda c: (-counts[c], c))[: self.symbols])
