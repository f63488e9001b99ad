"""How long a unit's memory lasts: by its forget gate, and by how long its memory goes on resembling itself."""

import math
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from lstm_probe.core.columns import Columns, unit_table
from lstm_probe.core.errors import InputError
from lstm_probe.core.signal import Batch
from lstm_probe.recorder import record
from lstm_probe.recorder.calling import arguments

COLUMNS: Columns = unit_table(
    tau_forget="Time constant of the forget gate alone, in steps: −1 / mean of log f. What is in the memory falls to "
    "1/e of itself in so many steps, if nothing is written; a unit that rewrites itself remembers for longer.",
    tau_memory="Steps after which the autocorrelation of the memory c falls below 1/e, less each step's mean; inf: "
    "it stays above within `longest`; missing where c does not vary.",
    longest="The longest lag that was looked at, in steps.",
)


@torch.no_grad()
def timescales(
    model: nn.Module, batch: Batch, *, layer: str | None = None, seed: int = 0, run: str = "", task: str = ""
) -> pd.DataFrame:
    """Measure how long each unit's memory lasts.

    Args:
        model: any module that holds an LSTM.
        batch: sequences; real steps alone count.
        layer: which recurrent layer, by its name in the module, if there are several.
        seed: what the column of that name says; nothing here is random.
        run: what the column of that name says.
        task: what the column of that name says.

    Returns:
        One row for each unit, with the columns `COLUMNS`; `variable` is c.

    Raises:
        InputError: the model cannot be recorded, or no sequence has two steps.
    """
    rec = record(model, arguments(model, batch), layer=layer, lengths=batch.lengths, variables=("c", "f"))
    if int(rec.lengths.max()) < 2:
        raise InputError("timescales: the sequences have one step each; nothing lasts")
    rows: list[tuple[Any, ...]] = []
    for part in rec:
        gate = part["f"][rec.mask].double()
        forget = -1 / gate.clamp(min=torch.finfo(torch.float64).tiny).log().mean(0)
        memory, longest = memory_times(part["c"].double(), rec.mask)
        about = (run, task, rec.config.units, seed, part.layer, part.direction, "c")
        rows += [(*about, unit, tau, own, longest) for unit, (tau, own) in enumerate(zip(forget.tolist(), memory))]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def autocorrelation(
    values: Float[Tensor, "sequence time unit"], mask: Bool[Tensor, "sequence time"], longest: int
) -> Float[np.ndarray, "lag unit"]:
    """Return the correlation of values with themselves so many steps later, from lag 0 on.

    Each step's mean over sequences is taken off first, so that what all sequences have in common is no memory. Pairs
    of steps that are both real count.
    """
    real = mask.unsqueeze(-1)
    count = real.sum(0).clamp(min=1)
    centred = (values - torch.where(real, values, 0).sum(0) / count).masked_fill(~real, 0)
    found = []
    for lag in range(longest + 1):
        early, late = centred[:, : centred.shape[1] - lag], centred[:, lag:]
        both = (mask[:, : mask.shape[1] - lag] & mask[:, lag:]).unsqueeze(-1)
        products, scale = (early * late).sum((0, 1)), (early**2 * both).sum((0, 1)) * (late**2 * both).sum((0, 1))
        found.append(products / scale.sqrt())
    result: Float[np.ndarray, "lag unit"] = torch.stack(found).numpy()
    return result


def memory_times(
    values: Float[Tensor, "sequence time unit"], mask: Bool[Tensor, "sequence time"]
) -> tuple[list[float], int]:
    """Return after how many steps each autocorrelation falls below 1/e , and the longest lag.

    Half of the longest sequence is looked at. A time is inf where it stays above, NaN where nothing varies.
    """
    longest = max(1, int(mask.sum(1).max()) // 2)
    curves = autocorrelation(values, mask, longest)
    return [crossing(curve, 1 / math.e) for curve in curves.T], longest


def crossing(curve: Float[np.ndarray, " lag"], level: float) -> float:
    """Return where a curve that starts above a level first falls below it; between two lags, along an exponential.

    >>> crossing(np.array([1.0, 0.5, 0.25]), 0.5**1.5)
    1.5
    """
    if not np.isfinite(curve[0]):
        return math.nan
    below = np.flatnonzero(~(curve >= level))
    if not len(below):
        return math.inf
    k = int(below[0])
    if not k:
        return 0.0
    before, after = float(curve[k - 1]), float(curve[k])
    if not after > 0:  # no exponential leads there
        return float(k)
    return k - 1 + math.log(before / level) / math.log(before / after)
