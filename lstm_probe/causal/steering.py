"""What does the output do when the state is moved along a signal's direction?

The direction is that in which a linear read-out of the state sees the signal, as the states themselves vary with it
(its pattern: Haufe and others 2014), so that of all moves that the read-out sees alike it is the smallest in the
state's own variation. Beside it stand random directions of the same length, and how the output goes with the signal in
the intact network, unmoved.
"""

import logging
import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from lstm_probe.causal.beside import beside
from lstm_probe.causal.editing import Editing
from lstm_probe.causal.moment import Moment
from lstm_probe.causal.moving import Moving
from lstm_probe.causal.probe_direction import States, direction_of
from lstm_probe.causal.running import moved_variable
from lstm_probe.cells.declared import Cell
from lstm_probe.cells.known import cell_of
from lstm_probe.core.columns import RUN_COLUMNS, columns, interval
from lstm_probe.core.errors import InputError, NothingThereError
from lstm_probe.core.given import Signals
from lstm_probe.core.signal import Batch
from lstm_probe.recorder import find_lstm

log = logging.getLogger(__name__)

COLUMNS = columns(
    *RUN_COLUMNS,
    variable="What is moved: the memory, and h as it follows, or h alone; in every layer, forward.",
    step="Step after which it is moved.",
    signal="Name of the signal.", kind="Kind of the signal: continuous, binary, categorical or circular (an angle).",
    role="Role of the signal: target, latent, distractor or nuisance.",
    part="Of a signal with several columns, which one: sin or cos, or the class.",
    target="Name of the target.",
    output="Number of the output within its target.",
    after="How many steps later the output is looked at.",
    slope="How much the output changes for each unit by which the signal is moved, as it is read from the state; mean "
    "over sequences.",
    **interval("slope, over sequences"),
    linear="How straight the mean change is: 1 − squared distance from the line through 0 / squared change.",
    observed="Slope of the output at that step on the signal at the step of the move, over sequences of the intact "
    "network.",
    control_low="The 5 % quantile of the slopes along random directions of the same length.",
    control_high="Of these slopes, the 95 % quantile.",
    controls="How many random directions were tried.",
    p_value="Share of the random directions that change the output as much either way, the signal's counted in.",
    length="How far the state is moved for one standard deviation of the signal, in its own (whitened) standard "
    "deviations: 1 where the signal is read exactly; far more is a state that was never seen.",
    r2="R² of the read-out on sequences that it was not fitted on, at the step of the move.",
    sequences="How many sequences are long enough to be looked at.",
)  # fmt: skip


