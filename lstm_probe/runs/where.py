"""Which runs are meant by `key=value`: what their configurations and their run.json say."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from lstm_probe.core.errors import InputError, nearest
from lstm_probe.core.fields import text
from lstm_probe.core.shown import listed
from lstm_probe.runs.run import Run
from lstm_probe.runs.settings import COMMANDS, complete
from lstm_probe.runs.store import ADDED

#: What a run.json says that no filter asks for.
_NO_FILTER = ("files", "digest", "checks", "seconds", "warnings", "summary", "scores", "versions", "schema", "status")


class _Missing:
    """Stands for a key that a run does not have."""


_MISSING = _Missing()


def keys_told(run: Run) -> list[str]:
    """Return the keys that filters may ask a run for: those of its run.json, then those of its configuration."""
    return list(dict.fromkeys([*(key for key in run.info if key not in _NO_FILTER), *run.flat, *usual(run)]))


def _told(run: Run, key: str) -> Any:
    """Return what a run says of a key; `_MISSING` where it says nothing."""
    if key == "learned":  # every target
        return bool(run.info["learned"]) and all(run.info["learned"].values())
    if key == "cell":  # runs of LSTMs do not say it
        return run.info.get(key, "lstm")
    if key in run.info and key not in _NO_FILTER:
        return run.info[key]
    return run.flat[key] if key in run.flat else usual(run).get(key, _MISSING)


def usual(run: Run) -> dict[str, Any]:
    """Return the settings that a configuration does not have where they are as before there were any, by key."""
    return dict(_usual(run.trained))


@cache
def _usual(trained: bool) -> Mapping[str, Any]:
    """Return these of a network that was trained here, or of another."""
    measured = {f"{command}.{key}": value for command in COMMANDS for key, value in complete(command, {}).items()
                if key != "analyses"}  # fmt: skip
    return {**measured, **({key: value for key, value in ADDED.items() if key != "cell"} if trained else {})}


def wanted(value: Any) -> list[Any]:
    """Return the values of which a run has to have one."""
    many = isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)
    return list(value) if many else [value]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, str):  # though it looks like a number, as the name of a column may
        return one == text(other) or (one.startswith("/") and one == str(Path(text(other)).expanduser().resolve()))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _fits(key: str, told: Any, values: Sequence[Any]) -> bool:
    if isinstance(told, list) and key != "measured":
        return len(told) == len(values) and all(map(_same, told, values))
    return any(_same(one, value) for one in (told if isinstance(told, list) else [told]) for value in values)


def _is_at(run: Run, values: Sequence[Any]) -> bool:
    """Return whether one of these is a run's folder."""
    return any("/" in str(value) and Path(str(value)).resolve() == run.path.resolve() for value in values)


def chosen_runs(runs: Sequence[Run], where: Mapping[str, Any]) -> tuple[list[Run], list[str]]:
    """Return the runs that are as asked for, and one line for each that could not be looked at.

    Args:
        runs: opened ones.
        where: by key, a value or several of which a run has one. A key is one of run.json (task, units, seed, solved,
            measured, run, which may be its folder, and learned, which is of all targets), or a dotted one of the
            configuration (lr, task.bits). A setting that is itself a list is compared as a whole.

    Raises:
        InputError: a key that no run has.
    """
    left, damaged = list(runs), dict[str, None]()
    # What run.json says costs nothing to look at, and leaves fewer configurations to read.
    for key in sorted(where, key=lambda key: not any(key in run.info for run in runs[:1])):
        values, kept, read, known = wanted(where[key]), [], False, False
        for run in left:
            try:
                told = _told(run, key)
            except InputError as error:
                damaged |= dict.fromkeys(error.problems)
                continue
            read, known = True, known or told is not _MISSING
            if _fits(key, told, values) or (key == "run" and _is_at(run, values)):
                kept.append(run)
        if read and not known:
            _check_known(key, runs)
        left = kept
    return left, list(damaged)


def _check_known(key: str, runs: Sequence[Run]) -> None:
    """Raise an InputError unless one of these runs has a key."""
    keys: dict[str, None] = {}
    for run in runs:
        try:
            keys |= dict.fromkeys(keys_told(run))
        except InputError:
            continue
        if key in keys:
            return
    hint = nearest(key, list(keys)) or f" There are {listed(sorted(keys), 80)}."
    raise InputError(f"{key}: no run has such a key.{hint}")


def asked_words(where: Mapping[str, Any]) -> str:
    """Return what is asked for, in words.

    >>> asked_words({"task": "parity", "units": [8, 16]})
    'task=parity and units=[8,16]'
    """
    return " and ".join(f"{key}={_written(value)}" for key, value in where.items())


def none_left(runs: Sequence[Run], where: Mapping[str, Any]) -> str:
    """Return why none of some runs is left: what is asked for, and what there is instead."""
    told = []
    for key, value in where.items():
        there: dict[str, Any] = {}
        for run in runs:
            with suppress(InputError):
                if (found := _told(run, key)) is not _MISSING:
                    there[text(found)] = found
        ordered = sorted(there, key=lambda word: _place(there[word], word))
        told.append(f"{key}={_written(value)} (there {'is' if len(there) == 1 else 'are'} {listed(ordered, 20)})")
    return f"none of {len(runs)} runs has {' and '.join(told)}"


def _place(value: Any, word: str) -> tuple[bool, float, str]:
    """Return where a value stands among others of its key: numbers by size, then all else as it is written."""
    other = not isinstance(value, int | float | None)
    return other, 0 if other else value or 0, word


def _written(value: Any) -> str:
    values = wanted(value)
    return text(values[0] if len(values) == 1 else values)
