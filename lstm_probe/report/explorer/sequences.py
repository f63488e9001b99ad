"""The example sequences of a run, as the page holds them: as many sequences and variables as there is room for."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lstm_probe.cells.declared import Cell, Variable
from lstm_probe.cells.lstm import LSTM
from lstm_probe.core.order import UnitKey
from lstm_probe.report.explorer.packing import pack, pack_rows
from lstm_probe.runs.examples import telling_order

#: In this order kinds of variables are kept where there is no room for all, after the memory.
KINDS = ("output", "memory", "state", "gate", "input")

_UNIT_BYTES, _SIGNAL_BYTES = 2 * 4 / 3, 4 * 4 / 3


def sequences_of(
    examples: Mapping[str, Tensor], units: Sequence[UnitKey], kinds: Mapping[str, str], *,
    lags: Int[np.ndarray, "unit signal"], room: int, left_out: Sequence[str] = (),
    cell: Cell = LSTM,
) -> dict[str, Any] | None:  # fmt: skip
    """Return what example sequences the page holds; None where none was recorded.

    Where there is no room for all: fewer sequences, those first in which most signals change; then fewer variables;
    then only the first steps of one.

    Args:
        examples: a run's examples.
        units: in the page's order.
        kinds: of each signal, in the page's order.
        lags: how many steps back each signal is taken where it is drawn over a unit, of units × signals.
        room: how many bytes there are for them, about.
        left_out: variables that are not of units, such as h behind a projection.
        cell: what the units are.

    Returns:
        sequences (their numbers and steps), of (how many were recorded), variables, cut (whether only the first steps
        are there), missing (the variables that had no room), signals (one after the other's steps, by signal, None
        where it was not recorded), values (by variable, see `pack_rows`; units × steps), over (see `_over`), and small
        (gates and the like, with their ranges where they have one).
    """
    parts = {(layer, direction) for layer, direction, _ in units}
    there = [v for v in kept(cell) if v not in left_out and all(f"layer{p}.{d}.{v}" in examples for p, d in parts)]
    if not there or not len(examples["lengths"]):
        return None
    lengths = examples["lengths"].numpy()
    values = {name: examples[f"signal.{name}"].double().numpy() for name in kinds if f"signal.{name}" in examples}
    longest = examples[f"layer{units[0][0]}.{units[0][1]}.{there[0]}"].shape[1]
    mask = np.arange(longest) < lengths[:, None]
    recorded = {v: _recorded(examples, units, v) for v in there}
    over = {v: [_over(recorded[v], values.get(name), kinds[name], lags[:, k], mask) for k, name in enumerate(kinds)]
            for v in over_them(cell) if v in there}  # fmt: skip
    spent = sum(len(fit["terms"]["data"]) for fits in over.values() for fit in fits if fit is not None)
    order = telling_order(values, mask)
    left = max(room - spent, room // 2)
    shown, variables, cut = _fitting(lengths[order], there, len(units), len(values), left)
    chosen = [(order[k], steps) for k, steps in enumerate(shown)]

    def joined(content: np.ndarray) -> np.ndarray:
        """Return the steps that are shown, one sequence's after the other's; time comes second."""
        return np.concatenate([content[k, :steps] for k, steps in chosen])

    return {
        "sequences": [{"number": int(k), "steps": int(steps)} for k, steps in chosen], "of": len(lengths),
        "variables": variables, "missing": [v for v in there if v not in variables], "cut": cut,
        "signals": [pack(joined(values[name])) if name in values else None for name in kinds],
        "values": {v: pack_rows(joined(recorded[v]).T) for v in variables},
        "over": {v: fits for v, fits in over.items() if v in variables}, "lag": pack(lags, "uint16"),
        "small": {v: _range(cell.variable(v)) for kind in ("gate", "input", "state") for v in cell.of_kind(kind)
                  if v != cell.memory},
    }  # fmt: skip


def kept(cell: Cell) -> tuple[str, ...]:
    """Return a cell's variables in the order in which they are kept where there is no room for all.

    >>> kept(LSTM)
    ('c', 'h', 'f', 'i', 'o', 'g')
    """

    def rank(name: str) -> tuple[bool, int, bool]:
        return name != cell.memory, KINDS.index(cell.variable(name).kind), name != cell.keeps

    return tuple(sorted(cell.names, key=rank))


def _range(variable: Variable) -> list[float] | None:
    return None if variable.low is None or variable.high is None else [variable.low, variable.high]


def over_them(cell: Cell) -> list[str]:
    """Return the variables over which the true signal is drawn: the memory and what is shown."""
    return [name for name in kept(cell) if name in (cell.memory, "h")]


def _recorded(
    examples: Mapping[str, Tensor], units: Sequence[UnitKey], variable: str
) -> Float[np.ndarray, "sequence time unit"]:
    """Return a variable of all units, in the page's order."""
    parts = {part: [k for k, key in enumerate(units) if key[:2] == part] for part in {key[:2] for key in units}}
    first = examples[f"layer{units[0][0]}.{units[0][1]}.{variable}"]
    made = np.empty((*first.shape[:2], len(units)), dtype=np.float32)
    for (layer, direction), places in parts.items():
        whole = examples[f"layer{layer}.{direction}.{variable}"].numpy()
        made[..., places] = whole[..., [units[k][2] for k in places]]
    return made


