"""What several parts of a page make of a run's tables, made once."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import pandas as pd

from lstm_probe.runs.run import Run

T = TypeVar("T")


def once(run: Run, name: str, tables: Sequence[pd.DataFrame], make: Callable[[], T]) -> T:
    """Return what `make` makes of these tables of a run; as long as they are the same ones, it is asked but once."""
    known: tuple[Sequence[pd.DataFrame], T] | None = vars(run).get(f"_{name}")
    if known is None or len(known[0]) != len(tables) or any(a is not b for a, b in zip(known[0], tables)):
        known = tables, make()
        vars(run)[f"_{name}"] = known
    return known[1]
