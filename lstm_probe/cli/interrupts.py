"""Ctrl-C, which a library may swallow: an import that it cuts short can end in any other error."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_came = threading.Event()


@contextmanager
def noticed() -> Iterator[None]:
    """Remember in this context that Ctrl-C came, whatever becomes of its exception."""
    _came.clear()
    if threading.current_thread() is not threading.main_thread() or (
        signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        _came.set()
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def came() -> bool:
    """Return whether Ctrl-C came since `noticed` began."""
    return _came.is_set()
