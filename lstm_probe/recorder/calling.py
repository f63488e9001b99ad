"""How a model is called on a batch: what it takes for its inputs, in which order, and whether with lengths."""

import inspect
import re
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from typing import Any
from weakref import WeakKeyDictionary

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from lstm_probe.core.errors import InputError
from lstm_probe.core.signal import Batch
from lstm_probe.recorder.a_module import check_module
from lstm_probe.recorder.kernel import Recordable
from lstm_probe.recorder.leaving import undisturbed

#: What people call the lengths of sequences: `lengths`, `x_len`, `seq_lens`, but not `max_len`.
_LENGTHS = re.compile(r"(?!max|min|total)(.*_)?(seq|src|input|text|x)?len(gth)?s?")

#: How models are called that were asked already, by whether there is one whole feature.
_ways: "WeakKeyDictionary[nn.Module, dict[bool, Calling]]" = WeakKeyDictionary()


@dataclass(frozen=True)
class Calling:
    """How a model takes a batch.

    Attributes:
        tokens: whether the one feature goes in as the numbers of tokens, (sequence, time), as before an embedding.
        time_first: whether steps come before sequences, in what goes in and in what comes out.
        lengths: whether the lengths of the sequences are its second argument.
    """

    tokens: bool = False
    time_first: bool = False
    lengths: bool = False

    def arguments(self, batch: Batch) -> tuple[Any, ...]:
        """Return what the model is called with."""
        inputs = batch.inputs[..., 0].long() if self.tokens else batch.inputs
        inputs = inputs.transpose(0, 1) if self.time_first else inputs
        return (inputs, batch.lengths) if self.lengths else (inputs,)

    def outputs(self, made: Any, batch: Batch) -> Tensor:
        """Return what the model made, sequences before steps; of a tuple (such as an `nn.LSTM`'s) the first."""
        made = made[0] if isinstance(made, tuple) else made
        if not isinstance(made, Tensor):
            raise InputError(f"the model returns a {type(made).__name__}; it must return its outputs, a tensor, or a "
                             "tuple with them first; a module around it can do so")  # fmt: skip
        there = made.dim() == 3 and made.shape[:2] == batch.inputs.shape[:2][::-1]
        return made.transpose(0, 1) if self.time_first and there else made


def calling(model: nn.Module, batch: Batch) -> Calling:
    """Return how `model` takes this batch: the first way in which its recurrent layers see the batch's sequences.

    It is called on a few of them, once for all such batches: with features, sequence by sequence; with the numbers of
    tokens, where there is one whole feature; and with steps before sequences. Where no way is right, it is called in
    the first that it takes, or says by itself what is wrong. Who has hooks on the model asks before.

    Raises:
        InputError: it is no module, or its `forward` needs more than inputs and lengths.
    """
    check_module(model)
    values = batch.inputs
    if type(model).__module__.startswith("lstm_probe.") and not isinstance(model, Recordable):
        return Calling(lengths=_with_lengths(model)[0])
    whole = values.shape[2] == 1 and bool((values == values.round()).all()) and bool((values >= 0).all())
    if (way := _ways.get(model, {}).get(whole)) is not None:
        return way
    of_inputs = product((False, True), (False, True)[: 1 + whole])
    ways = [Calling(tokens, late, lengths) for late, tokens in of_inputs for lengths in _with_lengths(model)]
    few = 2 if values.shape[1] != 2 else 3
    for some in (batch[:few], batch):
        seen = {way: counts for way in ways if (counts := _sequences_seen(model, way, some)) is not None}
        if seen:
            way = next((way for way, counts in seen.items() if len(some) in counts), next(iter(seen)))
            _ways.setdefault(model, {})[whole] = way
            return way
    return ways[0]


def arguments(model: nn.Module, batch: Batch) -> tuple[Any, ...]:
    """Return what `model` is called with; see `calling`."""
    return calling(model, batch).arguments(batch)


def outputs_of(model: nn.Module, batch: Batch) -> Tensor:
    """Return what a model makes of a batch, sequences before steps; of a tuple (such as an `nn.LSTM`'s) the first."""
    way = calling(model, batch)
    return way.outputs(model(*way.arguments(batch)), batch)


def _sequences_seen(model: nn.Module, way: Calling, batch: Batch) -> list[int] | None:
    """Return how many sequences each call of a recurrent layer sees when the model is called so; None: it can't be."""
    counts: list[int] = []

    def see(part: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        x = next(iter((*args, *kwargs.values())), None)
        if isinstance(x, PackedSequence):
            counts.append(int(x.batch_sizes[0]))
        elif isinstance(x, Tensor) and x.dim() == 3:
            counts.append(x.shape[0 if getattr(part, "batch_first", True) else 1])
        elif isinstance(x, Tensor) and isinstance(part, nn.RNNCellBase):
            counts.append(len(x) if x.dim() == 2 else 1)

    parts = [part for part in model.modules() if isinstance(part, Recordable)]
    try:
        with undisturbed(model), ExitStack() as hooks:
            for part in parts:
                hooks.callback(part.register_forward_pre_hook(see, with_kwargs=True).remove)
            model(*way.arguments(batch))
    except Exception:  # whatever a module says of what it does not take
        return None
    return counts


def _with_lengths(model: nn.Module) -> tuple[bool, ...]:
    """Return whether a model is called with lengths as its second argument, or both where it can be called without."""
    others = list(inspect.signature(model.forward).parameters.values())[1:]
    places = [one for one in others if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    takes = bool(places) and _LENGTHS.fullmatch(places[0].name) is not None and not isinstance(places[0].default, int)
    kinds = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    needed = [one.name for one in others if one.default is one.empty and one.kind not in kinds]
    if more := [name for name in needed if not (takes and name == places[0].name)]:
        raise InputError(
            f"the model's forward needs {', '.join(more)} beside inputs{' and lengths' * takes}, which a batch has "
            "not; a module around it that takes inputs, or inputs and lengths, can hand it over"
        )
    return (True,) if needed else (takes, False)[: 1 + takes]
