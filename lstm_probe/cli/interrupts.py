"""Ctrl-C, SIGTERM and SIGHUP: each ends a command as an interruption, and takes the processes of a sweep along.

A library may swallow the KeyboardInterrupt: an import that it cuts short can end in any other error, or in none. So it
is raised again until the command has ended. And a worker of a sweep outlives a leader that is killed, unless it looks.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

#: What ends a command, as far as the system has it and whoever started us does not have it ignored (nohup).
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
PATIENCE = 6.0  # seconds in which a process puts its things away before it is killed
AGAIN = 2.0  # seconds after which whoever has not ended is interrupted again

_came: list[int] = []
_watching = threading.Event()
_ended = threading.Event()
_insisting = threading.Event()
_inside = False


def exit_code() -> int:
    """Return the exit code of what was interrupted: 128 and the signal's number, Ctrl-C's where none came."""
    return 128 + (_came[0] if _came else signal.SIGINT)


def hung_up() -> bool:
    """Return whether the terminal is gone."""
    return bool(_came) and signal.Signals(_came[0]).name == "SIGHUP"


@contextmanager
def noticed() -> Iterator[None]:
    """Make every such signal a KeyboardInterrupt in this context, and of an error that comes out of it then too."""
    _came.clear()
    _ended.clear()
    before = {}
    if threading.current_thread() is threading.main_thread():
        usual = (signal.default_int_handler, signal.SIG_DFL)
        before = {number: signal.getsignal(number) for number in SIGNALS if signal.getsignal(number) in usual}
    try:
        for number in before:
            signal.signal(number, _interrupt)
        yield
    except Exception as error:
        heed(error)
        raise
    finally:
        _ended.set()
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: FrameType | None) -> None:
    insisted = _came and number == signal.SIGINT and multiprocessing.parent_process() is None
    if _came and not insisted and not _insisting.is_set():
        return  # a terminal that closes sends several; only who presses Ctrl-C again cuts the putting away short
    _insisting.clear()
    _came.append(number)
    if len(_came) == 1:
        end_workers()
        threading.Thread(target=_insist, args=(number,), daemon=True).start()
    raise KeyboardInterrupt


def _insist(number: int) -> None:
    """Interrupt again and again until the command has ended: what was raised may have been swallowed."""
    while not _ended.wait(AGAIN):
        _insisting.set()
        os.kill(os.getpid(), number)


def heed(error: Exception | None = None) -> None:
    """Raise a KeyboardInterrupt if a signal came since `noticed` began; `error` is what came of it instead."""
    if _came:
        raise KeyboardInterrupt from error


def end_workers() -> None:
    """End the processes of a sweep: each is asked first, so that it leaves nothing half-written and no lock."""
    workers = multiprocessing.active_children()
    for worker in workers:
        if worker.pid is not None:
            with suppress(OSError):
                os.kill(worker.pid, signal.SIGTERM)
    until = time.monotonic() + PATIENCE
    for worker in workers:
        worker.join(max(0.0, until - time.monotonic()))
        if worker.is_alive():
            worker.kill()


@contextmanager
def as_worker() -> Iterator[None]:
    """Run a sweep's job in a process of its own, which ends when it is interrupted or its leader is gone.

    In any other process this does nothing, nor within another such context: there `noticed` is at work.
    """
    global _inside
    leader = multiprocessing.parent_process()
    if leader is None or leader.pid is None or _inside:
        yield
        return
    if not _watching.is_set():
        _watching.set()
        threading.Thread(target=_watch, args=(leader.pid,), daemon=True).start()
    _inside = True
    try:
        with noticed():
            yield
    except KeyboardInterrupt:
        # Else this process would go on with the next job.
        os._exit(exit_code())
    finally:
        _inside = False


def _watch(leader: int) -> None:
    """Interrupt this process when its leader is gone, and end it where that does not help."""
    while os.getppid() == leader:
        time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PATIENCE)
    os._exit(128 + signal.SIGTERM)
