"""From caught calls to one Recording: what continues one another in time, and sets of sequences under each other."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain as flat
from itertools import groupby

import torch
from torch import Tensor, nn

from lstm_probe.cells.declared import all_at_once
from lstm_probe.cells.known import cell_of
from lstm_probe.core.containers import plain
from lstm_probe.core.errors import InputError
from lstm_probe.core.vocabulary import DIRECTIONS
from lstm_probe.recorder.agreement import Check, allowed
from lstm_probe.recorder.calls import Made, Step
from lstm_probe.recorder.capture import Catcher
from lstm_probe.recorder.config import LSTMConfig, is_backward
from lstm_probe.recorder.data import LayerRecording, Padding, Recording
from lstm_probe.recorder.lengths import check_lengths
from lstm_probe.recorder.turned import turned_back, turned_steps
from lstm_probe.recorder.weights import Weights

Call = Made | Step


@dataclass
class Chain:
    """Calls that read the same sequences, one after the other in time."""

    calls: list[Call]

    def __len__(self) -> int:
        return len(self.calls[0])

    def continued_by(self, call: Call) -> bool:
        """Return whether a call begins with the state in which the last one ended; a batch may lose its last rows."""
        last = self.calls[-1]
        if call.begins or len(call) > len(last) or (len(call) < len(last) and isinstance(call, Made)):
            return False
        return _follows(last, call)

    def begun_by(self, call: Call) -> bool:
        """Return whether a call begins with no state, or with the one with which these began."""
        if call.empty:
            return True
        first = self.calls[0]
        return len(first) == len(call) and all(map(torch.equal, call.state, first.state))


def _follows(last: Call, call: Call) -> bool:
    return all(torch.equal(now, _first(then, len(call), call)) for now, then in zip(call.state, last.last))


def _first(values: Tensor, rows: int, call: Call) -> Tensor:
    return values[:rows] if isinstance(call, Step) else values[:, :rows]


def assemble(
    catcher: Catcher, *, lengths: object = None, call: int | None = None, padding: Padding = "right",
    join: str | None = None,
) -> Recording:  # fmt: skip
    """Return the Recording of all caught calls.

    Args:
        catcher: what was called, and what came of it.
        lengths: the user's own, which say what is real and change nothing else; of packed sequences they are known.
        call: in each pass this call alone; all of them where this is None.
        padding: where it stands in what went in, "right" or "left".
        join: "time" to put all calls one after the other.
    """
    if catcher.refused is not None:
        raise catcher.refused
    passes = [made for made in catcher.passes if made]
    if not passes:
        raise InputError("the LSTM was not called: nothing to record")
    if call is not None:
        if not all(-len(made) <= call < len(made) for made in passes):
            raise InputError(f"call={call}: the LSTM was called {min(map(len, passes))} time(s)")
        passes = [[made[call]] for made in passes]
    chains = [_joined(list(flat(*passes)))] if join else [chain for made in passes for chain in _chains(made)]
    recordings = [_recorded(catcher, chain) for chain in chains]
    if len({rec.config.backward for rec in recordings}) > 1:  # each as it was read, then
        backward = is_backward(catcher.lstm)
        recordings = [rec if rec.config.backward == backward else turned_back(rec) for rec in recordings]
    told = [isinstance(end := chain.calls[-1], Made) and end.shown.lengths is not None for chain in chains]
    for rec, known, own in zip(recordings, told, _shares(lengths, recordings)):
        if known and own is not None and not torch.equal(check_lengths(own, len(rec), _time(rec), rec.lengths.device),
                                                         rec.lengths):  # fmt: skip
            raise InputError("lengths: they differ from those of the packed sequences that went in")
        if not known and own is not None:
            rec.lengths = check_lengths(own, len(rec), _time(rec), rec.lengths.device)
            if padding == "left":
                rec.parts = {key: part.map(_to_the_left(rec.lengths)) for key, part in rec.parts.items()}
    whole = under_each_other(recordings)
    whole.padding = padding
    return whole


def _time(rec: Recording) -> int:
    return rec.inputs.shape[1]


def _shares(lengths: object, recordings: Sequence[Recording]) -> list[object]:
    """Return each recording's own lengths: its part of those of all sequences, or the same for each."""
    n = sum(len(rec) for rec in recordings)
    if lengths is not None and len(recordings) > 1 and len(whole := _entries(lengths)) == n:
        return list(whole.split([len(rec) for rec in recordings]))
    return [lengths] * len(recordings)


def _entries(lengths: object) -> Tensor:
    try:
        return torch.as_tensor(plain("lengths", lengths))
    except (TypeError, ValueError, RuntimeError):
        raise InputError("lengths: must be whole numbers, one for each sequence") from None


