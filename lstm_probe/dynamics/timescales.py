"""How long a unit's memory lasts: by its forget gate, and by how long its memory goes on resembling itself."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from lstm_probe.cells.known import cell_of
from lstm_probe.core.columns import Columns, interval, unit_table
from lstm_probe.core.errors import NothingThereError
from lstm_probe.core.given import Signals
from lstm_probe.core.groups import drawn_as_one, group_codes
from lstm_probe.core.numbers import known, two_digits
from lstm_probe.core.order import UNIT
from lstm_probe.core.quantiles import student
from lstm_probe.core.signal import Batch
from lstm_probe.dynamics.events import earlier
from lstm_probe.probing.data.signals import CheckedSignal, check_signals
from lstm_probe.recorder import find_lstm, record
from lstm_probe.recorder.calling import arguments

#: What varies less than this over sequences, as a share of its size, is the same in all.
EVEN = 1e-6
#: A signal of which a unit's memory tells less than this (R²) is not put beside it in words and figures.
LEAST_R2 = 0.25
#: From this share of its size on that a memory grows by, in the second half of the steps, a card says so.
LEAST_GROWTH = 0.1

COLUMNS: Columns = unit_table(
    tau_forget="Time constant of the gate that keeps the memory, f, alone, in steps: −1 / log of mean f, the share "
    "that a step leaves; missing where there is none. What is in the memory falls to 1/e of itself in so many steps on "
    "average, if nothing is written; a unit that rewrites itself remembers for longer.",
    tau_memory="Steps after which the autocorrelation of the memory falls below 1/e, less each step's mean; inf: "
    "it stays above within `longest`; missing where it does not vary.",
    longest="The longest lag that was looked at, in steps.",
    signal="The signal that goes best with the memory, by a straight line, of those that have a time of their own.",
    r2="R² of that line over all real steps.",
    tau_signal="The same time of that signal itself, in steps, as tau_memory: the delay that the task asks for.",
    size="Mean size of the memory over real steps.",
    growth="Mean over sequences of the slope of that size against the step, in the second half of each, per step: "
    "above 0 where a memory goes on growing.",
    **interval("growth"),
)


@torch.no_grad()
def timescales(
    model: nn.Module, batch: Batch, signals: Signals = None, *, layer: str | None = None, groups: Any = None,
    seed: int = 0, run: str = "", task: str = "",
) -> pd.DataFrame:  # fmt: skip
    """Measure how long each unit's memory lasts, beside the task's own delays, and whether it goes on growing.

    Args:
        model: any module that holds a recurrent layer.
        batch: sequences; real steps alone count.
        signals: see `probe_units`; those whose times stand beside the units'.
        layer: which recurrent layer, by its name in the module, if there are several.
        groups: which sequences are not independent; those of the batch where this is None.
        seed: what the column of that name says; nothing here is random.
        run: what the column of that name says.
        task: what the column of that name says.

    Returns:
        One row for each unit, with the columns `COLUMNS`; `variable` is the memory, of an LSTM c. In
        `attrs["signals"]`: each signal's own time, by name; in `attrs["keeps"]` what the gate that keeps is called.

    Raises:
        InputError: the model cannot be recorded, or no sequence has two steps.

    >>> import lstm_probe as lp
    >>> net = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch()], random_units=2, seed=0)
    >>> batch = net.sample(64, length=20, seed=1)
    >>> times = lp.timescales(net.model, batch, batch.signals)
    >>> times.query("unit == 0").tau_forget.tolist()  # the counter forgets nothing
    [inf]
    """
    cell = cell_of(find_lstm(model, layer)[1])
    memory_name, keeps = cell.memory, cell.keeps
    wanted = (memory_name,) if keeps is None else (memory_name, keeps)
    rec = record(model, arguments(model, batch), layer=layer, lengths=batch.lengths, variables=wanted).cpu()
    if int(rec.lengths.max()) < 2:
        raise NothingThereError("timescales: the sequences have one step each; nothing lasts")
    codes = drawn_as_one(group_codes(batch.groups if groups is None else groups, len(batch)))
    checked = [] if signals is None else check_signals(signals, rec.mask.cpu().numpy())
    timed = {signal.name: (signal, signal_time(signal, rec.mask)) for signal in checked}
    timed = {name: (signal, tau) for name, (signal, tau) in timed.items() if known(tau)}
    rows: list[tuple[Any, ...]] = []
    for part in rec:
        c = part[memory_name].double()
        forget = torch.full(c.shape[-1:], math.nan)
        if keeps is not None:
            # Where a state has a start of its own, there is nothing to be kept at the first step.
            real = rec.mask & earlier(rec.mask, part.direction) if cell.starts else rec.mask
            forget = 1 / part[keeps][real].double().mean(0).log().abs()
        memory, longest = memory_times(c, rec.mask)
        told = {name: explained(signal, c, rec.mask) for name, (signal, _) in timed.items()}
        sizes, slopes = c[rec.mask].abs().mean(0).tolist(), growth(c.abs(), rec.mask, part.direction, codes)
        for unit, tau in enumerate(forget.tolist()):
            best = max(told, key=lambda name: told[name][unit], default="")
            own = (best, told[best][unit], timed[best][1]) if best else ("", math.nan, math.nan)
            about = (run, task, rec.config.units, seed, part.layer, part.direction, memory_name, unit)
            rows.append((*about, tau, memory[unit], longest, *own, sizes[unit], *slopes[unit]))
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table.attrs["signals"] = {name: tau for name, (_, tau) in timed.items()}
    table.attrs["keeps"] = "" if keeps is None else cell.meanings[keeps].split(":")[0]
    return table


def signal_time(signal: CheckedSignal, mask: Bool[Tensor, "sequence time"]) -> float:
    """Return after how many steps a signal's autocorrelation falls below 1/e; of classes, that of their indicators."""
    labelled = mask if signal.labelled is None else torch.from_numpy(signal.labelled)
    values = torch.from_numpy(signal.columns())
    values = values - values[labelled][:1].sum(0)  # a large number that all have in common is not its size
    return crossing(autocorrelation(values, labelled, longest_lag(mask), together=True)[:, 0], 1 / math.e)


