"""What every benchmark needs: time, memory, and the console that tables go to."""

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from rich.console import Console

console = Console(width=100)


def median_seconds(
    functions: Sequence[Callable[[], object]], repeats: int, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Return each function's median time; they take turns, so that a slow moment of the machine hits all alike.

    Args:
        functions: what is timed.
        repeats: rounds.
        clock: `time.process_time` counts what one process computes alone, whatever else the machine does.
    """
    seconds: list[list[float]] = [[] for _ in functions]
    for turn in range(repeats + 1):
        for k, function in enumerate(functions):
            gc.disable()
            started = clock()
            result = function()
            synchronize()
            elapsed = clock() - started
            gc.enable()
            del result
            if turn:  # the first is a warm-up
                seconds[k].append(elapsed)
    return [statistics.median(s) for s in seconds]


def synchronize() -> None:
    """Wait until the GPU, if there is one, is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def peak_megabytes() -> float:
    """Return the most memory that this process has had."""
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) / 1024