def _to_the_left(lengths: Tensor) -> Callable[[Tensor], Tensor]:
    """Return what moves the last `lengths` steps of each sequence to its beginning."""

    def moved(values: Tensor) -> Tensor:
        time = values.shape[1]
        index = (torch.arange(time, device=values.device) + (time - lengths.unsqueeze(1))) % time
        return values.gather(1, index.unsqueeze(2).expand_as(values))

    return moved


def _chains(made: Sequence[Call]) -> list[Chain]:
    """Return which calls of one pass continue one another.

    A call that begins with the state in which another ended continues it. One that begins with no state, or with the
    same as the first, begins other sequences. What lies between (a state that was changed on the way) continues
    the steps of a cell, whose caller works on every single state, but not the calls of an `nn.LSTM`.
    """
    chains: list[Chain] = []
    for call in made:
        found = [chain for chain in chains if chain.continued_by(call)]
        if not found and isinstance(call, Step) and chains and not any(chain.begun_by(call) for chain in chains):
            found = [chain for chain in chains if len(chain.calls[-1]) == len(call)]
            if len(found) > 1:
                raise InputError(
                    "the cell reads several sets of sequences by turns, and changes their states on the way: which "
                    "step continues which cannot be told; choose one with call=, or record them one after the other"
                )
        if found:
            found[-1].calls.append(call)
        else:
            chains.append(Chain([call]))
    return chains


def _joined(made: Sequence[Call]) -> Chain:
    """Return all calls as one chain."""
    chain = Chain([made[0]])
    for k, call in enumerate(made[1:], 1):
        if len(call) != len(chain) or (not chain.continued_by(call) and chain.begun_by(call)):
            raise InputError(f'join="time": call {k} does not begin with the state in which call {k - 1} ended')
        chain.calls.append(call)
    return chain


def _recorded(catcher: Catcher, chain: Chain) -> Recording:
    lstm = catcher.lstm
    if isinstance(lstm, nn.RNNCellBase):
        return _steps(lstm, [one for one in chain.calls if isinstance(one, Step)], catcher.variables, catcher.name)
    calls = [one for one in chain.calls if isinstance(one, Made)]
    directions = {direction for one in calls for _, direction in one.parts}
    config = LSTMConfig.of(lstm)
    if not config.bidirectional:
        config = replace(config, backward="reverse" in directions)
        if len(calls) > 1 and (len(directions) > 1 or config.backward != is_backward(lstm)):
            raise InputError("the module hands the LSTM steps from the last to the first in several calls: which "
                             "is which cannot be told; say which call, as in call=0")  # fmt: skip
    lengths, start = None, 0
    for k, one in enumerate(calls):
        n, time = one.shown.h.shape[:2]
        own = torch.full((n,), time, device=one.shown.h.device) if one.shown.lengths is None else one.shown.lengths
        if k < len(calls) - 1 and not bool((own == time).all()):
            raise InputError(f"call {k} is continued by another, but some of its packed sequences end before it does")
        lengths, start = own + start, start + time
    assert lengths is not None
    checks = tuple(check for one in calls for check in one.checks)
    same = all(one.weights is calls[0].weights for one in calls) and all(map(_follows, calls, calls[1:]))
    weights = calls[0].weights if same else None
    return _with_weights(Recording(_together([one.parts for one in calls], 1), lengths, config, checks), weights)


def _with_weights(rec: Recording, weights: Mapping[tuple[int, str], Weights] | None) -> Recording:
    """Return a recording that keeps the weights with which all its sequences ran, if there are such.

    Where somebody changed states between calls, they do not say alone what was computed.
    """
    if weights is None:
        return rec
    return replace(rec, weights=(weights,), ran_with=torch.zeros(len(rec), dtype=torch.long, device="cpu"))


