"""From caught calls to one Recording: steps of one pass one after the other, passes under each other."""

from collections.abc import Sequence

import torch
from jaxtyping import Int
from torch import Tensor, nn

from lstm_probe.core.errors import InputError
from lstm_probe.core.vocabulary import VARIABLES
from lstm_probe.recorder.capture import Call, Calls, Recordable
from lstm_probe.recorder.data import LayerRecording, LSTMConfig, Recording
from lstm_probe.recorder.exact import GATES, Weights, record_lstm


def check_variables(variables: Sequence[str]) -> None:
    """Raise an InputError unless these are some of h c i f g o."""
    unknown = [v for v in variables if v not in VARIABLES]
    if unknown or not variables:
        raise InputError(f"variables={' '.join(unknown)}: must be among {' '.join(VARIABLES)}")


def check_lengths(lengths: object, n: int, time: int, device: torch.device) -> Int[Tensor, " sequence"]:
    """Return lengths as a tensor, all of them `time` where None was given."""
    if lengths is None:
        return torch.full((n,), time, device=device)
    try:
        given = torch.as_tensor(lengths, device=device)
        whole = given.long()
        legal = whole.shape == (n,) and bool((whole == given).all()) and whole.min() >= 1 and whole.max() <= time
    except (TypeError, ValueError, RuntimeError):
        legal = False
    if not legal:
        raise InputError(f"lengths: must be {n} whole numbers from 1 to {time}, one for each sequence")
    return whole


def assemble(
    lstm: Recordable, calls: Calls, lengths: object, variables: Sequence[str], call: int | None = None
) -> Recording:
    """Return the Recording of all caught calls.

    Args:
        lstm: what was called.
        calls: what went in.
        lengths: the user's own, where the calls themselves do not say how long the sequences are.
        variables: which of h c i f g o.
        call: in each pass this call alone; all of them, one after the other in time, where this is None.
    """
    passes = [made for made in calls.passes if made]
    if not passes:
        raise InputError("the LSTM was not called: nothing to record")
    if call is not None:
        if not all(-len(made) <= call < len(made) for made in passes):
            raise InputError(f"call={call}: the LSTM was called {min(map(len, passes))} time(s)")
        passes = [[made[call]] for made in passes]
    return under_each_other([_one_pass(lstm, made, lengths, variables) for made in passes])


def _one_pass(lstm: Recordable, made: list[Call], lengths: object, variables: Sequence[str]) -> Recording:
    if len({len(one.inputs) for one in made}) > 1 or (len(made) > 1 and any(c.lengths is not None for c in made)):
        shapes = ", ".join(str(tuple(one.inputs.shape[:2])) for one in made[:4])
        raise InputError(
            f"the LSTM was called {len(made)} times in one pass, on sequences that do not fit together "
            f"((sequence, time): {shapes}): choose one call with call=0, call=1 and so on"
        )
    time, first = sum(one.inputs.shape[1] for one in made), made[0]
    if first.lengths is not None and lengths is not None:
        given = check_lengths(lengths, len(first.inputs), time, first.inputs.device)
        if not torch.equal(given, first.lengths):
            raise InputError("lengths: they differ from those of the packed sequences that went in")
    own = first.lengths if first.lengths is not None else lengths
    checked = check_lengths(own, len(first.inputs), time, first.inputs.device)
    if isinstance(lstm, nn.LSTMCell):
        return _cell(lstm, made, checked, variables)
    if len(made) == 1:
        return record_lstm(lstm, first.inputs, checked, first.state, variables)
    every = []
    for one in made:
        whole = check_lengths(None, len(one.inputs), one.inputs.shape[1], one.inputs.device)
        every.append(record_lstm(lstm, one.inputs, whole, one.state, variables))
    return _joined(every, 1, checked)


def _cell(lstm: nn.LSTMCell, made: list[Call], lengths: Tensor, variables: Sequence[str]) -> Recording:
    """Gates of all steps from one product, since x, the states that went in and those that came out are all known."""
    x = torch.cat([one.inputs for one in made], dim=1)
    zeros = x.new_zeros(len(x), lstm.hidden_size)
    before = torch.stack([zeros if one.state is None else one.state[0] for one in made], dim=1)
    wx, wh, bias = Weights(lstm).rows(GATES)
    pre = x @ wx + before @ wh
    if bias is not None:
        pre += bias
    values = {gate: part.tanh() if gate == "g" else part.sigmoid() for gate, part in zip(GATES, pre.chunk(4, -1))}
    for k, name in enumerate("hc"):
        values[name] = torch.stack([one.result[k] for one in made if one.result is not None], dim=1)
    config = LSTMConfig(lstm.input_size, lstm.hidden_size, bias=lstm.bias)
    part = LayerRecording(0, "forward", x, **{v: values[v] for v in variables})
    return Recording({(0, "forward"): part}, lengths, config)


def _joined(recordings: Sequence[Recording], axis: int, lengths: Tensor) -> Recording:
    first = recordings[0]
    parts = {}
    for key, part in first.parts.items():
        every = [rec.parts[key] for rec in recordings]
        tensors = {v: torch.cat([one[v] for one in every], dim=axis) for v in part.variables}
        inputs = torch.cat([one.inputs for one in every], dim=axis)
        parts[key] = LayerRecording(part.layer, part.direction, inputs, **tensors)
    return Recording(parts, lengths, first.config)


def _padded(rec: Recording, time: int) -> Recording:
    missing = time - rec.inputs.shape[1]
    if not missing:
        return rec

    def longer(values: Tensor) -> Tensor:
        return torch.cat([values, values.new_zeros(len(values), missing, values.shape[2])], dim=1)

    parts = {
        key: LayerRecording(
            part.layer, part.direction, longer(part.inputs), **{v: longer(part[v]) for v in part.variables}
        )
        for key, part in rec.parts.items()
    }
    return Recording(parts, rec.lengths, rec.config)


def under_each_other(recordings: Sequence[Recording]) -> Recording:
    """Return one Recording of all these sequences, padded to the longest."""
    if len(recordings) == 1:
        return recordings[0]
    time = max(rec.inputs.shape[1] for rec in recordings)
    lengths = torch.cat([rec.lengths for rec in recordings])
    return _joined([_padded(rec, time) for rec in recordings], 0, lengths)
