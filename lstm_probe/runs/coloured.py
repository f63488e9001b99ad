"""Which units colour a text best: the table behind the picture of a character model's units."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from lstm_probe.core.errors import InputError
from lstm_probe.core.numbers import number
from lstm_probe.core.seeding import derive_seed
from lstm_probe.recorder import record
from lstm_probe.runs.examples import trace_table
from lstm_probe.runs.once import once
from lstm_probe.runs.run import Run
from lstm_probe.tasks.text.characters import Characters

COLOURED_TEXT_COLUMNS = ("panel", "step", "character", "value")
CANDIDATES = 16  # stretches of text from which the most telling one is chosen


def best_units(
    probes: pd.DataFrame, most: int, signals: Collection[str] | None = None, memory: str = "c"
) -> pd.DataFrame:
    """Return which units show the most: those whose memory tracks some signal better than any other unit's does.

    Args:
        probes: columns `PROBE_COLUMNS`.
        most: so many units at most.
        signals: of these alone; None for all but nuisances.
        memory: the variable that is the memory.

    Returns:
        Columns layer, direction, unit, `signal` (the one it tracks best), and `says`, all of them in words; the
        best unit first.
    """
    own = probes[(probes["variable"] == memory) & (probes["lag"] == 0) & probes["tracks"].astype(bool)]
    wanted = own["role"] != "nuisance" if signals is None else own["signal"].isin(signals)
    own = own[wanted].sort_values("effect", ascending=False, kind="stable")
    best = own.drop_duplicates("signal").copy()
    rows: Any = best.itertuples()
    best["says"] = [f"{row.signal} ({'R²' if row.metric == 'r2' else 'AUROC'} {number(row.score)})" for row in rows]
    units = best.groupby(["layer", "direction", "unit"], sort=False)
    return units.agg(signal=("signal", "first"), says=("says", ", ".join)).reset_index()[:most]


def scale_of(c: Float[Tensor, "sequence time"]) -> int:
    """Return by what to divide a unit's c so that tanh shows its differences: 1 unless it is mostly saturated.

    >>> scale_of(torch.tensor([[-0.5, 0.9]])), scale_of(torch.arange(41.0).reshape(1, -1))
    (1, 20)
    """
    return max(1, round(float(c.abs().median())))


def liveliest(values: Float[Tensor, "signal sequence time"]) -> int:
    """Return the sequence in which every signal varies as far, and changes as often, as it usually does.

    >>> liveliest(torch.tensor([[[0, 0, 0, 0, 0, 1.0], [0, 1, 1, 0, 0, 1], [0, 0, 0, 1, 1, 1]]]))
    1
    """
    spread = values.std(2) / values.std((1, 2)).clamp(min=1e-9).unsqueeze(1)
    changes = (values.diff(dim=2) != 0).sum(2)
    usual = changes.double().quantile(0.5, dim=1, keepdim=True).clamp(min=1)
    return int((spread.clamp(max=1) * (changes / usual).clamp(max=1)).sum(0).argmax())


def example_texts(run: Run) -> list[str]:
    """Return what a run's example sequences say; none where its task reads no characters, or its text is gone."""
    try:
        task = run.task
    except InputError:
        return []
    return [task.text_of(inputs) for inputs in run.examples["inputs"]] if isinstance(task, Characters) else []


def traces_of(run: Run) -> pd.DataFrame:
    """Return `trace_table` of a run's own examples and memory, with what they say; it is made once."""
    probes, memory = run.probes, run.cell.memory
    return once(run, "traces", [probes], lambda: trace_table(run.examples, probes, memory, texts=example_texts(run)))


@torch.no_grad()
def coloured_text_table(
    run: Run, characters: int = 600, most: int = 5, signals: Collection[str] | None = None
) -> pd.DataFrame:
    """Return a stretch of held-out text with tanh(c) of the units that track most, for `coloured_text`.

    c is the memory, whatever it is called. Of a unit that counts far, tanh(c) would be the same everywhere: its c is
    divided by what its title says.

    Args:
        run: of a task on characters.
        characters: how long the stretch is; as long as the run's own sequences where the text is too short for it.
        most: units to show at most.
        signals: show the units that track these; None: those that track most.

    Returns:
        Columns `COLOURED_TEXT_COLUMNS`; no rows where no unit tracks anything, or where the task reads no text.
    """
    task: Any = run.task  # every task is a dataclass
    memory = run.cell.memory
    chosen = best_units(run.probes, most, signals, memory)
    if not isinstance(run.task, Characters) or chosen.empty:
        return pd.DataFrame(columns=list(COLOURED_TEXT_COLUMNS))
    longer = replace(task, length=characters) if len(task.corpus.held_out) > 2 * characters else task
    batch = longer.sample_up_to(CANDIDATES, derive_seed(run.info["seed"], "coloured text"))
    shown = liveliest(torch.stack([batch.signals[name].values for name in chosen["signal"]]))
    rec = record(run.model.lstm, batch.inputs, lengths=batch.lengths, variables=[memory])
    text = task.text_of(batch.inputs[shown])
    frames = []
    row: Any
    for row in chosen.itertuples():
        c = rec.parts[row.layer, row.direction][memory][:, :, row.unit]
        scale = scale_of(c)
        values = (c[shown] / scale).tanh()
        where = f"layer {row.layer}, " if len(rec.parts) > 1 else ""
        title = f"{where}unit {row.unit}: {row.says}" + (f"; {memory} divided by {scale}" if scale > 1 else "")
        frames.append(
            pd.DataFrame({"panel": title, "step": range(len(text)), "character": list(text), "value": values.tolist()})
        )
    return pd.concat(frames, ignore_index=True)
