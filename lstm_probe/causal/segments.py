"""Clamps of some steps alone, and to the values of other sequences, as fused runs one after the other.

Before its window a layer runs as it is; within it with weights that hold, or that hear what the donor's gates heard as
further inputs; after it as it is again, from the state where the window ended. That reproduces a loop over steps
exactly: a memory is set where the window begins and then kept or written as the donor's was; an h that is put in the
place of the unit's own is what all read a step later, while the unit's own memory goes on underneath.
"""

from typing import Any

import torch
from torch import Tensor

from lstm_probe.causal.clamp import Clamp, Named, Window, hear, hold
from lstm_probe.causal.donors import Donor, Trace, cell_weights
from lstm_probe.causal.layers import Call, Side


def clamped_by_segments(
    call: Call, clamps: dict[tuple[int, int], Clamp], first: int, number: int, trace: Trace | None
) -> tuple[Tensor, ...]:
    """Run a call of the kernel with clamps of any kind.

    Args:
        call: as the module made it.
        clamps: by layer and side.
        first: which step of the sequences it begins with.
        number: which call that is.
        trace: of the donors' run, where there is one.
    """
    donors = {} if trace is None else trace.sides(number, call)

    def run(layer: int, side: int, one: Side) -> None:
        clamp = clamps.get((layer, side))
        if clamp is None:
            one.run(0, len(one.x))
            return
        window = clamp.window or (first, first + len(one.x))
        start, stop = window[0] - first, window[1] - first
        donor = donors.get((layer, side)) if clamp.values is None else None
        if clamp.direction == "forward":
            _clamp(one, clamp, (max(start, 0), min(stop, len(one.x))), donor)
        elif one.lengths is None:
            mirrored = max(len(one.x) - stop, 0), min(len(one.x) - start, len(one.x))
            _clamp(one, clamp, mirrored, donor)
        else:
            _by_length(one, clamp, (start, stop), donor)

    return call.through_layers(run)


def _by_length(one: Side, clamp: Clamp, window: Window, donor: Donor | None) -> None:
    """Clamp what is read from the end: of sequences of each length, the window begins elsewhere."""
    assert one.lengths is not None
    for length in one.lengths.unique().tolist():
        chosen = torch.nonzero(one.lengths == length)[:, 0]
        part = Side(one.func, one.named, one.x[:length, chosen], None, one.h0[chosen], one.c0[chosen])
        mirrored = max(length - window[1], 0), min(length - window[0], length)
        _clamp(part, clamp, mirrored, None if donor is None else donor.of(length, chosen))
        one.h[:length, chosen], one.h0[chosen], one.c0[chosen] = part.h, part.h0, part.c0


def _clamp(one: Side, clamp: Clamp, window: Window, donor: Donor | None) -> None:
    """Run all steps, those within the window clamped; it may be empty."""
    start, stop = window
    if start >= stop:
        one.run(0, len(one.x))
    elif clamp.variable == "h":
        _clamp_shown(one, clamp, window, donor)
    else:
        one.run(0, start)
        named = {name: values.clone() for name, values in one.named.items()}
        units, going_on, further = list(clamp.units), one.going_on(start), None
        if donor is None:
            memory = hold(named, clamp)
        else:
            memory = donor.memory_before(start)[:going_on, units] if clamp.variable == "c" else None
            gates = "ifg" if clamp.variable == "c" else clamp.variable
            hear(named, gates, units)
            further = donor.gates(gates, clamp.units)[start:stop]
        if memory is not None:
            one.c0[:going_on, units] = memory
        one.run(start, stop, named, further)
        one.run(stop, len(one.x))


def _clamp_shown(one: Side, clamp: Clamp, window: Window, donor: Donor | None) -> None:
    """Put other values in the place of h: what was shown at one step is read at the next."""
    (start, stop), time = window, len(one.x)
    units = list(clamp.units)
    named = {name: values.clone() for name, values in one.named.items()}
    heard = named["weight_hh"][:, units].clone()
    named["weight_hh"][:, units] = 0
    end, further = min(stop + 1, time), None
    if donor is None:
        values = clamp.constants(one.h).expand(stop - start, one.h.shape[1], -1)
        named["bias_ih"] += heard @ values[0, 0]
    else:
        values = donor.h[start:stop, :, units]
        named["weight_ih"] = torch.cat([named["weight_ih"], heard], dim=1)
        further = values[: end - start - 1]
    one.run(0, start + 1)
    one.run(start + 1, end, named, further)
    one.run(end, time)
    one.h[start:stop, :, units] = values
    ends = torch.nonzero((one.last >= start) & (one.last < stop))
    one.h0[ends, units] = values[one.last[ends[:, 0]] - start, ends[:, 0]]


def clamped_step(func: Any, args: tuple[Any, ...], clamp: Clamp, donor: Donor | None) -> tuple[Tensor, Tensor]:
    """Run one step of an LSTMCell with a clamp."""
    x, (h, c), *weights = args
    named: Named = {name: values.clone() for name, values in cell_weights(weights).items()}
    units = list(clamp.units)
    if clamp.variable == "h" and (donor is not None or clamp.window is not None):
        h, c = func(x, (h, c), *named.values())
        h = h.clone()
        h[..., units] = clamp.constants(h) if donor is None else donor.h[0][..., units]
        return h, c
    if donor is None:
        memory = hold(named, clamp)
    elif clamp.variable == "c":
        memory = donor.c[0][..., units]
        hold(named, Clamp(0, "forward", "c", clamp.units, (0.0,) * len(units)))
    else:
        memory = None
        hear(named, clamp.variable, units)
        x = torch.cat([x, donor.gates(clamp.variable, clamp.units)[0]], dim=-1)
    if memory is not None:
        c = c.clone()
        c[..., units] = memory
    h, c = func(x, (h, c), *named.values())
    if clamp.variable == "h":
        c[..., units] = torch.nan
    return h, c
