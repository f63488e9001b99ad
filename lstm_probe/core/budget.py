"""What reading a foreign file may take: bytes and seconds, held whatever the file claims.

A reader calls `spend` before it allocates what a file asks for, and `tick` where a small file could make it
go round for ever. Neither does anything outside of `reading`, where the data are the program's own.
"""

import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

from lstm_probe.core.errors import InputError
from lstm_probe.core.files import human

MOST_BYTES = 1_000_000_000
#: Seconds of processor time for each `MOST_BYTES` allowed, and how many bytes that the file really has get one more.
SECONDS, BYTES_A_SECOND = 5.0, 20_000_000


@dataclass
class Budget:
    """The budget of one file.

    Attributes:
        label: what messages call the file: the key and its value.
        most: bytes that reading it may take in memory.
        seconds: processor time that reading it may take: more for a file that really is large.
        spent: bytes so far.
    """

    label: str
    most: int
    seconds: float
    spent: int = 0
    began: float = field(default_factory=time.thread_time)

    @property
    def left(self) -> int:
        """Return how many bytes may still be spent."""
        return max(self.most - self.spent, 0)

    def too_large(self, what: str, size: float) -> InputError:
        """Return the error for something that does not fit."""
        what = what.removeprefix(f"{self.label}: ")
        left = f"{human(self.left)} are left of max_bytes={self.most}, which may be raised"
        return InputError(f"{self.label}: {what} takes {human(min(size, 10**18))}; {left}")

    def too_long(self, seconds: float) -> InputError:
        """Return the error for a file that does not come to an end."""
        return InputError(f"{self.label}: is damaged, or made to be slow: not read within {seconds:.0f} s")


_most: ContextVar[int] = ContextVar("most", default=MOST_BYTES)
_current: ContextVar[Budget | None] = ContextVar("current", default=None)


@contextmanager
def at_most(max_bytes: int | None) -> Iterator[None]:
    """Let every file that is read inside have so many bytes; as many as around it where this is None."""
    token = _most.set(_most.get() if max_bytes is None else max_bytes)
    try:
        yield
    finally:
        _most.reset(token)


@contextmanager
def reading(label: str, size: int) -> Iterator[Budget]:
    """Give what is read inside a budget of its own.

    Args:
        label: what messages call the file.
        size: of the file on the disk.
    """
    most = _most.get()
    budget = Budget(label, most, SECONDS * max(most / MOST_BYTES, 1) + size / BYTES_A_SECOND)
    token = _current.set(budget)
    try:
        yield budget
    finally:
        _current.reset(token)


def current() -> Budget | None:
    """Return the budget of the file that is being read."""
    return _current.get()


def spend(size: float, what: str) -> None:
    """Take so many bytes off the budget, before they are allocated; an InputError where it has not so many."""
    budget = _current.get()
    if budget is None:
        return
    if size > budget.left:
        raise budget.too_large(what, size)
    budget.spent += int(size)
    tick()


def tick() -> None:
    """Raise an InputError where the time is over."""
    budget = _current.get()
    if budget is not None and time.thread_time() - budget.began > budget.seconds:
        raise budget.too_long(budget.seconds)


def size_of_regular(label: str, path: Path) -> int:
    """Return the size of a file; an InputError for what is none or would never end: a folder, a pipe, a device."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{label}: there is no such file.") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{label}: cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"{label}: is a folder; must be a file.")
    if not stat.S_ISREG(status.st_mode):
        raise InputError(f"{label}: is a pipe or a device; must be a file on the disk.")
    return status.st_size