def _fitting(
    lengths: Int[np.ndarray, " sequence"], variables: list[str], units: int, signals: int, room: int
) -> tuple[list[int], list[str], bool]:
    """Return how many steps of each sequence there is room for, of which variables, and whether one is cut."""

    def steps(kept: int) -> int:
        return int(room / (_UNIT_BYTES * units * kept + _SIGNAL_BYTES * signals))

    for kept in range(len(variables), 0, -1):
        whole = int((np.cumsum(lengths) <= steps(kept)).sum())
        if whole:
            return lengths[:whole].tolist(), variables[:kept], False
    return [max(1, min(int(lengths[0]), steps(1)))], variables[:1], True


def _over(
    recorded: Float[np.ndarray, "sequence time unit"], signal: np.ndarray | None, kind: str,
    lags: Int[np.ndarray, " unit"], mask: Bool[np.ndarray, "sequence time"],
) -> dict[str, Any] | None:  # fmt: skip
    """Return what brings a signal to each unit's scale, in least squares over all examples; None where nothing does.

    Of a number a straight line (its height at 0, and its slope), of an angle cosine and sine beside a height, and of
    classes the variable's mean in each.

    Returns:
        classes (their numbers, for classes), terms (units × terms).
    """
    if signal is None:
        return None
    known = mask & np.isfinite(signal)
    if not known.any() or np.ptp(signal[known]) == 0:
        return None
    classes = np.unique(signal[known]) if kind in ("binary", "categorical") else None
    made = np.full((recorded.shape[2], _columns(signal[known][:1], kind, classes).shape[1]), np.nan)
    for lag in np.unique(lags):
        here = lags == lag
        y, x = signal[:, : signal.shape[1] - lag], recorded[:, lag:, here]
        keep = known[:, : signal.shape[1] - lag] & mask[:, lag:]
        if keep.any():
            made[here] = np.linalg.lstsq(_columns(y[keep], kind, classes), x[keep].astype(float), rcond=None)[0].T
    return {"classes": None if classes is None else classes.tolist(), "terms": pack(made)}


def _columns(y: np.ndarray, kind: str, classes: np.ndarray | None) -> np.ndarray:
    """Return what a variable is fitted by, of steps × terms."""
    if classes is not None:
        return np.asarray(y[:, None] == classes, dtype=float)
    sides = (np.cos(y), np.sin(y)) if kind == "circular" else (y,)
    return np.stack([np.ones_like(y), *sides], axis=1)