@torch.no_grad()
def steer(
    model: nn.Module,
    batch: Batch,
    signals: Signals = None,
    *,
    fit: Batch | None = None,
    layer: str | None = None,
    variable: str = "c",
    scale: Sequence[float] = (-2, -1, 0, 1, 2),
    after: Sequence[int] = (1, 5, 15),
    step: int | None = None,
    controls: int = 20,
    groups: Any = None,
    bootstrap: int = 1000,
    seed: int = 0,
    run: str = "",
    task: str = "",
) -> pd.DataFrame:
    """Move the state along each signal's direction after one step, and measure what every output does later.

    The direction is that of a ridge read-out of the signal from all layers at that step, fitted on other sequences; the
    state is moved by so much that what this read-out sees changes by so many standard deviations of the signal. Where
    a layer reads both ways, the forward direction alone is read and moved.

    Args:
        model: a SequenceModel, or any module that holds an LSTM and maps `batch.inputs` to outputs.
        batch: sequences that the model was not trained on.
        signals: along which to move, as for `probe_units`; the batch's own where this is None. One that is the same in
            all sequences at that step is left out.
        fit: sequences to fit on, with signals of the same names; where this is None, two thirds of the batch, whole
            groups of them, and the others are looked at.
        layer: the name of the LSTM in the model, where there are several.
        variable: "c" (the memory, whatever the cell calls it, and h as it follows) or "h".
        scale: by how many standard deviations of the signal, each a move of its own.
        after: how many steps later the outputs are looked at, from 0 on; steps beyond the end are left out.
        step: after which step to move; about the middle of the sequences where this is None.
        controls: how many random directions of the same length are tried beside each.
        groups: one entry for each sequence of `batch`, equal ones for those that are not independent of each other;
            those of the batch where this is None.
        bootstrap: resamples of whole sequences for the 95 % intervals.
        seed: of the parts, the random directions and the resampling.
        run, task: put into the columns of the same name.

    Returns:
        One row for each signal, output and `after`, columns `COLUMNS`. Outputs are as the model gives them: logits,
        for classes.

    Raises:
        InputError: no targets, an unknown variable, no move, a step outside of the sequences, a signal that never
            changes, a layer that reads from the end alone, or a model whose state cannot be edited.

    >>> import lstm_probe as lp
    >>> net = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch()], random_units=2, seed=0)
    >>> batch = net.sample(64, length=20, seed=1)
    >>> moved = lp.steer(net.model, batch, {"count": batch.signals["count"]})
    >>> moved.query("target == 'count' and after == 1").slope.round(2).tolist()
    [1.0]
    """
    cell = cell_of(find_lstm(model, layer)[1])
    variable = _check(batch, cell, variable, scale, controls)
    pair = beside(batch, signals, fit, groups, seed)
    at, later = _moments(pair.batch, step, after)
    editing = Editing(model, pair.batch, layer=layer)
    if editing.from_the_end:
        raise NothingThereError(
            "steer: its layer reads from the last step to the first, so no later output follows a move"
        )
    states = _states(editing, at, variable)
    moving = Moving(Editing(model, pair.looked, layer=layer), pair, states, at, later, tuple(scale),
                         variable == cell.memory)  # fmt: skip
    about = {"run": run, "task": task, "units": moving.editing.lstm.hidden_size, "seed": seed,
             "variable": variable, "step": at}  # fmt: skip
    rows, left_out = [], []
    for signal in pair.signals:
        found = [direction_of(states, signal, column, at, pair.fitted) for column in range(signal.columns.shape[-1])]
        if not any(found):
            left_out.append(signal.name)
        for column, direction in enumerate(found):
            if direction is not None:
                named = {"signal": signal.name, "kind": signal.kind, "role": signal.role, "part": signal.parts[column]}
                made = moving.rows(signal, column, direction, controls, bootstrap, seed)
                rows += [{**about, **named, **row} for row in made]
    if left_out:
        log.info(
            "left out, as they are, as far as known, the same in all sequences at step %d: %s", at, ", ".join(left_out)
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _check(batch: Batch, cell: Cell, variable: str, scale: Sequence[float], controls: int) -> str:
    """Return the variable that is moved; an InputError where anything is wrong."""
    problems: list[str] = []
    try:
        variable = moved_variable(cell, variable)
    except InputError as error:
        problems += error.problems
    if not any(scale) or not all(math.isfinite(by) for by in scale):
        problems.append(f"scale={tuple(scale)}: must be numbers, and one of them not 0")
    if controls < 0:
        problems.append(f"controls={controls}: must be a whole number from 0")
    if not batch.target_specs:
        problems.append("steer: the batch has no targets, so there is nothing to look at")
    if problems:
        raise InputError(*problems)
    return variable


def _moments(batch: Batch, step: int | None, after: Sequence[int]) -> tuple[int, tuple[int, ...]]:
    """Return the step of the move, and those of the steps after it that sequences of the usual length have."""
    usual, time = int(batch.lengths.median()), batch.inputs.shape[1]
    if not len(after) or min(after) < 0:
        raise InputError(f"after={tuple(after)}: must be whole numbers from 0")
    if step is None:
        fits = [by for by in after if by < usual]
        step = min(usual // 2, usual - 1 - max(fits)) if fits else 0
    if not 0 <= step < time:
        raise InputError(f"step={step}: must be within the sequences, 0 to {time - 1}")
    later = tuple(by for by in sorted(set(after)) if step + by < usual)
    if not later:
        raise InputError(f"after={tuple(after)}: beyond the end of most sequences, which have {usual} steps")
    return step, later


def _states(editing: Editing, step: int, variable: str) -> States:
    """Return the states of all layers after a step, forward, as they are."""
    parts: dict[int, Tensor] = {}
    there = editing.batch.lengths > step

    def look(at: Moment) -> tuple[Tensor, ...]:
        own = at.state[variable]
        if at.direction == "forward":
            parts[at.layer] = own.new_zeros(len(there), own.shape[1]).index_copy(0, at.sequences, own)
        return at.same

    editing.outputs(look, [step])
    widths = [parts[layer].shape[1] for layer in sorted(parts)]
    return States(torch.cat([parts[layer] for layer in sorted(parts)], dim=1), there, tuple(widths))
