"""Exact recording of any LSTM: `record` runs a module and records, `recording` records while you run it."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any, overload

import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from lstm_probe.core.errors import InputError
from lstm_probe.core.vocabulary import VARIABLES
from lstm_probe.recorder.assemble import assemble, check_variables
from lstm_probe.recorder.capture import Calls, catching, check_call, find_lstm, lstm_call, run, undisturbed
from lstm_probe.recorder.data import LayerRecording, LSTMConfig, Recording
from lstm_probe.recorder.disk.digests import weights_sha256
from lstm_probe.recorder.disk.index import in_order
from lstm_probe.recorder.disk.stored import StoredRecording, open_recording
from lstm_probe.recorder.disk.writing import record_to
from lstm_probe.recorder.exact import record_lstm

__all__ = [
    "LSTMConfig", "LayerRecording", "Recording", "StoredRecording", "find_lstm", "open_recording", "record",
    "record_lstm", "recording",
]  # fmt: skip


@overload
def record(
    module: nn.Module, inputs: Any, *, lengths: Any = None, state: Any = None, layer: str | None = None,
    variables: Sequence[str] = VARIABLES, call: int | None = None,
) -> Recording: ...  # fmt: skip


@overload
def record(
    module: nn.Module, inputs: Any, *, lengths: Any = None, state: Any = None, layer: str | None = None,
    variables: Sequence[str] = VARIABLES, call: int | None = None, to: str | PathLike[str],
    shard_bytes: int | None = None, sequences: int | None = None,
) -> StoredRecording: ...  # fmt: skip


def record(
    module: nn.Module,
    inputs: Any,
    *,
    lengths: Int[Tensor, " sequence"] | Sequence[int] | Iterable[Any] | None = None,
    state: tuple[Tensor, Tensor] | None = None,
    layer: str | None = None,
    variables: Sequence[str] = VARIABLES,
    call: int | None = None,
    to: str | PathLike[str] | None = None,
    shard_bytes: int | None = None,
    sequences: int | None = None,
) -> Recording | StoredRecording:
    """Run a module and record the six variables of every unit of its LSTM at every step, exactly.

    The module runs as it stands, in evaluation mode and without gradients; what really goes into the LSTM is what is
    recorded. Afterwards the module is as it was: modes, hooks, gradients and random state.

    Args:
        module: an `nn.LSTM` or `nn.LSTMCell`, or any module that holds one.
        inputs: what the module is called with: a tensor, a tuple of arguments, or a dict of named ones. For an
            `nn.LSTM` itself, a tensor in its own layout, or packed sequences.
        lengths: how many steps of each sequence are real, 1 or more; where the module packs its sequences this is
            known without, else all steps count as real where this is None.
        state: for an `nn.LSTM` itself, the initial (h0, c0) as it takes them; zeros where this is None.
        layer: the name of the LSTM in the module, such as "encoder.rnn", where there are several.
        variables: which of h c i f g o to keep; fewer cost less.
        call: where the LSTM is called several times in one forward pass: this call alone. None: all calls, one
            after the other along the time axis.
        to: a folder to record into, for more than memory holds. `inputs` then is an iterable of batches, each
            what the module is called with, or an object with `.inputs`, `.lengths` and `.signals` (such as a
            task's Batch), which are stored too; `lengths` has one entry for each batch. The same call again goes
            on where an interrupted one was. How much disk it takes is logged before anything is written.
        shard_bytes: with `to`, the most that one file may take; each batch is one file where this is None.
        sequences: with `to`, how many sequences there will be, where `inputs` cannot say how many batches it
            has.

    Returns:
        A Recording, always (sequence, time, unit). With `to`, a StoredRecording, which reads slices.

    Raises:
        InputError: no LSTM, or several; shapes, lengths, types or values that cannot be recorded; a folder
            that holds something else.
        OSError: not enough room on the disk.
    """
    check_variables(variables)
    name, lstm = find_lstm(module, layer)
    if to is not None:
        if state is not None:
            raise InputError("state: with to=, give each batch as a tuple (inputs, (h0, c0))")
        settings = {
            "lstm": str(lstm), "layer": name, "variables": " ".join(in_order(variables)), "call": str(call),
            "shard_bytes": str(shard_bytes), "weights": weights_sha256(module),
        }  # fmt: skip

        def one(given: Any, own: Any) -> Recording:
            return record(module, given, lengths=own, layer=layer, variables=variables, call=call)

        record_to(Path(to), one, settings, inputs, lengths, shard_bytes, sequences)
        return open_recording(to)
    if shard_bytes is not None or sequences is not None:
        raise InputError("shard_bytes= and sequences= go with to=, a folder to record into")
    if module is lstm and isinstance(lstm, nn.LSTM):  # what it returns is not needed: no need to run it
        args = inputs if isinstance(inputs, tuple) and not isinstance(inputs, PackedSequence) else (inputs, state)
        own = lstm_call(lstm, args, {})
        check_call(lstm, own.inputs, own.state)
        calls = Calls([[own]])
    else:
        with undisturbed(module), catching(module, lstm) as calls:
            run(module, inputs)
    with torch.no_grad():
        return assemble(lstm, calls, lengths, variables, call)


@contextmanager
def recording(
    module: nn.Module,
    *,
    lengths: Int[Tensor, " sequence"] | Sequence[int] | None = None,
    layer: str | None = None,
    variables: Sequence[str] = VARIABLES,
    call: int | None = None,
) -> Iterator[Recording]:
    """Record while you run the module yourself: `with lp.recording(model) as rec: model(x)`, then `rec.c`.

    The module is used as you use it, with its mode and gradients as they are. Each forward pass of `module` adds its
    sequences; calls of the LSTM within one pass follow one another in time, as do calls of an `nn.LSTMCell` that is
    itself the `module`. The recording is there when the context ends. Arguments as in `record`.

    Raises:
        InputError: as `record`; also when the LSTM was never called.
    """
    check_variables(variables)
    _, lstm = find_lstm(module, layer)
    rec = Recording({}, torch.zeros(0, dtype=torch.long), LSTMConfig(lstm.input_size, lstm.hidden_size))
    with catching(module, lstm) as calls:
        yield rec
    with torch.no_grad():
        done = assemble(lstm, calls, lengths, variables, call)
    rec.parts, rec.lengths, rec.config = done.parts, done.lengths, done.config
