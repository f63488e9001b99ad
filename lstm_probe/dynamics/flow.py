"""How a memory is written, held and read: which events write it, how long it lasts, who reads it; each link tried."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn

from lstm_probe.causal.editing import Editing
from lstm_probe.causal.halves import resamples
from lstm_probe.causal.needs import Unit, keys_of
from lstm_probe.cells.declared import Cell
from lstm_probe.core.columns import Columns, interval, unit_table
from lstm_probe.core.errors import InputError, NothingThereError
from lstm_probe.core.given import Signals
from lstm_probe.core.groups import resampled_by
from lstm_probe.core.order import UNIT, UnitKey, several_layers
from lstm_probe.core.seeding import derive_seed
from lstm_probe.core.signal import Batch
from lstm_probe.dynamics.events import Events, earlier, find_events, signal_changes
from lstm_probe.dynamics.exchanging import Exchanging
from lstm_probe.dynamics.keeping import kept_share, makes_memory
from lstm_probe.dynamics.reading import Reading, hold_rows
from lstm_probe.dynamics.writing import Samples, Traffic, put_in, write_rows
from lstm_probe.probing.data.signals import check_signals
from lstm_probe.probing.inference.swap import make_donors
from lstm_probe.recorder import Recording, record
from lstm_probe.recorder.calling import arguments

#: Signals of up to so many classes have changes that are looked at.
MOST_CLASSES = 4
#: Share of steps without the events that write a unit, so that they can be kept out while it is held.
LEAST_FREE = 0.25
#: So many steps at which values are exchanged, if none are named.
MOMENTS = 3

WRITE, HOLD, READ = "write", "hold", "read"
COLUMNS: Columns = unit_table(
    link="write: what an event does to the memory; hold: what is left of a value some steps later; read: what changes "
    "in an output or another unit.",
    other="write: the event, or nothing: the steps without one; hold: the events that write it and are kept out, none "
    "where they come nearly always; read: the output, or the unit and its variable: one that has rows of weights (i f "
    "g o, or r z n), or the memory.",
    lag="hold, read: so many steps after another sequence's value was put in.",
    n="write: steps at which the event comes alone; hold, read: pairs of sequences.",
    effect="By intervention. write: mean absolute change of the memory when the event is put into one step; hold: "
    "share of the difference that is left where no event of `other` came; read: change, root mean square, in "
    "standard deviations.",
    **interval("effect"),
    confirmed="write, read: whether the intervention confirms it: the interval of effect lies above `min_change`, and, "
    "write, the lines of `agreement` surely tell some of it; hold: whether what is left is `gate_alone`, within 0.1. "
    "Missing where nothing was tried: a signal is no input.",
    signed="write: mean change of the memory when the event is put in, with its sign.",
    agreement="write: share of the squared changes that the table tells, by the straight lines of the memory after on "
    "that before the step, with the event and without; missing where nothing changes.",
    agreement_low="write: lower end of the 95 % interval of agreement.",
    least="write: the change that counts: `min_change` of the largest that an event makes, or of the root mean square "
    "of all changes of the memory in a step, where that is more.",
    change="write: mean of the memory less that before, at the steps at which the event comes alone.",
    size="write: mean of the size of this difference.",
    slope="write: of the straight line of the memory on that before: 0 where the event sets it to a value, 1 where it "
    "adds to it, below 0 where it turns it over.",
    beyond="write: how much further the memory is there from where it would be without an event, on average, than "
    "without one.",
    beyond_low="write: lower end of the 95 % interval of beyond.",
    beyond_high="write: upper end of the 95 % interval of beyond.",
    written="write: mean of what the step adds to what it keeps there: i · g, or (1 - z) · n.",
    kept="write: mean of what the step multiplies the memory before it by there: the gate that keeps, f or z; where "
    "there is none, the share that goes on by itself while all gates are as they are; hold: at steps without an event "
    "of `other`.",
    i="write: mean of the input gate i there; missing where the cell has none.",
    f="write: mean of the forget gate f there; hold: at steps without an event of `other`, where it is what keeps. "
    "Missing where the cell has none.",
    g="write: mean of the cell input g there; missing where the cell has none.",
    tau_forget="hold: time constant of the gate that keeps, f or z, at steps without an event of `other`, in steps; "
    "missing where there is none.",
    gate_alone="hold: share that `kept` alone would leave in the same steps.",
    weight="read: of an output, that of what the unit shows, as o · tanh(c), told by the change itself, its "
    "length where a target has several outputs; missing where it is not linear. Of a unit's variable, its weight's "
    "size times the spread (sd) of what the unit shows.",
    share="read: share of the output's variance that the weight brings; over all units these add up to 1.",
)  # fmt: skip


@torch.no_grad()
def memory_flow(
    model: nn.Module,
    batch: Batch,
    signals: Signals = None,
    *,
    units: Sequence[Unit] | None = None,
    layer: str | None = None,
    input_names: Sequence[str] | None = None,
    steps: Sequence[int] | None = None,
    after: Sequence[int] = (1, 5, 15),
    min_change: float = 0.1,
    groups: Any = None,
    bootstrap: int = 1000,
    seed: int = 0,
    run: str = "",
    task: str = "",
) -> pd.DataFrame:
    """Say which events write each unit's memory, how long it is held, and who reads it.

    Each link is tried: an event is put into the input at a step at which it did not come; another sequence's value is
    put into the memory at a step, and all goes on from there by the module itself. The memory is what the cell declares
    (`Cell.memory`). Of a GRU or a plain recurrent network it is what the unit shows, too; what else is carried, such as
    the normaliser of an sLSTM, stays the sequence's own.

    Args:
        model: a SequenceModel, or any module that `ablate_units` takes, of any declared cell.
        batch: sequences.
        signals: see `probe_units`; binary and categorical ones of few classes, whose changes are looked at, too.
        units: numbers, or (layer, unit) or (layer, direction, unit); all where this is None.
        layer: which recurrent layer, by its name in the module, if there are several.
        input_names: what the features are called; "input 0" and so on where this is None.
        steps: at which values are exchanged, from 0; three of them where this is None.
        after: how many steps later it is looked at what is left, each at least 1.
        min_change: the smallest change that counts: of the memory, as a share of its typical change in a step; of
            outputs and other units, in standard deviations.
        groups: which sequences are not independent, so that values come from another group's; those of the batch where
            this is None.
        bootstrap: resamples of sequences, or of groups of them.
        seed: everything random follows from it.
        run, task: what the columns of those names say.

    Returns:
        For each unit a row for each event, each of `after`, each output and the strongest readers among the units, with
        the columns `COLUMNS`; `variable` is the memory, of an LSTM c. In `attrs["keeps"]` the gate that keeps, if there
        is one; in `attrs["words"]` what variables are called; in `attrs["makes"]` those that make the memory.

    Raises:
        InputError: a step outside of the sequences, fewer than two of them, no such unit, or a model that cannot be
            recorded or edited.

    >>> import lstm_probe as lp
    >>> net = lp.planted.combine([lp.planted.Counter(), lp.planted.Latch()], random_units=2, seed=0)
    >>> batch = net.sample(64, length=20, seed=1)
    >>> flow = lp.memory_flow(net.model, batch, batch.signals)
    >>> flow.query("unit == 1 and link == 'write' and confirmed").other.tolist()  # its set and its reset
    ['input 2', 'input 3']
    """
    if len(batch) < 2:
        raise NothingThereError(f"memory_flow: {len(batch)} sequence; another one's value needs at least 2")
    rng = np.random.default_rng(derive_seed(seed, "memory flow"))
    rec = record(model, arguments(model, batch), layer=layer, lengths=batch.lengths).cpu()
    cell = rec.config.cell
    known = batch.to("cpu")
    chosen = moments(rec, steps, after)
    editing = Editing(model, batch, layer=layer)
    shapes = {key: part[cell.memory].shape[-1] for key, part in rec.parts.items()}
    keys = [(*part, unit) for part, n in shapes.items() for unit in range(n)]
    wanted = keys if units is None else keys_of(units, _Units(shapes, keys), "units")
    codes = resampled_by(batch.groups if groups is None else groups, len(batch))
    counts = resamples(np.arange(len(batch)) if codes is None else codes, bootstrap, derive_seed(seed, "flow samples"))
    events = find_events(model, known.inputs, known.mask, input_names)
    checked = [] if signals is None else check_signals(signals, batch.mask.cpu().numpy())
    tried = put_in(model, batch, events, layer, rng)
    givers = torch.from_numpy(make_donors(batch.lengths.cpu().numpy(), batch.inputs.shape[1], seed, groups=codes))
    exchanging = Exchanging(editing, rec, chosen, after, {step: givers[:, step] for step in chosen})
    reading = Reading(exchanging, rec.weights[0], editing.intact.outputs.cpu(), known, min_change, several_layers(keys))
    made: list[dict[str, Any]] = []
    for part in dict.fromkeys(key[:2] for key in wanted):
        kept = kept_share(rec.parts[part], rec.weights[0][part], rec.mask)
        traffic = Traffic.of(rec.parts[part], rec.mask, kept)
        changes = list(signal_changes(checked, known.mask, part[1]))
        written = write_rows(traffic, events, changes, tried, part, counts, min_change)
        for key in (key for key in wanted if key[:2] == part):
            about = dict(zip(UNIT, key))
            made += [about | row for row in _links(key, kept[..., key[2]], written, events, reading, counts)]
    named: dict[str, Any] = {"run": run, "task": task, "units": rec.config.units, "seed": seed, "variable": cell.memory}
    table = pd.DataFrame(made).assign(**named).reindex(columns=list(COLUMNS))
    table = table.astype({"confirmed": "boolean", "lag": "Int64", "n": "Int64", "other": "string"})
    first = next(iter(rec.parts))
    table.attrs = {"keeps": cell.keeps or "", "words": {name: cell.word(name) for name in cell.names},
                   "makes": makes_memory(rec.parts[first], rec.weights[0][first], rec.mask)}  # fmt: skip
    return table


@dataclass
class _Units:
    """Which units there are: how many of each layer and direction, and all of them."""

    shape: dict[tuple[int, str], int]
    keys: list[UnitKey]


def moments(rec: Recording, steps: Sequence[int] | None, after: Sequence[int]) -> list[int]:
    """Return the steps at which values are exchanged.

    Raises:
        InputError: one lies outside of the sequences, or only the first of all does not, or nothing comes after.
    """
    longest, half = int(rec.lengths.max()), int(rec.lengths.median())
    if longest < 2:
        raise NothingThereError("memory_flow: the sequences have one step each; nothing lasts")
    if not after or min(after) < 1:
        raise InputError(f"after={list(after)}: must be steps later, each from 1")
    if steps is None:
        last = max(half - 1 - max(after), (half - 1) // 2)
        even = np.linspace(min(last, half // 5), last, MOMENTS).round().astype(int)
        return sorted({min(int(step) + k % 2, max(last, 1)) for k, step in enumerate(even)})  # not all odd or even
    outside = [step for step in steps if not 0 <= step < longest or int((rec.lengths > step).sum()) < 2]
    if outside or not steps:
        raise InputError(
            f"steps={list(steps)}: must be from 0 to {longest - 1}, where two sequences at least have the step"
        )
    return sorted(set(steps))


def _links(
    key: UnitKey, kept: Float[Tensor, "sequence time"], written: Sequence[Mapping[str, Any]], events: Events,
    reading: Reading, counts: Samples,
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """Go through the rows of one unit."""
    exchanging, unit = reading.exchanging, key[2]
    cell = exchanging.rec.config.cell
    writes = torch.zeros_like(exchanging.rec.mask)
    kept_out: list[str] = []
    for row in written:
        own: dict[str, Any] = {name: value[unit].item() if isinstance(value, Tensor) else value
                               for name, value in row.items()}  # fmt: skip
        yield {"link": WRITE, **own}
        if own.get("confirmed") and own["other"] in events.comes:
            writes |= events.comes[own["other"]]
            kept_out.append(own["other"])
    mask = exchanging.rec.mask
    if (mask & ~writes).sum() < LEAST_FREE * mask.sum():  # they come nearly always: nothing can be kept out
        writes, kept_out = torch.zeros_like(writes), []
    done = exchanging.patched(key)
    real = mask & earlier(mask, key[1]) if cell.starts else mask  # before a start of its own there is nothing to keep
    for row in hold_rows(done, kept, writes, real, exchanging.after, counts):
        yield {"link": HOLD, "other": ", ".join(kept_out), **_plain(row), **_gate(row, cell)}
    for row in reading.rows(key, done, counts):
        yield {"link": READ, **_plain(row)}


def _gate(row: Mapping[str, Any], cell: Cell) -> dict[str, float]:
    """Return what a row of what is held says of the gate that keeps by its name."""
    if cell.keeps is None:
        return {"tau_forget": math.nan}
    return {"f": row["kept"]} if cell.keeps == "f" else {}


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.item() if isinstance(value, Tensor) else value for name, value in row.items()}