def explained(
    signal: CheckedSignal, values: Float[Tensor, "sequence time unit"], mask: Bool[Tensor, "sequence time"]
) -> list[float]:
    """Return each unit's R² of a straight line of a signal, of classes of their indicators; 0 where nothing varies."""
    labelled = mask if signal.labelled is None else torch.from_numpy(signal.labelled)
    x, y = torch.from_numpy(signal.columns())[labelled], values[labelled]
    x, y = x - x.mean(0), y - y.mean(0)
    total = y.square().sum(0)
    fitted = torch.linalg.pinv(x.T @ x, rtol=1e-10, hermitian=True) @ (x.T @ y)
    part = ((x.T @ y) * fitted).sum(0)
    found: list[float] = torch.where(total > 0, part / total.clamp(min=torch.finfo(torch.float64).tiny), 0).tolist()
    return found


def growth(
    sizes: Float[Tensor, "sequence time unit"], mask: Bool[Tensor, "sequence time"], direction: str,
    groups: Int[np.ndarray, " sequence"] | None,
) -> list[tuple[float, float, float]]:  # fmt: skip
    """Return each unit's mean slope against the step in the second half of each sequence, with its 95 % interval.

    The interval is Student's over sequences, or groups of them. Sequences of fewer than 4 steps say nothing.
    """
    lengths = mask.sum(1, keepdim=True)
    step = torch.arange(mask.shape[1]).expand_as(mask)
    step = step if direction == "forward" else lengths - 1 - step
    late = (mask & (step >= lengths // 2) & (lengths >= 4)).double().unsqueeze(-1)
    n = late.sum(1).clamp(min=1)
    x = (step.unsqueeze(-1) - (step.unsqueeze(-1) * late).sum(1, keepdim=True) / n.unsqueeze(1)) * late
    slopes = ((x * sizes).sum(1) / x.square().sum(1).clamp(min=0.5)).numpy()[(late.sum((1, 2)) > 0).numpy()]
    if groups is not None and len(slopes):
        slopes = pd.DataFrame(slopes).groupby(groups[(late.sum((1, 2)) > 0).numpy()]).mean().to_numpy()
    if not len(slopes):
        return [(math.nan,) * 3] * sizes.shape[-1]
    mean = slopes.mean(0)
    half = np.full_like(mean, math.nan)
    if len(slopes) > 1:
        half = student(0.975, len(slopes) - 1) * slopes.std(0, ddof=1) / math.sqrt(len(slopes))
    return list(zip(mean.tolist(), (mean - half).tolist(), (mean + half).tolist()))


def autocorrelation(
    values: Float[Tensor, "sequence time unit"], mask: Bool[Tensor, "sequence time"], longest: int, *,
    together: bool = False,
) -> Float[np.ndarray, "lag column"]:  # fmt: skip
    """Return the correlation of values with themselves so many steps later, from lag 0 on.

    Each step's mean over sequences is taken off first, so that what all sequences have in common is no memory. Pairs
    of steps that are both real count. `together`: one correlation of all columns, by their sums.
    """
    real = mask.unsqueeze(-1)
    count = real.sum(0).clamp(min=1)
    centred = (values - torch.where(real, values, 0).sum(0) / count).masked_fill(~real, 0)
    varies = centred.square().sum((0, 1)) > EVEN**2 * torch.where(real, values, 0).square().sum((0, 1))
    found = []
    for lag in range(longest + 1):
        early, late = centred[:, : centred.shape[1] - lag], centred[:, lag:]
        both = (mask[:, : mask.shape[1] - lag] & mask[:, lag:]).unsqueeze(-1)
        sums = [(early * late).sum((0, 1)), (early**2 * both).sum((0, 1)), (late**2 * both).sum((0, 1))]
        products, first, second = (torch.where(varies, one, 0) for one in sums)
        if together:
            products, first, second = (one.sum(0, keepdim=True) for one in (products, first, second))
        found.append(products / (first * second).sqrt())
    result: Float[np.ndarray, "lag column"] = torch.stack(found).numpy()
    return result


def longest_lag(mask: Bool[Tensor, "sequence time"]) -> int:
    """Return half of the longest sequence."""
    return max(1, int(mask.sum(1).max()) // 2)


def memory_times(
    values: Float[Tensor, "sequence time unit"], mask: Bool[Tensor, "sequence time"]
) -> tuple[list[float], int]:
    """Return after how many steps each autocorrelation falls below 1/e , and the longest lag.

    Half of the longest sequence is looked at. A time is inf where it stays above, NaN where nothing varies.
    """
    longest = longest_lag(mask)
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


def steps_words(tau: float, longest: float) -> str:
    """Return "for 6.1 steps", "for more than 25 steps", or "for ever" where that is not limited."""
    if math.isinf(tau):
        return "for ever" if math.isinf(longest) else f"for more than {longest:.0f} step{'s' * (longest != 1)}"
    shown = two_digits(tau)
    return f"for {shown} step{'s' * (shown != '1')}"


def timescale_sentences(own: pd.DataFrame, about: Any) -> Iterator[str]:
    """Say how long a unit's memory lasts, beside the signal that it tracks, or else goes with.

    Args:
        own: the unit's row.
        about: the unit; None where nothing is known of what it tracks.
    """
    if own.empty:
        return
    row: Any = own.iloc[0].to_dict()
    if not known(row["tau_memory"]):
        yield "How long its memory lasts was not told: at no step does it differ between these sequences."
        return
    best = None if about is None else about.unit.best
    name, times = row["signal"] if best is None else best.signal, own.attrs.get("signals", {})
    tau = times.get(name, math.nan) if best is not None or row["r2"] >= LEAST_R2 else math.nan
    beside = f", {name} itself {steps_words(tau, row['longest'])}" if known(tau) else ""
    gate = own.attrs.get("keeps", "forget gate")
    held = f"Its {gate} alone would hold a value {steps_words(row['tau_forget'], math.inf)}; its" if gate else "Its"
    yield f"{held} memory goes on resembling itself {steps_words(row['tau_memory'], row['longest'])}{beside}."
    if row["ci_low"] > 0 and row["growth"] * row["longest"] >= LEAST_GROWTH * row["size"]:
        yield f"It goes on growing, by {row['growth']:.2g} a step in the second half."


def by_unit(table: pd.DataFrame) -> pd.DataFrame:
    """Return the columns that say most, for the page and the terminal."""
    rows = table[[*UNIT, "tau_forget", "tau_memory", "signal", "tau_signal", "size", "growth"]]
    goes_with = table["r2"] >= LEAST_R2
    rows = rows.assign(signal=rows["signal"].where(goes_with, ""), tau_signal=rows["tau_signal"].where(goes_with))
    rounded = rows.round({"tau_forget": 2, "tau_memory": 2, "tau_signal": 2, "size": 3, "growth": 4})
    return rounded.assign(growth=rounded["growth"] + 0.0)  # no −0


def drawn(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the units whose memory has a time, and a gate that keeps it."""
    return table[table["tau_memory"].notna() & table["tau_forget"].notna()]
