"""Events and conditions, for those who think in trials: at which steps something happens, and in which condition."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from lstm_probe.core.errors import InputError, nearest
from lstm_probe.core.given import Signals, by_name, check_kind, check_values
from lstm_probe.core.groups import group_codes
from lstm_probe.core.kinds import Signal
from lstm_probe.core.vocabulary import EDGES, NUMBERS
from lstm_probe.probing.data.given import as_recorded
from lstm_probe.probing.data.split import Split
from lstm_probe.recorder.data import Recording

#: What the condition is called where there are none.
EVERY = "all"
_INPUT = "input."


@dataclass(frozen=True, eq=False)
class Conditions:
    """The condition of each real step.

    Attributes:
        by: what they are called.
        names: of the conditions.
        codes: each step's, by number; −1 where it has none.
    """

    by: str
    names: tuple[str, ...]
    codes: Int[np.ndarray, "sequence time"]


def find_conditions(by: Any, signals: Mapping[str, Any], mask: Bool[np.ndarray, "sequence time"]) -> Conditions:
    """Return the conditions of all real steps, one named `EVERY` where `by` is None.

    Args:
        by: the name of a signal that has classes, a `Signal`, or labels, numbers or text: one for each sequence, or
            for each step; NaN or None where there is none.
        signals: by name, as `given.by_name` returns them.
        mask: True where a step is real.

    Raises:
        InputError: an unknown name, labels of another shape, or numbers that are no classes.
    """
    if by is None:
        return Conditions(EVERY, (EVERY,), np.where(mask, 0, -1))
    name, given = (by, _named("by", by, signals)) if isinstance(by, str) else ("by", by)
    values, known = _values(name, given, mask)
    levels, key = np.unique(values[known]), f"by={by}" if isinstance(by, str) else "by"
    # Beside missing ones NumPy has no whole numbers.
    whole = values.dtype.kind == "f" and bool((levels % 1 == 0).all()) and not isinstance(given, Signal)
    kind, _ = check_kind(name, given, np.dtype(np.int64) if whole else values.dtype, levels)
    if not len(levels):
        raise InputError(f"{key}: no step has a label")
    if kind in NUMBERS and len(levels) > 1:
        raise InputError(f"{key}: {kind}, with {len(levels)} values; conditions are classes: text, or up to ten "
                         "whole numbers")  # fmt: skip
    codes = np.where(known, np.searchsorted(levels, np.where(known, values, levels[0])), -1)
    called = name if isinstance(by, str) else "label"
    return Conditions(called, tuple(str(_plain(level)) for level in levels), codes)


def each_condition(
    rec: Recording, signals: Signals, by: Any, groups: Any, split: Split | None,
    measure: Callable[..., pd.DataFrame],
) -> pd.DataFrame:  # fmt: skip
    """Return what `measure` makes of the sequences of each condition by themselves, with a column `condition`.

    Args:
        rec: what was recorded.
        signals: as for `probe_units`.
        by: as for `find_conditions`; the same at all steps of a sequence.
        groups: as for `probe_units`.
        split: which sequences are held out together; None where `measure` makes one of its own.
        measure: takes a recording, signals by name, and by keyword groups and a split, of some sequences.
    """
    known, mask = named_signals(signals, rec), rec.mask.cpu().numpy()
    conditions = find_conditions(by, known, mask)
    first = np.where(mask, conditions.codes, len(conditions.names)).min(1)
    if (mask & (conditions.codes != first[:, None])).any():
        torn = int(np.argmax((mask & (conditions.codes != first[:, None])).any(1)))
        raise InputError(f"by: changes within sequence {torn}; a condition must be the same at all steps of a sequence")
    if groups is not None:
        group_codes(groups, len(mask))
        groups = groups.detach().cpu().numpy() if isinstance(groups, Tensor) else np.asarray(groups)
    tables = []
    for k, name in enumerate(conditions.names):
        rows = np.flatnonzero(first == k)
        own = {key: _some(given, rows) for key, given in known.items()}
        folds = None if split is None else Split(np.unique(split.fold[rows], return_inverse=True)[1])
        part = replace(rec.rows(torch.as_tensor(rows)), padding="right")
        try:
            table = measure(part, own, groups=None if groups is None else groups[rows], split=folds)
        except InputError as error:
            raise InputError(*(f"by={name} ({len(rows)} sequences): {line}" for line in error.problems)) from None
        tables.append(table.assign(condition=name))
    return pd.concat(tables, ignore_index=True)


def _some(given: Any, rows: Int[np.ndarray, " some"]) -> Any:
    """Return a signal of some sequences."""
    if isinstance(given, Signal):
        return replace(given, values=given.values[torch.as_tensor(rows)])
    if isinstance(given, list | tuple):
        return [given[k] for k in rows.tolist()]
    return given[torch.as_tensor(rows)] if isinstance(given, Tensor) else given[rows]


def find_events(
    event: Any, signals: Mapping[str, Any], rec: Recording, edge: str | None = None
) -> tuple[str, Bool[np.ndarray, "sequence time"]]:
    """Return what the events are called, and True at each real step at which there is one.

    Args:
        event: see `aligned_averages`.
        signals: by name, as `given.by_name` returns them.
        rec: what was recorded.
        edge: one of `EDGES`; None for the onset of a binary signal, and for the change of any other.

    Raises:
        InputError: an unknown name, no event at all, or one at every step.
    """
    mask = rec.mask.cpu().numpy()
    if edge is not None and edge not in EDGES:
        raise InputError(f"edge={edge}: must be one of {' '.join(EDGES)}.{nearest(edge, EDGES)}")
    if isinstance(event, str) and event.isdigit():
        event = int(event)
    if isinstance(event, int | np.integer) and not isinstance(event, bool):
        name, at = f"step {event}", mask & (np.arange(mask.shape[1]) == event)
        if not at.any():
            raise InputError(f"event={event}: no sequence has such a step; the longest has {mask.sum(1).max()}, counted"
                             " from 0")  # fmt: skip
        return name, at
    if isinstance(event, str) and event.startswith(_INPUT) and event not in signals:
        name, at = event, mask & (_input(event, rec) != 0)
        never = "is 0 at every step"
    elif isinstance(event, str):
        name, at = event, mask & _edges(event, _named("event", event, signals, _INPUT + "0"), mask, edge)
        never = f"has no {edge or 'onset or change'} in any sequence"
    else:
        name, (values, known) = "events", _values("event", event, mask)
        if values.dtype.kind not in "biuf" or not np.isin(values[known], (0, 1)).all():
            raise InputError("event: an array of events must be true or false, one for each step")
        at, never = known & (values == 1), "has none"
    key = f"event={name}" if isinstance(event, str) else "event"
    if not at.any():
        raise InputError(f"{key}: {never}: there is nothing to align to")
    if np.array_equal(at, mask):
        raise InputError(f"{key}: there is one at every step, and so nothing to align to")
    return name, at


def named_signals(signals: Signals, rec: Recording) -> dict[str, Any]:
    """Return signals by name, as the recording's steps stand."""
    return by_name({} if signals is None else as_recorded(signals, rec), rec.mask.cpu().numpy())


