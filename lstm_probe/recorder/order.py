"""The order of sequences: a module may sort them by length before it packs them, and the caller's order is another.

Before `pack_padded_sequence` sorted by itself, every module did it, and many still do. What they sort by is an index of
all sequences, seen where it is used; what their caller says of lengths must agree with it, or nothing is recorded.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence
from torch.overrides import TorchFunctionMode

from lstm_probe.cells.module import called
from lstm_probe.cells.steps import StepKernel
from lstm_probe.core.errors import InputError

#: What takes sequences in another order.
INDEXING = (Tensor.__getitem__, Tensor.index_select, torch.index_select)
#: Whose frames may stand between a call of PyTorch's and who made it: what watches it, and checks of types.
_BETWEEN = ("lstm_probe.", "jaxtyping.", "beartype.")


class Order:
    """In which order one forward pass of somebody's module hands its sequences on."""

    def __init__(self, given: Iterable[Any] = ()) -> None:
        self.said = [lengths for one in given if (lengths := _lengths(one)) is not None]
        self.index: Tensor | None = None

    def notice(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Take in a call that takes parts of a tensor: the last index of all sequences counts."""
        found = [index for one in _flat((*args[1:], *kwargs.values())) if (index := _permutation(one)) is not None]
        if len(found) == 1:
            self.index = found[0]

    def places(self, packed: Any, name: str) -> Tensor | None:
        """Return which of the packed sequences is the caller's first, second and so on; None where they stand alike.

        Args:
            packed: what a recurrent layer was called with.
            name: of the layer, for the error.

        Raises:
            InputError: in the caller's order they have other lengths than the caller says.
        """
        if not isinstance(packed, PackedSequence):
            return None
        lengths = (packed.batch_sizes.unsqueeze(1) > torch.arange(int(packed.batch_sizes[0]), device="cpu")).sum(0)
        if packed.unsorted_indices is not None:
            lengths = lengths[packed.unsorted_indices.cpu()]
        alike = torch.arange(len(lengths), device="cpu")
        ways = [alike]
        if self.index is not None and len(self.index) == len(lengths):
            ways.insert(0, self.index.argsort())
        known = [one for one in self.said if torch.equal(one.sort().values, lengths.sort().values)]
        if known:
            ways = [places for places in ways if any(torch.equal(one, lengths[places]) for one in known)]
        elif bool((lengths.diff() > 0).any()):  # they were not sorted: the index is of something else
            ways = [alike]
        if not ways:
            raise InputError(
                f"{name}: its module packs the sequences in another order than they were handed to it: which is which "
                "cannot be told; hand them in sorted by length, longest first, or pack with enforce_sorted=False"
            )
        return None if torch.equal(ways[0], alike) else ways[0]


def rows_of(packed: Any, places: Tensor | None) -> Tensor | None:
    """Return which of the caller's sequences stands where in a packed call; `places` is what `Order.places` says of it.

    None where they stand alike, or nothing is packed.
    """
    if not isinstance(packed, PackedSequence) or places is None:
        return packed.sorted_indices if isinstance(packed, PackedSequence) else None
    handed = places.argsort().to(packed.data.device)
    return handed if packed.sorted_indices is None else handed[packed.sorted_indices]


class Noticing(TorchFunctionMode):
    """Within this context an `Order` takes in which parts of tensors a module takes."""

    def __init__(self, order: Order) -> None:
        super().__init__()
        self.order = order

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Pass everything on."""
        if func in INDEXING and is_users_own(sys._getframe(1)):
            self.order.notice(args, kwargs or {})
        return called(func, *args) if isinstance(func, StepKernel) else func(*args, **(kwargs or {}))


def is_users_own(caller: FrameType | None) -> bool:
    """Return whether somebody else than PyTorch takes parts of a tensor: its packing says by itself how it sorted."""
    name = ""
    while caller is not None and (name := str(caller.f_globals.get("__name__"))).startswith(_BETWEEN):
        caller = caller.f_back
    return not name.startswith("torch.nn.")


def _flat(values: Iterable[Any]) -> Iterator[Any]:
    for one in values:
        if isinstance(one, tuple):
            yield from one
        else:
            yield one


def _permutation(index: Any) -> Tensor | None:
    """Return an index that takes each of several once."""
    numbers = _whole(index)
    if numbers is None or len(numbers) < 2 or int(numbers.min()) != 0 or int(numbers.max()) != len(numbers) - 1:
        return None
    if not torch.equal(numbers.sort().values, torch.arange(len(numbers), device="cpu")):
        return None
    return numbers


def _lengths(given: Any) -> Tensor | None:
    """Return lengths of sequences, where an argument is such, or is a list of sequences."""
    if isinstance(given, list | tuple) and given and all(isinstance(one, Tensor | np.ndarray) for one in given):
        given = [len(one) for one in given if one.ndim]
    return _whole(given)


def _whole(given: Any) -> Tensor | None:
    """Return several whole numbers in a row, None where it is anything else."""
    if isinstance(given, list) and not all(type(one) is int for one in given):
        return None
    if not isinstance(given, Tensor | np.ndarray | list):
        return None
    numbers = given.detach().cpu() if isinstance(given, Tensor) else torch.tensor(given, device="cpu")
    whole = numbers.dim() == 1 and not numbers.is_floating_point() and numbers.dtype != torch.bool
    return numbers.long().clone() if whole else None
