"""The phases in which a run is made: the seconds of each, and what to say where the memory is not enough for one."""

import errno
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType

from lstm_probe.core.console import status

log = logging.getLogger(__name__)

#: What makes a phase take less memory.
LOWER = {
    "train": "batch, units or the length of the task's sequences",
    "test": "test_sequences or units",
    "probe": "probe.sequences, probe.variables or units",
    "ablate": "ablate.sequences or units",
    "dynamics": "dynamics.sequences or units",
}


class NotEnoughMemoryError(RuntimeError):
    """A phase needs more memory than there is."""


class Phases:
    """Seconds spent in each phase of a run, in order.

    Args:
        earlier: those of before; a phase that comes again is added to.
    """

    def __init__(self, earlier: Mapping[str, float] = MappingProxyType({})) -> None:
        self.seconds: dict[str, float] = dict(earlier)

    @contextmanager
    def __call__(self, name: str, words: str) -> Iterator[None]:
        """Count what happens in this context as a phase, and show the words meanwhile."""
        started = time.perf_counter()
        with enough_memory(name), status(words):
            yield
        self.add(name, time.perf_counter() - started)

    def add(self, name: str, seconds: float) -> None:
        """Count further seconds as those of a phase."""
        self.seconds[name] = round(self.seconds.get(name, 0.0) + seconds, 3)
        log.debug("%s: %.1f s", name, seconds)


@contextmanager
def enough_memory(phase: str) -> Iterator[None]:
    """Say what to lower where the memory is not enough for a phase.

    Raises:
        NotEnoughMemoryError: it is not.
    """
    try:
        yield
    except Exception as error:
        if not out_of_memory(error):
            raise
        what = f"; lower {LOWER[phase]}" if phase in LOWER else ""
        device = " of the GPU" if "CUDA" in str(error) else ""
        raise NotEnoughMemoryError(f"the memory{device} is not enough to {phase}{what}") from error


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error of Python's, NumPy's, Arrow's, PyTorch's or the system's says that no memory is left."""
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    # PyTorch has a class of its own for a GPU's, and none for the processor's.
    return isinstance(error, RuntimeError) and any(
        mark in str(error) for mark in ("can't allocate memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
    )
