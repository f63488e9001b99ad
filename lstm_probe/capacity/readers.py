"""Who reads an LSTM's h within a module, and by which columns: found by running it on an h that can be told again.

The LSTM's output is replaced by numbers s · a, with a vector `a` of its own for every layer and direction and a factor
`s` of every sequence and step. What a linear layer is given of it, at whatever step, averaged over steps or beside
other features, is then a block of columns proportional to `a`; what went through anything else is not.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from lstm_probe.capacity.fold import Part, parts_of
from lstm_probe.cells.known import cell_of
from lstm_probe.cells.module import GatedRNN, Layers
from lstm_probe.core.errors import InputError
from lstm_probe.core.signal import Batch
from lstm_probe.recorder.calling import arguments
from lstm_probe.recorder.calls import is_empty
from lstm_probe.recorder.kernel import state_of
from lstm_probe.recorder.leaving import undisturbed

#: What reads by columns: a linear layer, or the input weights of a recurrent one.
READS = (nn.Linear, nn.RNNBase, GatedRNN)
SOME = 16  # sequences that a module is run on
ROWS = 256  # of a reader's inputs that are looked at
NEAR = 1e-3  # of the size of what is compared
LEAST_WIDTH = 2  # one column alone is proportional to anything


@dataclass(frozen=True)
class Reader:
    """A module that reads h.

    Attributes:
        name: in the module that holds the LSTM.
        blocks: first column of each block of h that it reads, and of which layer and direction it is.
    """

    name: str
    blocks: tuple[tuple[int, Part], ...]


@dataclass(frozen=True)
class Matrix:
    """Weights that read, by columns, and the bias beside them: the names of a reader's parameters."""

    weight: str
    bias: str | None


def matrices(reader: nn.Module) -> list[Matrix]:
    """Return the matrices with which a module reads its input."""
    if isinstance(reader, nn.Linear):
        return [Matrix("weight", None if reader.bias is None else "bias")]
    names = [name for name, _ in reader.named_parameters(recurse=False) if name.startswith("weight_ih_l0")]
    return [Matrix(name, name.replace("weight", "bias") if reader.bias else None) for name in names]


@contextmanager
def hooked(handles: list[Any]) -> Iterator[None]:
    """Take hooks off again."""
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def given_to(args: tuple[Any, ...]) -> Tensor | None:
    """Return what a reader was given, (..., column); None where it is no tensor."""
    value = args[0].data if args and isinstance(args[0], PackedSequence) else args[0] if args else None
    return value if isinstance(value, Tensor) and value.is_floating_point() else None


@torch.no_grad()
def begins_at_zero(model: nn.Module, batch: Batch, lstm: Layers) -> bool:
    """Return whether a module lets its LSTM begin at states of zero, on the first sequences of a batch.

    A call that goes on with the state after the one before begins nowhere else.
    """
    zero, last, cell = [True], list[Any](), cell_of(lstm)

    def begin(module: nn.Module, args: tuple[Any, ...], named: dict[str, Any]) -> None:
        state = named.get("hx", args[1] if len(args) > 1 else None)
        own = () if state is None else state_of(state)
        goes_on = bool(last) and state is not None and all(map(torch.equal, own, last[-1]))
        zero.append(state is None or goes_on or is_empty(cell, own))

    def end(module: nn.Module, args: tuple[Any, ...], result: Any) -> None:
        last.append(state_of(result[1]))

    hooks = [lstm.register_forward_pre_hook(begin, with_kwargs=True), lstm.register_forward_hook(end)]
    with hooked(hooks), undisturbed(model):
        model(*arguments(model, batch[: min(len(batch), SOME)]))
    return all(zero)


