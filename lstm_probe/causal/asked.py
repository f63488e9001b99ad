"""What is asked of an intervention, looked at before anything runs: a batch, numbers, and lists of units."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from lstm_probe.core.errors import InputError
from lstm_probe.core.signal import Batch


def check_batch(batch: Any, name: str = "batch") -> None:
    """Raise an InputError unless this is a Batch of at least one sequence."""
    if not isinstance(batch, Batch):
        raise InputError(f"{name}: a {type(batch).__name__}; must be a Batch, as task.sample(512, seed=0) gives one")
    if not len(batch):
        raise InputError(f"{name}: there are no sequences")


def is_whole(value: Any) -> bool:
    """Return whether this is a whole number, and no yes or no."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def check_numbers(bootstrap: Any, min_drop: Any = 0.0) -> None:
    """Raise an InputError unless there may be so many resamples, and such a share of a score may count."""
    problems = []
    if not is_whole(bootstrap) or bootstrap < 0:
        problems.append(f"bootstrap={bootstrap}: must be a whole number from 0")
    number = isinstance(min_drop, float | np.floating) or is_whole(min_drop)
    if not number or not 0 <= min_drop <= 1:  # nor NaN
        problems.append(f"min_drop={min_drop}: must be a number from 0 to 1")
    if problems:
        raise InputError(*problems)


def listed(values: Any, name: str, of: str) -> list[Any]:
    """Return what was given as a list, arrays as lists of numbers.

    Args:
        values: what was given.
        name: what it is called in an error.
        of: what it has to be a list of.

    Raises:
        InputError: it is no list.
    """
    found = values.tolist() if hasattr(values, "tolist") and not isinstance(values, np.generic) else values
    if isinstance(found, str | bytes) or not isinstance(found, Iterable):
        raise InputError(f"{name}: {values}; must be a list of {of}")
    return list(found)


def unit_named(unit: Any) -> tuple[Any, ...]:
    """Return a unit's parts, numbers as whole numbers; those of what is no unit as they are."""
    parts = unit if isinstance(unit, tuple) else (unit,)
    return tuple(int(part) if is_whole(part) or _is_scalar(part) else part for part in parts)


def _is_scalar(part: Any) -> bool:
    """Return whether this is a tensor of one whole number."""
    return getattr(part, "shape", None) == () and hasattr(part, "dtype") and is_whole(part.item())


def within(window: Any, time: int) -> bool:
    """Return whether a window is (first step, step after the last) of sequences of so many steps."""
    if not isinstance(window, Sequence) or len(window) != 2 or not all(map(is_whole, window)):
        return False
    return bool(0 <= window[0] < window[1] <= time)
