"""What may be wrong with the arguments of a probe, apart from its signals."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from lstm_probe.core.errors import InputError
from lstm_probe.probing.data.split import Split, default_split
from lstm_probe.recorder.data import Recording

#: The settings that are whole numbers, and the least of each; the others are shares.
WHOLE = {"permutations": 1, "bootstrap": 1, "untrained": 1, "window": 0, "rotations": 1, "most": 1, "levels": 1}


def setting_problems(settings: Mapping[str, float]) -> list[str]:
    """Return one line for each number that is out of its range."""
    problems = []
    for key, value in settings.items():
        least = WHOLE.get(key)
        number = isinstance(value, int | float | np.number if least is None else int | np.integer)
        low, high = (0, 1) if least is None else (least, np.inf)
        if isinstance(value, bool) or not number or not low <= value <= high:
            legal = "number from 0 to 1" if least is None else f"whole number from {least}"
            problems.append(f"{key}={value}: must be a {legal}")
    return problems


def refuse_groups(groups: Any) -> None:
    """Raise an InputError where a stream is given groups."""
    if groups is not None:
        raise InputError("groups: a stream of recordings takes none; record fewer sequences in memory to use them")


def unique_lags(lags: Sequence[int]) -> tuple[int, ...]:
    """Return the lags, each once."""
    return tuple(int(lag) for lag in dict.fromkeys(lags))


def choose_variables(rec: Recording, variables: Sequence[str] | None) -> tuple[tuple[str, ...], list[str]]:
    """Return the variables to probe, and one line for what is wrong with them."""
    recorded = next(iter(rec)).variables
    chosen = rec.config.cell.all_meant(recorded if variables is None else variables)
    unknown = [v for v in chosen if v not in recorded]
    if not unknown and chosen:
        return chosen, []
    told = " ".join(unknown) or "none"
    return chosen, [f"variables={told}: must be among those recorded: {' '.join(recorded)}"]


def check_split(
    split: Split | None,
    lengths: Int[np.ndarray, " sequence"],
    lags: Sequence[Any],
    folds: Any,
    seed: int,
    groups: Int[np.ndarray, " sequence"] | None = None,
    series: bool = False,
) -> tuple[Split | None, list[str]]:
    """Return the split, made if there is none, and one line for each thing wrong with it or with the lags.

    `groups` and `series` are as for `split.default_split`; no fold may separate a group.
    """
    problems = []
    if not isinstance(folds, int | np.integer) or isinstance(folds, bool):
        problems.append(f"folds={folds}: must be a whole number from 2")
    elif split is None:
        try:
            split = default_split(len(lengths), int(folds), seed, groups, series)
        except InputError as error:
            problems += error.problems
    if split is not None and len(split) != len(lengths):
        problems.append(f"split: made for {len(split)} sequences; the recording has {len(lengths)}")
        split = None
    elif split is not None and groups is not None:
        torn = sum(len(np.unique(split.fold[groups == k])) > 1 for k in range(groups.max() + 1))
        if torn:
            problems.append(f"split: separates {torn} of {groups.max() + 1} groups; a group is held out as a whole")
    return split, problems + lag_problems(tuple(dict.fromkeys(lags)), lengths, split)


def lag_problems(lags: Sequence[Any], lengths: Int[np.ndarray, " sequence"], split: Split | None) -> list[str]:
    """Return one line for each lag that is no whole number from 0, or leaves steps in only one fold."""
    problems = [] if lags else ["lags: there are none; at least one is needed, such as 0"]
    for lag in lags:
        if isinstance(lag, bool) or not isinstance(lag, int | np.integer) or lag < 0:
            problems.append(f"lags={lag}: must be a whole number from 0")
        elif split is not None and len(np.unique(split.fold[lengths > lag])) < 2:
            problems.append(
                f"lags={lag}: sequences longer than that must stand in at least two folds; "
                f"the longest has {lengths.max()} steps"
            )
    return problems