@torch.no_grad()
def find_readers(model: nn.Module, batch: Batch, name: str, lstm: Layers) -> list[Reader]:
    """Return which linear and recurrent layers of a module read the h of one of its LSTMs.

    Raises:
        InputError: the memory c is read, or a layer's inputs are too narrow to tell.
    """
    width = lstm.proj_size or lstm.hidden_size
    if width < LEAST_WIDTH:
        has = "has one unit" if lstm.hidden_size == width else "shows one number alone, whose readers can't be told"
        raise InputError(f"{name or 'the LSTM'}: {has}; there is nothing to cut")
    rng = torch.Generator().manual_seed(0)
    parts = parts_of(lstm)
    more = len(cell_of(lstm).state) - 1
    vectors = {part: torch.randn(width, generator=rng, dtype=torch.float64) for part in parts}
    memory = {part: [torch.randn(lstm.hidden_size, generator=rng, dtype=torch.float64) for _ in range(more)]
              for part in parts}  # fmt: skip
    seen: dict[str, list[Tensor]] = {}
    some = batch[: min(len(batch), SOME)]

    def replace(module: nn.Module, args: Any, result: Any) -> Any:
        return _marked(result, vectors, memory, parts, lstm.num_layers, rng)

    def keep(own: str) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...]) -> None:
            given = given_to(args)
            if given is not None and given.dim() > 0 and given.numel():
                seen.setdefault(own, []).append(given.detach().cpu().double().flatten(0, -2)[:ROWS])

        return hook

    handles = [part.register_forward_pre_hook(keep(own)) for own, part in model.named_modules()
               if isinstance(part, READS) and part is not lstm]  # fmt: skip
    handles.append(lstm.register_forward_hook(replace))
    with hooked(handles), undisturbed(model):
        model(*arguments(model, some))
    readers, near = [], max(NEAR, torch.finfo(next(lstm.parameters()).dtype).eps)
    for own, calls in seen.items():
        x = torch.cat([call for call in calls if call.shape[-1] == calls[0].shape[-1]])
        if any(_offsets(x, vector, near) for own_state in memory.values() for vector in own_state):
            raise InputError(f"{own}: reads the memory of {name or 'the LSTM'} itself, so that no unit can be cut")
        blocks = sorted((at, part) for part, vector in vectors.items() for at in _offsets(x, vector, near))
        if blocks:
            readers.append(Reader(own, tuple(blocks)))
    return readers


def _offsets(x: Float[Tensor, "row column"], vector: Float[Tensor, " width"], near: float) -> list[int]:
    """Return the first columns of all blocks of x that are proportional to a vector, but for such a share."""
    width = len(vector)
    if x.shape[1] < width:
        return []
    windows = x.unfold(1, width, 1)
    factors = windows @ vector / vector.square().sum()
    off = (windows - factors.unsqueeze(-1) * vector).square().sum((0, 2))
    size = windows.square().sum((0, 2))
    varied = factors.abs().amax(0) > 0
    return [int(k) for k in torch.nonzero((off <= near**2 * size) & varied).flatten()]


def _marked(
    result: Any, vectors: dict[Part, Tensor], memory: dict[Part, list[Tensor]], parts: list[Part], layers: int,
    rng: torch.Generator,
) -> Any:  # fmt: skip
    """Return what a layer returned, with numbers that can be told again in the place of its own."""
    outputs, state = result
    h, *more = state_of(state)
    top = torch.cat([vectors[part] for part in parts if part[0] == layers - 1])
    width = len(next(iter(vectors.values())))
    n_top = len(top) // width

    def drawn(shape: torch.Size) -> Tensor:  # above 0, so that what lets nothing below 0 through lets it through
        return torch.rand(shape, generator=rng, dtype=torch.float64) + 0.5

    data = outputs.data if isinstance(outputs, PackedSequence) else outputs
    factors = torch.cat([drawn(torch.Size([*data.shape[:-1], 1])).expand(*data.shape[:-1], width)
                         for _ in range(n_top)], dim=-1)  # fmt: skip
    made = (factors * top).to(data)
    shown = outputs._replace(data=made) if isinstance(outputs, PackedSequence) else made
    h = torch.stack([drawn(torch.Size([*h.shape[1:-1], 1])) * vectors[part] for part in parts]).to(h)
    made_more = [
        torch.stack([drawn(torch.Size([*one.shape[1:-1], 1])) * memory[part][k] for part in parts]).to(one)
        for k, one in enumerate(more)
    ]
    return shown, (h, *made_more) if isinstance(state, tuple) else h
