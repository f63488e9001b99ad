"""One's own arrays as the parts of a Batch: inputs, targets and signals, padded and checked."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lstm_probe.core.containers import as_numbers, plain
from lstm_probe.core.errors import InputError, nearest
from lstm_probe.core.given import Signals, beside_missing, by_name, check_kind, check_values, labels_type, ragged
from lstm_probe.core.kinds import MOST_LABELS, Signal
from lstm_probe.core.target import Loss, Target
from lstm_probe.core.vocabulary import NUMBERS

#: Up to here a number of 64 bits holds every whole one.
EXACT = 2.0**53
LARGEST = float(np.finfo(np.float32).max)
#: How much of a signal's range may be lost in 32 bits.
ROUNDED = 1e-5

Mask = Bool[np.ndarray, "sequence time"]


def padded_inputs(inputs: Any, lengths: Any) -> tuple[Float[Tensor, "sequence time feature"], Int[Tensor, " sequence"]]:
    """Return inputs with zeros behind each sequence's end, and the lengths.

    Raises:
        InputError: shapes that do not go together, lengths out of their range, a real step that is no number.
    """
    inputs = plain("inputs", inputs)
    if not isinstance(inputs, Tensor | list | tuple) and ragged(own := np.asarray(inputs)):
        inputs = list(own)
    rows = list(inputs) if isinstance(inputs, list | tuple) else None
    if rows is not None and not rows:
        raise InputError("inputs: there are no sequences")
    if rows is None:
        values = _numbers("inputs", inputs)
        values = values.unsqueeze(-1) if values.dim() == 2 else values
        if values.dim() != 3 or not values.numel():
            raise InputError(f"inputs: shape {tuple(values.shape)}; must be (sequence, time, feature), or (sequence, "
                             "time) of one feature, or a list of sequences, with at least one of each")  # fmt: skip
        real = torch.full((len(values),), values.shape[1])
    else:
        parts = [_sequence(k, row) for k, row in enumerate(rows)]
        if len(widths := {part.shape[1] for part in parts}) > 1:
            raise InputError(
                f"inputs: sequences of {', '.join(map(str, sorted(widths)))} features; all must have as many"
            )
        values = torch.nn.utils.rnn.pad_sequence(parts, batch_first=True)
        real = torch.tensor([len(part) for part in parts])
    if lengths is not None:
        real = _lengths(lengths, real)
    mask = torch.arange(values.shape[1]) < real.unsqueeze(1)
    bad = (mask & ~values.isfinite().all(-1)).nonzero()
    if len(bad):
        sequence, step = bad[0].tolist()
        raise InputError(f"inputs: not a finite number at sequence {sequence}, step {step}; real steps need one")
    return torch.where(mask.unsqueeze(-1), values, 0.0), real


def _sequence(number: int, row: Any) -> Float[Tensor, "time feature"]:
    values = _numbers(f"inputs: sequence {number}", row)
    values = values.unsqueeze(-1) if values.dim() == 1 else values
    if values.dim() != 2 or not values.numel():
        raise InputError(f"inputs: sequence {number} has shape {tuple(values.shape)}; must be (time, feature), or "
                         "(time,) of one feature, with at least one of each")  # fmt: skip
    return values


def _numbers(key: str, given: Any) -> Tensor:
    """Return real numbers as a tensor on the CPU: float32, or the type of a float tensor."""
    given = plain(key, given)
    if isinstance(given, Tensor) and given.is_floating_point():
        return given
    with np.errstate(over="ignore"):  # what is too large for 32 bits is infinite, and refused as that
        return torch.from_numpy(np.array(as_numbers(key, given), dtype=np.float32))


def _lengths(given: Any, most: Int[Tensor, " sequence"]) -> Int[Tensor, " sequence"]:
    array = np.asarray(plain("lengths", given))
    if array.shape != (len(most),) or array.dtype.kind not in "iu":
        raise InputError(f"lengths: must be {len(most)} whole numbers, one for each sequence")
    if len(bad := np.flatnonzero((array < 1) | (array > most.numpy()))):
        k = int(bad[0])
        raise InputError(f"lengths: {array[k]} for sequence {k}; must be from 1 to {int(most[k])}, its number of steps")
    return torch.from_numpy(array.astype(np.int64))


def read_signals(signals: Signals, targets: Collection[str], mask: Mask, problems: list[str]) -> dict[str, Signal]:
    """Return signals by name, NaN where a step has no label; what is wrong with any goes to `problems`.

    Args:
        signals: as `Batch.make` takes them.
        targets: names of the targets.
        mask: True where a step is real.
        problems: lines are added.
    """
    found: dict[str, Signal] = {}
    try:
        given = by_name({} if signals is None else signals, mask)
    except InputError as error:
        problems += error.problems
        return found
    for name, one in given.items():
        try:
            made = _signal(name, one, mask)
            plain = name in targets and not isinstance(one, Signal)
            found[name] = replace(made, role="target") if plain else made
        except InputError as error:
            problems += error.problems
    return found


def _signal(name: str, given: Any, mask: Mask) -> Signal:
    values, known = check_values(name, given, mask, everywhere=False)
    levels = np.unique(values[known])
    gaps = not np.array_equal(known, mask)
    kind, role = check_kind(name, given, labels_type(values.dtype, beside_missing(values, known, mask), levels), levels)
    numbers: Any = np.searchsorted(levels, np.where(known, values, levels[:1])) if values.dtype.kind in "US" else values
    numbers = np.where(known, numbers, 0)
    if gaps or kind in NUMBERS or numbers.dtype.kind == "f":
        own = numbers[known].astype(np.float64)
        if kind not in NUMBERS and own.size and np.abs(own).max() > EXACT:
            raise InputError(f"signals[{name!r}]: labels beyond 2^53 beside steps without one run into each other; "
                             "give them as text")  # fmt: skip
        numbers = np.where(known, numbers, np.nan if gaps else 0).astype(_width(name, own, kind in NUMBERS))
    else:
        numbers = numbers.astype(np.int64)
    meaning = given.meaning if isinstance(given, Signal) else ""
    return Signal(name, torch.from_numpy(numbers), kind, role, meaning)  # type: ignore[arg-type]


def _width(name: str, values: Float[np.ndarray, " known"], is_number: bool) -> type[np.floating[Any]]:
    """Return the type of a signal's values: 32 bits, unless those would change the differences between them."""
    if not values.size:
        return np.float32
    if (most := np.abs(values).max()) > LARGEST:
        raise InputError(f"signals[{name!r}]: {most:.6g} is beyond 32-bit numbers (±{LARGEST:.2g})")
    apart = np.abs(values.astype(np.float32) - values).max()
    return np.float32 if apart <= (ROUNDED * np.ptp(values) if is_number else 0) else np.float64


