"""A character language model on Python source, by default on the standard library of the Python that runs."""

import hashlib
import logging
import os
import string
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Bool

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
from lstm_probe.tasks.text.python_signals import NotPythonError, python_tracks, token_marks

log = logging.getLogger(__name__)

#: Folders of the standard library without the usual kind of source: tests, programs, tables, other people's packages.
LEFT_OUT = {
    "test", "tests", "idlelib", "lib2to3", "turtledemo", "ensurepip", "encodings", "pydoc_data",
    "site-packages", "dist-packages", "lib-dynload", "__pycache__",
}  # fmt: skip


def python_files(folder: Path, left_out: set[str]) -> list[Path]:
    """Return all Python files of a folder and of those inside it, thoroughly mixed, always in the same order."""
    found = []
    for at, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in left_out and not name.startswith(".")]
        found += [Path(at, name).relative_to(folder) for name in files if name.endswith(".py")]
    found.sort(key=lambda path: hashlib.sha256(path.as_posix().encode()).digest())
    return [folder / path for path in found]


def read_library() -> Iterator[tuple[str, str]]:
    """Go through the standard library's files: name and text; those that are not UTF-8 or empty are left out."""
    folder = Path(sysconfig.get_path("stdlib"))
    for path in python_files(folder, LEFT_OUT):
        try:
            yield str(path.relative_to(folder)), read_text(path)
        except InputError as error:
            log.debug("left out: %s", error)


def own_files(path: Path) -> list[Path]:
    """Return a user's file, or the Python files of a folder."""
    return python_files(path, {"__pycache__"}) if path.is_dir() else [path]


def read_own(path: Path) -> Iterator[tuple[str, str]]:
    """Go through a user's file, or the Python files of a folder: name and text."""
    files = own_files(path)
    texts = ((str(file), file) for file in files if len(files) == 1 or file.stat().st_size > 0)
    yield from ((name, read_text(file)) for name, file in texts)


def at_most(files: Iterator[tuple[str, str]], characters: int) -> dict[str, str]:
    """Return files, by name, until they have this many characters together."""
    texts, total = {}, 0
    for name, text in files:
        texts[name] = text
        total += len(text)
        if total >= characters:
            break
    return texts


def split_files(
    texts: dict[str, str], held_out: float, strict: bool
) -> tuple[list[str], dict[str, dict[str, np.ndarray]]]:
    """Return the names of the files to train on, and the held-out files' token marks by name.

    The first files are held out until they have that share of all characters.

    Args:
        texts: by name.
        held_out: the share.
        strict: whether a file that does not tokenize is an error; else it is left out.
    """
    wanted = held_out * sum(map(len, texts.values()))
    training, marks, size = [], {}, 0
    for name, text in texts.items():
        if size >= wanted and not strict:
            training.append(name)
            continue
        try:
            own = token_marks(text)
        except NotPythonError as error:
            if strict:
                raise InputError(f"task.path={name}: does not tokenize as Python: {error}.") from None
            log.info("left out: %s does not tokenize: %s", name, error)
            continue
        if size >= wanted:
            training.append(name)
        else:
            marks[name] = own
            size += len(text)
    return training, marks


def in_strings(texts: Sequence[str]) -> Bool[np.ndarray, " character"]:
    """Return whether each character of some texts in a row is inside a string; all are where one does not tokenize."""
    found = [np.zeros(0, bool)]
    for text in texts:
        try:
            found.append(token_marks(text)["in_string"] > 0)
        except NotPythonError:
            found.append(np.ones(len(text), bool))
    return np.concatenate(found)


