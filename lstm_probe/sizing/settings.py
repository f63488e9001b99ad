"""The settings of a search for the smallest size: defaults, meaning, legal values.

Nothing here imports anything heavy, so that help and error messages can use it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from lstm_probe.core.fields import declare
from lstm_probe.network.settings import Recipe, TaskChoice
from lstm_probe.runs.settings import (
    RunSettings,
    max_bytes_field,
    outputs_field,
    test_sequences_field,
    threads_field,
)

#: Keys of `train` that a search has not, and why.
CHOSEN: Mapping[str, str] = {
    "units": "size finds the units itself; the most that it tries are given by largest=64.",
    "seed": "size takes the seeds of each size itself, from 0 on.",
    "seeds": "size chooses how many seeds of each size it trains: one seed cannot tell how often a size solves the "
    "task; the trainings in all are given by budget=25.",
}


@dataclass
class Search:
    """What is asked about the size of a network."""

    largest: int = declare(64, "the largest size that is tried", 1, 512)
    budget: int = declare(25, "at most this many trainings; runs that were there before do not count", 4, 10_000)
    solved: float | None = declare(
        None, "score of every target from which on a training counts as solved; null: as the task says, or, of your "
        "own data, what large networks reach less the margin", 0.01, 1.0)  # fmt: skip
    margin: float = declare(0.02, "what a score may lie below that of large networks, for your own data", 0.0, 0.5)


@dataclass
class SizeSettings(Recipe, Search, TaskChoice):
    """A search for the smallest size that solves a task; the task comes first."""

    test_sequences: int = test_sequences_field()
    threads: int = threads_field()
    max_bytes: int = max_bytes_field()
    outputs: str = outputs_field()


def combined_problems(settings: SizeSettings) -> list[str]:
    """Return what is wrong with settings that are legal one by one."""
    if settings.projection < settings.largest:
        return []
    return [f"projection={settings.projection}: must be below largest={settings.largest}; 0 means no projection."]


def settings_of_run(settings: SizeSettings, units: int, seed: int) -> RunSettings:
    """Return the settings of the run that `train` makes with these units and this seed, but measures nothing on."""
    own = {f.name for f in fields(Search)}
    shared: dict[str, Any] = {f.name: getattr(settings, f.name) for f in fields(settings) if f.name not in own}
    return RunSettings(units=units, seed=seed, measure="none", **shared)