@dataclass(frozen=True)
class _Given:
    """A target's values, (sequence, time) or (sequence, time, size), the steps that count, and if any are missing."""

    values: np.ndarray
    counts: Mask
    missing: bool


def read_targets(
    targets: Signals, specs: Sequence[Target], mask: Mask, problems: list[str]
) -> tuple[dict[str, Tensor], tuple[Target, ...], dict[str, Bool[Tensor, "sequence time"]]]:
    """Return targets by name, what each is, and at which steps it counts, where that is not at every real one.

    Args:
        targets: by name, as `Batch.make` takes them.
        specs: of those whose loss is not inferred.
        mask: True where a step is real.
        problems: lines are added.
    """
    said = {spec.name: spec for spec in specs}
    try:
        targets = by_name({} if targets is None else targets, mask, "targets")
    except InputError as error:
        problems += error.problems
        targets = {}
    problems += [f"target_specs: {name}: there is no such target.{nearest(name, list(targets))}"
                 for name in said if name not in targets]  # fmt: skip
    found: dict[str, Tensor] = {}
    made: list[Target] = []
    scored: dict[str, Tensor] = {}
    for name, given in targets.items():
        try:
            own = _laid_out(name, given, mask)
            spec = said.get(name) or _inferred(name, own)
            found[name] = _values(spec, own)
            made.append(spec)
        except InputError as error:
            problems += error.problems
            continue
        if not np.array_equal(own.counts, mask):
            scored[name] = torch.from_numpy(own.counts)
    return found, tuple(made), scored