@lru_cache(maxsize=4)
def _read(
    path: str | None, digest: str | None, characters: int, held_out: float
) -> Corpus | tuple[str, dict[str, np.ndarray]]:
    """Return Python source, some files held out; of a single file its text and its token marks."""
    key = f"task.path={path}"
    texts = at_most(read_library() if path is None else read_own(Path(path).expanduser()), characters)
    if not texts:
        where = "this Python's library has no source files here" if path is None else "has no Python files"
        raise InputError(f"{key}: {where}; a Python file or a folder of some is needed.")
    if len(texts) == 1:
        name, text = next(iter(texts.items()))
        return text, split_files(texts, 1.0, strict=True)[1][name]
    names, by_file = split_files(texts, held_out, strict=path is not None)
    training, held = "".join(texts[name] for name in names), "".join(texts[name] for name in by_file)
    kinds = next(iter(by_file.values()), {})
    marks = {kind: np.concatenate([own[kind] for own in by_file.values()]) for kind in kinds}
    to_train_on = [texts[name] for name in names]
    return Corpus(training, held, lambda: python_tracks(held, marks), lambda: in_strings(to_train_on))


@lru_cache(maxsize=4)
def split_source(path: str | None, digest: str | None, characters: int, held_out: float, length: int) -> Corpus:
    """Return Python source, some of it held out; `digest` distinguishes a changed file from the one read before."""
    found = _read(path, digest, characters, held_out)
    if isinstance(found, Corpus):
        corpus = found
    else:
        text, of_all = found
        at = max(cut_at(text, held_out, length + 1), 0)
        held, marks = text[at:], {kind: values[at:] for kind, values in of_all.items()}
        strings = of_all["in_string"][:at] > 0
        corpus = Corpus(text[:at], held, lambda: python_tracks(held, marks), lambda: strings)
    check_room(f"task.path={path}", corpus, length)
    return corpus


@dataclass(frozen=True)
class PythonSource(Characters):
    """Read Python source and say after each character which comes next (Karpathy, Johnson & Fei-Fei 2015).

    Sequences are windows of the standard library of the Python that runs, tests left out. Some of its files are held
    out: nothing is trained on them, and everything is measured on them. What is true at a character follows from the
    `tokenize` module. By default windows begin with a line outside strings: who begins to read inside a string has
    not seen its quote. Characters other than printable ASCII and the line's end are one symbol.

    >>> from lstm_probe.tasks.text.python_signals import token_marks
    >>> marks = token_marks('if x:\\n  f("a")  # b\\n')
    >>> for name in ("in_keyword", "in_identifier", "in_string", "brackets", "blocks", "in_comment"):
    ...     print(f"{name:13}", "".join(map(str, marks[name])))
    in_keyword    11000000000000000000
    in_identifier 00010000100000000000
    in_string     00000000001100000000
    brackets      00000000011110000000
    blocks        00000000111111111111
    in_comment    00000000000000001110
    """

    name = "python_source"
    summary = "the next character of Python source: strings, comments, brackets, indentation, column"
    source = "Karpathy, Johnson & Fei-Fei 2015"

    path: str | None = parameter(
        None, "a Python file or a folder of them; null: the standard library", example="my_project"
    )
    length: int = parameter(80, "characters of a sequence; 80 is the usual limit of a line", 2, 100_000)
    begin: str = parameter(
        "code", "where a sequence begins: with a line outside strings (code), with any line, or anywhere",
        choices=("code", *BEGIN),
    )  # fmt: skip
    held_out: float = parameter(0.1, "share of the text that is held out of training", 0.01, 0.9)
    characters: int = parameter(4_000_000, "files are read until they have this many characters", 100, 100_000_000)
    content: str | None = parameter(
        None, "SHA-256 of the files, by which a run recognises its text; null: that of the files as they are now",
        example="9f86d081",
    )  # fmt: skip

    def __post_init__(self) -> None:
        check_source(self, lambda path: list(read_own(path)))

    @property
    def files(self) -> list[Path]:
        """The files, if they are the user's own."""
        return [] if self.path is None else own_files(Path(self.path).expanduser())

    @cached_property
    def corpus(self) -> Corpus:
        """The source."""
        return split_source(self.path, digest_of(self.files), self.characters, self.held_out, self.length)

    @property
    def alphabet(self) -> str:
        """The line's end and printable ASCII: the same for every library, so that a run fits every Python."""
        return "\n " + string.ascii_letters + string.digits + string.punctuation
