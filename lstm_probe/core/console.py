"""The terminal: results on standard output; messages, log and progress on standard error.

Log lines and progress bars go through the same console, so that they do not tear each other. Where there
is no terminal (`console.is_terminal`), or several jobs write at once, progress is to come as plain lines. Where a
process works for another one that shows what is done (`watch`), it is told that instead.
"""

import codecs
import io
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from rich.console import Console, ConsoleOptions, RenderHook
from rich.progress import Progress
from rich.segment import Segment

from lstm_probe.core.errors import clean

WIDTH = 100  # columns, where the terminal does not say
#: Seconds after which progress is shown, and between two lines of it where there is no terminal.
PATIENCE, LINES_APART = 2, 15

#: What is written instead of a character that a terminal's encoding does not have; of others, their escapes.
INSTEAD = {
    **dict.fromkeys("−–—─━", "-"), **dict.fromkeys("├└┌┐┘┤", "+"), **dict.fromkeys("→►▼", ">"),
    **dict.fromkeys("“”", '"'), **dict.fromkeys("‘’", "'"), "│": "|", "←": "<", "×": "x", "·": ".", "…": "...",
    "±": "+-", "≤": "<=", "≥": ">=", "²": "2", "³": "3", "√": "sqrt ", "Σ": "sum ",
}  # fmt: skip

log = logging.getLogger("lstm_probe")
Thing = TypeVar("Thing")


def _instead(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(INSTEAD.get(c) or c.encode("ascii", "backslashreplace").decode() for c in missing), error.end


def write_what_can_be(*streams: object) -> None:
    """Let streams write something else for characters that their encoding does not have, instead of failing."""
    codecs.register_error("lstm_probe.instead", _instead)
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="lstm_probe.instead")


class _Clean:
    """Something to print, without the control characters that a name from a file may have."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for segment in console.render(self._inner, options):
            yield segment if segment.control else Segment(clean(segment.text, None, keep="\n"), segment.style)


class _CleanAll(RenderHook):
    def process_renderables(self, renderables: list[Any]) -> list[Any]:
        """Go between everything that is printed and the terminal."""
        return [_Clean(one) for one in renderables]


def _console(stderr: bool) -> Console:
    made = Console(stderr=stderr, highlight=False, emoji=False)
    made.push_render_hook(_CleanAll())
    if not made.width or (not made.is_terminal and "COLUMNS" not in os.environ):
        made.width = WIDTH
    return made


#: Messages, log and progress.
console = _console(stderr=True)
#: Results.
out = _console(stderr=False)


class _ConsoleHandler(logging.Handler):
    """Writes log records through the console, warnings and worse with their level in front."""

    def emit(self, record: logging.LogRecord) -> None:
        level = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        say(level + prefix + record.getMessage())


@dataclass(frozen=True)
class Doing:
    """What is being done.

    Attributes:
        words: what it is, such as "training".
        done: so many steps of it, of `of`; both 0 where it has none.
        of: how many steps there are.
        score: the lowest of any target so far, 0 to 1.
    """

    words: str
    done: int = 0
    of: int = 0
    score: float | None = None


_watcher: Callable[[Doing], object] | None = None


def watch(watcher: Callable[[Doing], object]) -> None:
    """From now on tell a function what is being done, instead of showing it."""
    global _watcher
    _watcher = watcher


def watched() -> bool:
    """Return whether another process shows what this one does."""
    return _watcher is not None


def tell(doing: Doing) -> None:
    """Say what is being done to whoever watches."""
    if _watcher is not None:
        _watcher(doing)


@contextmanager
def status(words: str) -> Iterator[None]:
    """Show these words for as long as something is being done."""
    if watched():
        tell(Doing(words))
        yield
        return
    with console.status(words):
        yield


#: Put before every log line: which job of a sweep it comes from, where several run at once.
prefix = ""


def say(*lines: str) -> None:
    """Write lines to standard error as they are."""
    for line in lines:
        console.print(line, markup=False, soft_wrap=True)


def set_up_logging(job: str = "") -> None:
    """Send the package's log to the console, from level INFO on.

    Args:
        job: where several jobs run side by side, which one this is: it is put before every line, and the
            console counts as no terminal, because their progress bars would overwrite each other.
    """
    global prefix
    if job:
        prefix = f"[{job}] "
        console._force_terminal = False  # other modules already hold this console, so it cannot be replaced
    if not any(isinstance(handler, _ConsoleHandler) for handler in log.handlers):
        log.addHandler(_ConsoleHandler(logging.INFO))
    log.setLevel(logging.DEBUG)


def counted(things: Sequence[Thing], words: str) -> Iterator[Thing]:
    """Go through things, and show how many are done as soon as that takes more than two seconds.

    Args:
        things: gone through one after the other.
        words: what is done, such as "reading tables".
    """
    started = said = time.monotonic()
    with ExitStack() as stack:
        bar = None
        for done, thing in enumerate(things):
            now = time.monotonic()
            if now - started > PATIENCE and console.is_terminal:
                bar = bar or stack.enter_context(Progress(console=console, transient=True))
                task = bar.task_ids[0] if bar.task_ids else bar.add_task(words, total=len(things))
                bar.update(task, completed=done)
            elif now - said > (PATIENCE if said == started else LINES_APART):
                log.info("%s: %d of %d", words, done, len(things))
                said = now
            yield thing


class _Apart(logging.Filter):
    """Lets a logger's warnings through once each, and of the rest nothing."""

    def __init__(self, name: str, said: Iterable[str]) -> None:
        super().__init__()
        self._of, self._seen = name, set(said)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is to be shown."""
        if record.name != self._of and not record.name.startswith(f"{self._of}."):
            return True
        new = record.levelno >= logging.WARNING and record.getMessage() not in self._seen
        self._seen.add(record.getMessage())
        return new


@contextmanager
def not_shown(name: str, said: Iterable[str] = ()) -> Iterator[None]:
    """Keep what a logger and those below it say off the terminal, but for warnings, each once; files get it all.

    Args:
        name: of the logger.
        said: warnings that were shown before.
    """
    handlers = [handler for handler in log.handlers if isinstance(handler, _ConsoleHandler)]
    apart = _Apart(name, said)
    for handler in handlers:
        handler.addFilter(apart)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(apart)


@contextmanager
def only_errors(name: str) -> Iterator[None]:
    """Keep what a logger says below the level of errors to itself."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
