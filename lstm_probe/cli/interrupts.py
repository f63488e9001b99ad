"""Ctrl-C, which a library may swallow: an import that it cuts short can end in any other error."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_came = threading.Event()


@contextmanager
def noticed() -> Iterator[None]:
    """Remember in this context that Ctrl-C came; an error that comes out of it then is a KeyboardInterrupt."""
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
    except Exception as error:
        heed(error)
        raise
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def heed(error: Exception | None = None) -> None:
    """Raise a KeyboardInterrupt if Ctrl-C came since `noticed` began; `error` is what came of it instead."""
    if _came.is_set():
        raise KeyboardInterrupt from error