def _laid_out(name: str, given: Any, mask: Mask) -> _Given:
    key = f"targets[{name!r}]"
    given = plain(key, given)
    given = _padded(given, mask) if isinstance(given, list | tuple) and given and np.ndim(given[0]) == 2 else given
    array = given.detach().cpu().numpy() if isinstance(given, Tensor) else None
    if array is None and not ragged(given):
        array = np.asarray(given)
    if array is None or array.ndim < 3:
        one_each = array is not None and array.shape == mask.shape[:1]
        values, known = check_values(name, given, mask, everywhere=False, what="targets")
        last = np.arange(mask.shape[1]) == mask.sum(1, keepdims=True) - 1
        counts, missing = known & (last if one_each else True), beside_missing(values, known, mask)
    elif array.ndim == 3 and array.shape[:2] == mask.shape and array.shape[2] and array.dtype.kind in "biuf":
        values, counts, missing = array, mask & ~np.isnan(array.astype(float)).any(-1), False
    else:
        n, time = mask.shape
        raise InputError(f"{key}: shape {array.shape}; there are {n} sequences of {time} steps, so it must be numbers "
                         f"of ({n}, {time}), ({n}, {time}, size) or ({n},)")  # fmt: skip
    if not counts.any():
        raise InputError(f"{key}: no real step has a value")
    return _Given(values, counts, missing)


def _padded(rows: Sequence[Any], mask: Mask) -> Any:
    """Return sequences of (time, size), each as long as it is, as one array; what does not fit stays as it is."""
    arrays = [row.detach().cpu().numpy() if isinstance(row, Tensor) else np.asarray(row) for row in rows]
    if len(rows) != len(mask) or any(a.ndim != 2 or len(a) != n for a, n in zip(arrays, mask.sum(1))):
        return rows
    if len({array.shape[1] for array in arrays}) > 1:
        return rows
    out = np.full((*mask.shape, arrays[0].shape[1]), np.nan)
    out[mask] = np.concatenate(arrays)
    return out


def _inferred(name: str, own: _Given) -> Target:
    values = own.values[own.counts]
    levels = np.unique(values)
    yes_no = values.dtype.kind in "biuf" and set(levels.tolist()) <= {0, 1}
    if own.values.ndim == 3:
        size = own.values.shape[2]
        if yes_no and size > 1:
            raise InputError(f"targets[{name!r}]: {size} outputs that are 0 or 1; say by target_specs= what they are: "
                             f'lp.Target({name!r}, "multilabel", size={size}) or lp.Target({name!r}, "regression", '
                             f"size={size})")  # fmt: skip
        return Target(name, size=size)
    if values.dtype.kind in "US":
        return Target(name, "class", size=max(2, len(levels)), classes=tuple(map(str, levels)))
    if yes_no and (len(levels) == 2 or values.dtype.kind == "b"):
        return Target(name, "binary")
    whole = labels_type(values.dtype, own.missing, levels).kind in "iu"
    if whole and 1 < len(levels) <= MOST_LABELS and levels[0] >= 0:
        return Target(name, "class", size=int(levels[-1]) + 1)
    return Target(name)


def _values(spec: Target, own: _Given) -> Tensor:
    """Return a target's values as its loss takes them: zeros where it does not count."""
    key, values = f"targets[{spec.name!r}]", own.values
    if spec.loss not in get_args(Loss):
        raise InputError(f"{key}: loss={spec.loss}: must be one of {' '.join(get_args(Loss))}")
    if spec.loss in ("regression", "multilabel"):
        whole = values[..., None] if values.ndim == 2 else values
        if whole.dtype.kind in "US" or whole.shape[2] != spec.size:
            raise InputError(f"{key}: {whole.shape[2]} value(s) a step, {whole.dtype}; loss={spec.loss} and "
                             f"size={spec.size} take {spec.size} number(s)")  # fmt: skip
        numbers = np.where(own.counts[..., None], whole, 0)
        if (most := np.abs(numbers).max()) > LARGEST:
            raise InputError(f"{key}: {most:.6g} is beyond 32-bit numbers (±{LARGEST:.2g})")
        return torch.from_numpy(numbers.astype(np.float32))
    if values.ndim == 3:
        raise InputError(f"{key}: shape {values.shape}; loss={spec.loss} takes class numbers of {own.counts.shape}")
    if values.dtype.kind in "US":
        names = np.array(spec.classes)
        if unknown := sorted({*values[own.counts].tolist()} - {*spec.classes}):
            raise InputError(f"{key}: {unknown[0]}: not one of its classes ({', '.join(spec.classes) or 'none'})")
        order = np.argsort(names)
        values = order[np.searchsorted(names[order], np.where(own.counts, values, names[0]))]
    most = 2 if spec.loss == "binary" else spec.size
    numbers = np.where(own.counts, values, 0).astype(float)
    if ((numbers % 1 != 0) | (numbers < 0) | (numbers >= most)).any():
        raise InputError(f"{key}: loss={spec.loss} takes whole numbers from 0 to {most - 1}")
    return torch.from_numpy(numbers.astype(np.int64))
