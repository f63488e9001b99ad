"""Exact recording of any LSTM: `record` runs a module and records, `recording` records while you run it."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, overload

import torch
from torch import nn

from lstm_probe.cells.known import cell_of
from lstm_probe.core.errors import InputError
from lstm_probe.recorder.assemble import assemble, under_each_other
from lstm_probe.recorder.capture import Catcher, catching
from lstm_probe.recorder.config import LSTMConfig
from lstm_probe.recorder.data import LayerRecording, Padding, Recording, check_variables
from lstm_probe.recorder.disk.digests import weights_sha256
from lstm_probe.recorder.disk.index import in_order
from lstm_probe.recorder.disk.stored import StoredRecording, open_recording
from lstm_probe.recorder.disk.writing import record_to
from lstm_probe.recorder.exact import record_lstm
from lstm_probe.recorder.finding import ALL, find_lstm, find_lstms
from lstm_probe.recorder.inputs import as_called, as_state, batches, is_batches, lengths_of_batches, run
from lstm_probe.recorder.kernel import Recordable
from lstm_probe.recorder.leaving import undisturbed
from lstm_probe.recorder.lengths import lengths_of_mask

__all__ = [
    "LSTMConfig", "LayerRecording", "Recording", "StoredRecording", "find_lstm", "open_recording", "record",
    "record_lstm", "recording",
]  # fmt: skip


@overload
def record(
    module: nn.Module, inputs: Any, *, lengths: Any = None, mask: Any = None, padding: str = "right",
    state: Any = None, layer: str | None = None, variables: Sequence[str] | None = None, call: int | None = None,
    join: str | None = None,
) -> Recording: ...  # fmt: skip


@overload
def record(
    module: nn.Module, inputs: Any, *, lengths: Any = None, mask: Any = None, padding: str = "right",
    state: Any = None, layer: list[str] | tuple[str, ...], variables: Sequence[str] | None = None,
    call: int | None = None, join: str | None = None,
) -> dict[str, Recording]: ...  # fmt: skip


@overload
def record(
    module: nn.Module, inputs: Any, *, lengths: Any = None, mask: Any = None, padding: str = "right",
    state: Any = None, layer: str | None = None, variables: Sequence[str] | None = None, call: int | None = None,
    join: str | None = None, to: str | PathLike[str], shard_bytes: int | None = None, sequences: int | None = None,
) -> StoredRecording: ...  # fmt: skip


def record(
    module: nn.Module,
    inputs: Any,
    *,
    lengths: Any = None,
    mask: Any = None,
    padding: str = "right",
    state: Any = None,
    layer: str | list[str] | tuple[str, ...] | None = None,
    variables: Sequence[str] | None = None,
    call: int | None = None,
    join: str | None = None,
    to: str | PathLike[str] | None = None,
    shard_bytes: int | None = None,
    sequences: int | None = None,
) -> Recording | StoredRecording | dict[str, Recording]:
    """Run a module and record every variable of every unit of its LSTM at every step, exactly.

    The module runs as it stands, in evaluation mode and without gradients. What its LSTM's kernel really read, began
    with and multiplied by is what the recording is made of; h recomputed from it is compared with the h that the LSTM
    returned, and the recording is refused where they differ (`Recording.check` says how well they agree). Afterwards
    the module is as it was: modes, hooks, gradients, random state, and what it keeps in attributes.

    Args:
        module: an `nn.LSTM`, `nn.GRU` or `nn.RNN`, one of their cells, a `GatedRNN`, or any module that holds one.
        inputs: what the module is called with: a tensor or array, a tuple of arguments, or a dict of named ones, in
            the module's own layout; packed sequences for a recurrent layer itself; a list of sequences (time, feature),
            which are packed for a recurrent layer itself and padded for another module; or a DataLoader or another
            iterator of batches.
        lengths: how many steps of each sequence are real, 1 or more. It says what counts and never changes what is
            computed. Where the module packs its sequences it is known without; else all steps are real where this
            is None. With several batches, one entry for each.
        mask: instead of `lengths`, (sequence, time), true where a step is real; it tells the side of the padding, too.
        padding: "left" where the real steps of each sequence are its last ones in what goes in. In the recording
            they always are the first.
        state: for an `nn.LSTM` itself, the initial (h0, c0) as it takes them; zeros where this is None.
        layer: the name of the LSTM in the module, such as "encoder.rnn", where there are several; a list of names, or
            "all", for several in one pass.
        variables: which to keep, of an LSTM some of h c i f g o; fewer cost less. None: all.
        call: where the LSTM is called several times in one forward pass: this call alone. None: all calls. One that
            begins with the state in which another ended continues it in time; others are further sequences.
        join: "time" to put all calls, and all batches, one after the other in time: the chunks of longer sequences.
        to: a folder to record into, for more than memory holds. `inputs` then is an iterable of batches, each
            what the module is called with, or an object with `.inputs`, `.lengths` and `.signals` (such as a
            task's Batch), which are stored too; `lengths` has one entry for each batch. The same call again goes
            on where an interrupted one was. How much disk it takes is logged before anything is written.
        shard_bytes: with `to`, the most that one file may take; each batch is one file where this is None.
        sequences: with `to`, how many sequences there will be, where `inputs` cannot say how many batches it
            has.

    Returns:
        A Recording, always (sequence, time, unit); for several layers a dict of them by name. With `to`, a
        StoredRecording, which reads slices.

    Raises:
        InputError: no LSTM, or several; shapes, lengths, types or values that cannot be recorded; an LSTM that
            returned something else than what its weights make of its inputs; a folder that holds something else.
        OSError: not enough room on the disk.

    >>> import torch
    >>> import lstm_probe as lp
    >>> class Tagger(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.rnn = torch.nn.LSTM(3, 8, batch_first=True)
    ...     def forward(self, x):
    ...         return self.rnn(x)[0].mean(1)
    >>> rec = lp.record(Tagger(), torch.randn(4, 10, 3))
    >>> rec.c.shape, rec.f.shape
    (torch.Size([4, 10, 8]), torch.Size([4, 10, 8]))
    """
    if to is not None:
        return _record_to(
            Path(to), module, inputs, lengths, shard_bytes, sequences,
            {"layer": layer, "variables": variables, "call": call, "join": join, "padding": padding,
             "state": state, "mask": mask},
        )  # fmt: skip
    if shard_bytes is not None or sequences is not None:
        raise InputError("shard_bytes= and sequences= go with to=, a folder to record into")
    lstms = find_lstms(module, layer)
    for lstm in lstms.values():
        check_variables(variables, cell_of(lstm))
    lengths, side = _real(lengths, mask, padding, join)
    if state is not None and module is not next(iter(lstms.values())):
        raise InputError("state: for an nn.LSTM itself; hand it to the module as one of its own arguments")
    settings = _Settings(lstms, variables, call, side, join, as_state(module, state))
    if is_batches(inputs) and join is None:
        every = zip(batches(inputs), lengths_of_batches(lengths))
        each = [_recorded(module, [batch], own, settings) for batch, own in every]
        if not each:
            raise InputError("inputs: there are no batches")
        made = {name: under_each_other([one[name] for one in each]) for name in lstms}
    else:
        made = _recorded(module, batches(inputs) if is_batches(inputs) else [inputs], lengths, settings)
    return made if _several(layer, lstms) else next(iter(made.values()))


class _Settings(NamedTuple):
    lstms: dict[str, Recordable]
    variables: Sequence[str] | None
    call: int | None
    padding: Padding
    join: str | None
    state: Any


def _recorded(module: nn.Module, inputs: Iterable[Any], lengths: Any, settings: _Settings) -> dict[str, Recording]:
    """Run the module on each of the inputs and return what its LSTMs did, by name."""
    first = next(iter(settings.lstms.values()))
    with ExitStack() as stack:
        stack.enter_context(undisturbed(module))
        caught = {
            name: stack.enter_context(catching(module, name, lstm, check_variables(settings.variables, cell_of(lstm))))
            for name, lstm in settings.lstms.items()
        }
        for batch in inputs:
            given, lengths = as_called(module, first, batch, lengths)
            run(module, given if settings.state is None else (given, settings.state))
    return {name: _assembled(one, lengths, settings) for name, one in caught.items()}


@torch.no_grad()
def _assembled(caught: Catcher, lengths: Any, settings: _Settings) -> Recording:
    return assemble(caught, lengths=lengths, call=settings.call, padding=settings.padding, join=settings.join)


def _several(layer: object, lstms: dict[str, Recordable]) -> bool:
    return isinstance(layer, list | tuple) or (layer == ALL and ALL not in lstms)


def _real(lengths: Any, mask: Any, padding: str, join: str | None) -> tuple[Any, Padding]:
    """Return lengths and the side of the padding, from whichever of them was given."""
    if join not in (None, "time"):
        raise InputError(f"join={join}: must be time, or None")
    if padding not in ("right", "left"):
        raise InputError(f"padding={padding}: must be right or left")
    if mask is None:
        return lengths, "left" if padding == "left" else "right"
    if lengths is not None:
        raise InputError("mask: lengths= was given, too; give one of them")
    return lengths_of_mask(mask)


@contextmanager
def recording(
    module: nn.Module,
    *,
    lengths: Any = None,
    mask: Any = None,
    padding: str = "right",
    layer: str | None = None,
    variables: Sequence[str] | None = None,
    call: int | None = None,
    join: str | None = None,
) -> Iterator[Recording]:
    """Record while you run the module yourself: `with lp.recording(model) as rec: model(x)`, then `rec.c`.

    The module is used as you use it, with its mode, gradients and dropout as they are, and may be trained: each call
    is evaluated at once, with the weights that it ran with. Each forward pass of `module` adds its sequences, as do
    calls of an `nn.LSTM` outside of any; steps of an `nn.LSTMCell` outside of any belong together.
    The recording is there when the context ends. Arguments as in `record`.

    Raises:
        InputError: as `record`; also when the LSTM was never called.

    >>> import torch
    >>> import lstm_probe as lp
    >>> lstm = torch.nn.LSTM(3, 8, batch_first=True)
    >>> with lp.recording(lstm) as rec:
    ...     output, (h, c) = lstm(torch.randn(4, 10, 3))
    >>> torch.allclose(rec.c[:, -1], c[0], atol=1e-6)
    True
    """
    lengths, side = _real(lengths, mask, padding, join)
    name, lstm = find_lstm(module, layer)
    own = check_variables(variables, cell_of(lstm))
    rec = Recording({}, torch.zeros(0, dtype=torch.long), LSTMConfig(lstm.input_size, lstm.hidden_size))
    with catching(module, name, lstm, own) as caught:
        yield rec
    done = _assembled(caught, lengths, _Settings({name: lstm}, variables, call, side, join, None))
    vars(rec).update(vars(done))


def _record_to(
    folder: Path, module: nn.Module, inputs: Any, lengths: Any, shard_bytes: int | None, sequences: int | None,
    more: dict[str, Any],
) -> StoredRecording:  # fmt: skip
    """Record batch after batch into a folder."""
    if more.pop("state") is not None:
        raise InputError("state: with to=, give each batch as a tuple (inputs, (h0, c0))")
    if more.pop("mask") is not None or more["join"] is not None or more["padding"] != "right":
        raise InputError("mask=, join= and padding= do not go with to=: record batch after batch in memory")
    name, lstm = find_lstm(module, more["layer"] if isinstance(more["layer"], str) else None)
    more["variables"] = check_variables(more["variables"], cell_of(lstm))
    settings = {
        "lstm": str(lstm), "layer": name, "variables": " ".join(in_order(more["variables"], cell_of(lstm))),
        "call": str(more["call"]), "shard_bytes": str(shard_bytes), "weights": weights_sha256(module),
    }  # fmt: skip

    def one(given: Any, own: Any) -> Recording:
        given = tuple(given) if isinstance(given, list) else given  # a loader makes a list of what is a tuple
        return record(module, given, lengths=own, layer=name, variables=more["variables"], call=more["call"])

    record_to(folder, one, settings, inputs, lengths, shard_bytes, sequences)
    return open_recording(folder)
