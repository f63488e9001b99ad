"""Which input events write a unit's memory: what its gates do when one comes, and what follows when one is put in.

A step keeps a share of the memory c and writes something into it: of an LSTM c' = f · c + i · g. What an event does to
it is told by the straight line of c' on c over the steps at which it comes, beside that of the steps at which nothing
does: a latch is set to a value, whatever it was before (slope 0), a counter goes on (slope 1, and a step), a parity
turns over (slope −1), of which the mean change of c says nothing. What the two lines say is then tried: the event is
put in at steps at which it did not come.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from lstm_probe.cells.known import cell_of
from lstm_probe.cells.lstm import LSTM
from lstm_probe.core.signal import Batch
from lstm_probe.dynamics.events import Event, Events, Put, earlier
from lstm_probe.recorder import find_lstm, record
from lstm_probe.recorder.calling import arguments
from lstm_probe.recorder.data import LayerRecording

#: A change below this share of the memory's size is rounding.
ROUNDING = 1e-5
#: What the steps at which no event comes are called.
NOTHING = "nothing"

Units = Float[Tensor, " unit"]
#: Intercept and slope.
Line = tuple[Units, Units]
Samples = Float[Tensor, "sample sequence"]


@dataclass(frozen=True)
class Traffic:
    """What a layer's memories do at each step, in one direction.

    Attributes:
        before, after: the memory, before and after the step.
        kept: by what the step multiplies the memory before it.
        written: what it adds.
        gates: i, f and g, as far as the cell has them, by letter.
        there: the steps that have one before them.
        typical: by unit, the root mean square of all changes of the memory in a step.
    """

    before: Float[Tensor, "sequence time unit"]
    after: Float[Tensor, "sequence time unit"]
    kept: Float[Tensor, "sequence time unit"]
    written: Float[Tensor, "sequence time unit"]
    gates: Mapping[str, Float[Tensor, "sequence time unit"]]
    there: Bool[Tensor, "sequence time"]
    typical: Units

    @classmethod
    def of(
        cls, part: LayerRecording, mask: Bool[Tensor, "sequence time"], kept: Float[Tensor, "sequence time unit"]
    ) -> "Traffic":
        """Return it from a recording of all variables."""
        after = part[part.cell.memory].double()
        before = earlier(torch.where(mask.unsqueeze(-1), after, 0), part.direction)
        there = earlier(mask, part.direction) & mask
        typical = (after - before)[there].square().mean(0).sqrt()
        gates = {letter: part[letter].double() for letter in "ifg" if letter in part.variables}
        written = gates["i"] * gates["g"] if part.cell == LSTM else after - kept * before
        return cls(before, after, kept, written, gates, there, typical)

    def line(self, steps: Bool[Tensor, "sequence time"]) -> Line:
        """Return intercept and slope of the memory after these steps on it before; slope 0 where that never varies."""
        x, y = self.before[steps], self.after[steps]
        middle, level = x.mean(0), y.mean(0)
        spread = (x - middle).square().sum(0)
        varies = spread > (ROUNDING * (1 + middle.abs())).square() * len(x)
        slope = torch.where(varies, ((x - middle) * (y - level)).sum(0) / torch.where(varies, spread, 1), 0)
        return level - slope * middle, slope


@dataclass(frozen=True)
class PutIn:
    """What followed when events were put in, at one step of each sequence.

    Attributes:
        sequences, steps: where.
        after: by part, what the memory was after the step, with what was put in.
    """

    sequences: Int[Tensor, " row"]
    steps: Int[Tensor, " row"]
    after: Mapping[Put, Mapping[tuple[int, str], Float[Tensor, "row unit"]]]

    def beside(self, puts: Sequence[Put], part: tuple[int, str]) -> Float[Tensor, "row unit"]:
        """Return the median of the memory after the step over what was put in."""
        return middle([self.after[put][part] for put in puts])


def middle(values: Sequence[Tensor]) -> Tensor:
    """Return the median, element by element; of an even number, the mean of the two in the middle."""
    return values[0] if len(values) == 1 else torch.stack(list(values)).quantile(0.5, dim=0)


def put_in(model: nn.Module, batch: Batch, events: Events, layer: str | None, rng: np.random.Generator) -> PutIn:
    """Put each event, and what it is compared with, into one step of each sequence, and run the model."""
    free = events.free.clone()
    free[:, 0] = False
    inner = free & ~(torch.arange(free.shape[1]) == batch.lengths.cpu().unsqueeze(1) - 1)  # with a step on both sides
    free = torch.where(inner.any(1, keepdim=True), inner, free)
    drawn = torch.from_numpy(rng.random(tuple(free.shape))).masked_fill(~free, -1.0)
    sequences = torch.nonzero(free.any(1))[:, 0]
    steps = drawn.argmax(1)[sequences]
    puts = dict.fromkeys(put for event in events.found for put in (event.put, *event.against) if event.is_input)
    after, memory = {}, cell_of(find_lstm(model, layer)[1]).memory
    for put in puts:
        inputs = batch.inputs.clone()
        if put is not None:
            features, values = put
            inputs[sequences.unsqueeze(1), steps.unsqueeze(1), torch.tensor(features)] = inputs.new_tensor(values)
        given = arguments(model, replace(batch, inputs=inputs))
        rec = record(model, given, layer=layer, lengths=batch.lengths, variables=(memory,))
        after[put] = {key: part[memory][sequences, steps].cpu().double() for key, part in rec.parts.items()}
    return PutIn(sequences, steps, after)


def write_rows(
    traffic: Traffic, events: Events, signals: Sequence[Event], tried: PutIn, part: tuple[int, str], counts: Samples,
    min_change: float,
) -> list[dict[str, Any]]:  # fmt: skip
    """Return what each event does to every unit of a part: values by column, (unit) each.

    Args:
        traffic: of the part.
        events, signals: input events, and changes of signals, which cannot be put in.
        tried: what followed when events were put in.
        part: layer and direction.
        counts: how often each sequence is in each resample; once in the first.
        min_change: share of a unit's largest change, or of its typical one, that counts.
    """
    rows = [] if events.quiet is None else [{"other": NOTHING, **_seen(traffic, events.quiet & traffic.there)}]
    lines = {event.put: traffic.line(event.here & traffic.there) for event in events.found}
    for event in (*events.found, *signals):
        here, without = event.here & traffic.there, event.without & traffic.there
        if not here.any() or not without.any():
            continue
        row = {"other": event.name, **_seen(traffic, here), "slope": traffic.line(here)[1]}
        base = traffic.line(without)
        row |= _beyond(traffic, base, here, without, counts)
        if event.is_input:
            others = [lines[put] for put in event.against if put in lines] or [base]
            row |= _effects(traffic, event, tried, part, counts, lines[event.put], others)
        rows.append(row)
    largest = torch.stack([traffic.typical, *(row["effect"] for row in rows if "effect" in row)]).amax(0)
    rounding = ROUNDING * traffic.after[traffic.there].square().mean(0).sqrt()
    least = (min_change * largest).maximum(rounding)
    for row in rows:
        if "effect" in row:
            row |= {"least": least, "confirmed": (row["ci_low"] >= least) & (least > 0) & (row["agreement_low"] > 0)}
    return rows


def _seen(traffic: Traffic, steps: Bool[Tensor, "sequence time"]) -> dict[str, Any]:
    """Return what memory and gates do at some steps, on average."""
    change = (traffic.after - traffic.before)[steps]
    seen = {"kept": traffic.kept, "written": traffic.written, **traffic.gates}
    return {
        "n": int(steps.sum()), "change": change.mean(0), "size": change.abs().mean(0),
        **{name: values[steps].mean(0) for name, values in seen.items()},
    }  # fmt: skip


def _beyond(
    traffic: Traffic, base: Line, here: Tensor, without: Tensor, counts: Samples
) -> dict[str, Any]:  # fmt: skip
    """Return how much further the memory ends from the line of steps without an event than at these themselves."""
    off = (traffic.after - base[0] - base[1] * traffic.before).abs()
    means = []
    for steps in (here, without):
        sums = torch.where(steps.unsqueeze(-1), off, 0).sum(1)
        means.append((counts @ sums) / (counts @ steps.sum(1).double()).unsqueeze(1))
    beyond = means[0] - means[1]
    return {"beyond": beyond[0], **ends(beyond, "beyond_low", "beyond_high")}


def _effects(
    traffic: Traffic, event: Event, tried: PutIn, part: tuple[int, str], counts: Samples, own: Line,
    others: Sequence[Line],
) -> dict[str, Any]:  # fmt: skip
    """Return what the memory changed by when an event was put in, and how much of that the table's lines tell."""
    effect = tried.after[event.put][part] - tried.beside(event.against, part)
    before = traffic.before[tried.sequences, tried.steps]
    told = own[0] + own[1] * before - middle([line[0] + line[1] * before for line in others])
    weights = counts[:, tried.sequences]
    sizes = (weights @ effect.abs()) / weights.sum(1, keepdim=True)
    squares = weights @ effect.square()
    nothing = torch.full_like(squares, torch.nan)
    agreement = torch.where(squares > 0, 1 - (weights @ (effect - told).square()) / squares, nothing)
    return {
        "effect": sizes[0], **ends(sizes), "signed": effect.mean(0),
        "agreement": agreement[0], "agreement_low": ends(agreement)["ci_low"],
    }  # fmt: skip


def ends(
    samples: Float[Tensor, "sample unit"], low: str = "ci_low", high: str = "ci_high"
) -> dict[str, Units]:  # fmt: skip
    """Return the ends of the 95 % interval; of no resamples they are not known."""
    if len(samples) < 2:
        nothing = torch.full_like(samples[0], torch.nan)
        return {low: nothing, high: nothing}
    found = torch.nanquantile(samples[1:], torch.tensor([0.025, 0.975], dtype=samples.dtype), dim=0)
    return {low: found[0], high: found[1]}