def _named(key: str, name: str, signals: Mapping[str, Any], *more: str) -> Any:
    if name not in signals:
        known = [*map(str, signals), *more]
        raise InputError(f"{key}={name}: no such signal.{nearest(name, known)} There are {', '.join(known) or 'none'}.")
    return signals[name]


def _values(name: str, given: Any, mask: Bool[np.ndarray, "sequence time"]) -> tuple[np.ndarray, np.ndarray]:
    try:
        return check_values(name, given, mask, everywhere=False)
    except InputError as error:
        own = name in ("by", "event")
        raise InputError(*(line.replace(f"signals[{name!r}]", name) if own else line
                           for line in error.problems)) from None  # fmt: skip


def _input(event: str, rec: Recording) -> np.ndarray:
    number, width = event.removeprefix(_INPUT), rec.inputs.shape[-1]
    if not number.isdigit() or int(number) >= width:
        raise InputError(f"event={event}: there are the inputs {_INPUT}0 to {_INPUT}{width - 1}")
    values: np.ndarray = rec.inputs[..., int(number)].detach().cpu().float().numpy()
    return values


def _edges(
    name: str, given: Any, mask: Bool[np.ndarray, "sequence time"], edge: str | None
) -> Bool[np.ndarray, "sequence time"]:
    """Return where a signal takes another value; both it and the one before have to be known, so never at step 0."""
    values, known = _values(name, given, mask)
    levels = np.unique(values[known])
    kind, _ = check_kind(name, given, values.dtype, levels)
    if edge in ("onset", "offset") and kind != "binary":
        raise InputError(f"edge={edge}: event={name} is {kind}; an {edge} is one of a binary signal, so it must be "
                         "change")  # fmt: skip
    before, now = values[:, :-1], values[:, 1:]
    changed = (before != now) & known[:, :-1] & known[:, 1:]
    if kind == "binary" and edge != "change" and len(levels) == 2:
        changed &= now == (levels[0] if edge == "offset" else levels[1])
    result: np.ndarray = np.pad(changed, ((0, 0), (1, 0)))
    return result


def _plain(level: Any) -> Any:
    """Return a label as one writes it: 1 for 1.0."""
    value = level.item()
    return int(value) if isinstance(value, float) and value.is_integer() else value
