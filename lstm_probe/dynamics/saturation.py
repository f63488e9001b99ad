"""Gate saturation: in what share of steps each gate of a unit is shut or open (Karpathy, Johnson & Fei-Fei 2015).

A forget gate that is always open makes a perfect integrator; one that is often shut, a unit that starts anew.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from lstm_probe.cells.declared import Cell
from lstm_probe.core.columns import unit_table
from lstm_probe.core.errors import InputError
from lstm_probe.probing.data.study import in_memory
from lstm_probe.recorder.data import Recording

#: What the gates of an LSTM are called.
GATES: Mapping[str, str] = {"i": "input gate", "f": "forget gate", "o": "output gate"}

#: From this share of steps on, a card calls a gate shut or open.
MOSTLY = 0.5

COLUMNS = unit_table(
    shut="Share of real steps in which the gate is below `low` (left-saturated).",
    open="Share of real steps in which the gate is above `high` (right-saturated).",
    mean="Mean of the gate over real steps.",
    n="How many real steps there are.",
)


def gate_saturation(
    rec: Recording, *, low: float = 0.1, high: float = 0.9, seed: int = 0, run: str = "", task: str = ""
) -> pd.DataFrame:
    """Say of each unit's gates in what share of real steps it is shut or open.

    Args:
        rec: from `lstm_probe.record`, in memory.
        low: below this a gate is shut, 0 to 1.
        high: above this it is open, `low` to 1.
        seed: what the column of that name says; nothing here is random.
        run: what the column of that name says.
        task: what the column of that name says.

    Returns:
        One row for each unit and gate that was recorded, with the columns `COLUMNS`; `variable` is the gate. In
        `attrs["gates"]`: what each is called.

    Raises:
        InputError: no recording in memory, thresholds out of order, or a cell that has no gates between 0 and 1.
    """
    rec = in_memory(rec, "gate_saturation")
    if not 0 <= low <= high <= 1:
        raise InputError(f"low={low}, high={high}: they must rise from 0 to 1")
    gates = gates_of(rec.config.cell)
    if not gates:
        raise InputError(f"gate_saturation: {rec.config.cell.title} has no gates between 0 and 1")
    rows = []
    for part in rec:
        for gate in (gate for gate in gates if gate in part.variables):
            values = part[gate][rec.mask].double().cpu().numpy()
            about = (run, task, rec.config.units, seed, part.layer, part.direction, gate)
            numbers = ((values < low).mean(0), (values > high).mean(0), values.mean(0))
            rows += [(*about, unit, *own, len(values)) for unit, own in enumerate(zip(*(n.tolist() for n in numbers)))]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table.attrs["gates"] = gates
    return table


def gates_of(cell: Cell) -> dict[str, str]:
    """Return what each gate of a cell that lies between 0 and 1 is called, by its name."""
    return {one.name: one.meaning.split(":")[0] for one in cell.variables
            if one.kind == "gate" and (one.low, one.high) == (0, 1)}  # fmt: skip


def by_unit(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each unit, with two columns for each gate: for the page and the terminal."""
    wide = table.pivot(index=["layer", "direction", "unit"], columns="variable", values=["shut", "open"])
    words = table.attrs.get("gates", GATES)
    gates = [gate for gate in words if gate in set(table["variable"])]
    wide = wide[[(how, gate) for gate in gates for how in ("shut", "open")]]
    wide.columns = pd.Index([f"{words[column[1]]} {column[0]}" for column in wide.columns.to_list()])
    return wide.round(3).reset_index()


def saturation_sentences(own: pd.DataFrame, _: object) -> Iterator[str]:
    """Say which gates of a unit are open or shut in most steps.

    Args:
        own: the unit's rows.
    """
    if own.empty:
        return
    rows: Any = own.itertuples()
    words = own.attrs.get("gates", GATES)
    told = [
        f"its {words[row.variable]} is {how} in {round(100 * share)} %"
        for row in rows
        for how, share in (("open", row.open), ("shut", row.shut))
        if np.isfinite(share) and share >= MOSTLY
    ]
    if not told:
        yield "None of its gates is open or shut in most steps."
        return
    listed = " and ".join([", ".join(told[:-1]), told[-1]] if len(told) > 1 else told)
    yield f"{listed[0].upper()}{listed[1:]} of steps."