def _steps(module: nn.RNNCellBase, steps: Sequence[Step], variables: Sequence[str], name: str) -> Recording:
    """All steps' variables at once, since x, the states that went in and those that came out are all known."""
    cell = cell_of(module)
    wide = steps[0].last[0].dtype
    n = len(steps[0])

    def stacked(values: Sequence[Tensor]) -> Tensor:  # rows that a batch has lost are zeros
        rows = [torch.cat([one, one.new_zeros(n - len(one), one.shape[1])]) for one in values]
        return torch.stack(rows, dim=1).to(wide)

    x = stacked([one.inputs for one in steps])
    before = {name: stacked([one.state[k] for one in steps]) for k, name in enumerate(cell.state)}
    start, blocks = 0, []
    for _, alike in groupby(steps, key=lambda one: id(one.weights)):
        block = list(alike)
        rows = slice(start, start + len(block))
        start += len(block)
        named = {name: values.to(wide) for name, values in block[0].weights.items()}
        own = {name: values[:, rows] for name, values in before.items()}
        blocks.append(all_at_once(cell, named, cell.reads(named, x[:, rows]), own, frozenset(cell.names)))
    made = {name: torch.cat([one[name] for one in blocks], dim=1) for name in cell.names}
    returned = {name: stacked([one.last[k] for one in steps]) for k, name in enumerate(cell.state)}
    lengths = torch.stack([torch.arange(n, device=x.device) < len(one) for one in steps]).sum(0)
    real = torch.arange(len(steps), device=x.device) < lengths.unsqueeze(1)
    checks = tuple(_step_checks(returned, made, real))
    backward = turned_steps([one.place for one in steps], name)
    key = 0, DIRECTIONS[backward]
    part = LayerRecording.of(*key, x, {v: {**made, **returned}[v] for v in variables}, cell)
    if backward:
        part = part.map(lambda values: values.flip(1))
        if not bool(real.all()):
            raise InputError(f"{name}: reads from the last step to the first, not all sequences at every step")
    same = all(one.weights is steps[0].weights for one in steps) and all(map(_follows, steps, steps[1:]))
    kept = {key: Weights(steps[0].weights, cell).to(wide)} if same else None
    config = replace(LSTMConfig.of(module), backward=backward)
    return _with_weights(Recording({key: part}, lengths, config, checks), kept)


def _step_checks(returned: dict[str, Tensor], made: dict[str, Tensor], real: Tensor) -> Iterator[Check]:
    for name, told in returned.items():
        apart = (made[name] - told).abs().amax(-1).masked_fill(~real, 0)
        scale = float(told[real].abs().amax())
        most = allowed(told, scale)
        worst = float(apart.amax())
        if not worst <= most:
            step = int(torch.nonzero(~(apart <= most).all(0))[0])
            raise InputError(
                f"the cell's {name} recomputed from its inputs and weights is not what it returned (first at step "
                f"{step}): up to {worst:.3g} apart, where {most:.3g} is allowed; usual causes: a forward of its "
                "own, a hook that changes its output, weights that change without PyTorch's knowledge"
            )
        yield Check(0, 0, "forward", f"{name} of every step", len(real), int(real.sum()), worst, scale, most)


def _together(
    every: Sequence[dict[tuple[int, str], LayerRecording]], axis: int
) -> dict[tuple[int, str], LayerRecording]:
    if len(every) == 1:
        return dict(every[0])
    parts = {}
    for key, part in every[0].items():
        own = [one[key] for one in every]
        tensors = {v: torch.cat([one[v] for one in own], dim=axis) for v in part.variables}
        inputs = torch.cat([one.inputs for one in own], dim=axis)
        parts[key] = LayerRecording.of(part.layer, part.direction, inputs, tensors, part.cell)
    return parts


def _alike(one: Mapping[tuple[int, str], Weights], other: Mapping[tuple[int, str], Weights]) -> bool:
    return one is other or all(
        torch.equal(values, other[key].named[name]) for key, own in one.items() for name, values in own.named.items()
    )


def under_each_other(recordings: Sequence[Recording]) -> Recording:
    """Return one Recording of all these sequences, padded to the longest."""
    if len(recordings) == 1:
        return recordings[0]
    time = max(_time(rec) for rec in recordings)

    def longer(values: Tensor) -> Tensor:
        missing = time - values.shape[1]
        if not missing:
            return values
        return torch.cat([values, values.new_zeros(len(values), missing, values.shape[2])], dim=1)

    parts = [{key: part.map(longer) for key, part in rec.parts.items()} for rec in recordings]
    lengths = torch.cat([rec.lengths for rec in recordings])
    checks = tuple(check for rec in recordings for check in rec.checks)
    weights: list[Mapping[tuple[int, str], Weights]] = []
    ran_with = []
    for rec in recordings:
        places = []
        for own in rec.weights:
            if not weights or not _alike(weights[-1], own):
                weights.append(own)
            places.append(len(weights) - 1)
        none = torch.full((len(rec),), -1, device="cpu")
        ran_with.append(none if rec.ran_with is None else torch.tensor([*places, -1], device="cpu")[rec.ran_with])
    return Recording(
        _together(parts, 0), lengths, recordings[0].config, checks, weights=tuple(weights),
        ran_with=torch.cat(ran_with),
    )  # fmt: skip
