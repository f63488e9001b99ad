"""The order of sequences: a module may sort them by length before it packs them, and the caller's order is another.

Before `pack_padded_sequence` sorted by itself, every module did it, and many still do. What they sort by is an index of
all sequences, seen where it is used; what their caller says of lengths must agree with it, or nothing is recorded.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.overrides import TorchFunctionMode

from lstm_probe.cells.module import called
from lstm_probe.cells.steps import StepKernel
from lstm_probe.core.errors import InputError
from lstm_probe.recorder.rows import MOVES, Rows, is_one_axis, permutation, whole

#: What takes sequences in another order.
INDEXING = (Tensor.__getitem__, Tensor.index_select, torch.index_select)
#: Whose frames may stand between a call of PyTorch's and who made it: what watches it, and checks of types.
_BETWEEN = ("lstm_probe.", "jaxtyping.", "beartype.")


class Order:
    """In which order one forward pass of somebody's module hands its sequences, and their steps, on.

    Args:
        given: what the module was called with.
    """

    def __init__(self, given: Iterable[Any] = ()) -> None:
        self.said = [lengths for one in given if (lengths := _lengths(one)) is not None]
        self.index: Tensor | None = None
        self.rows = Rows(given)

    def notice(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Any) -> None:
        """Take in a call that takes parts of a tensor: the last index of all sequences counts; and what is made of it.

        Args:
            func: a function of PyTorch's.
            args, kwargs: what it was called with.
            result: what it returned.
        """
        if not (self.rows.follows or func in MOVES):
            return
        own = func in MOVES and is_users_own(sys._getframe(1))
        self.rows.follow(func, args, kwargs, result, own)
        if not own or func not in INDEXING:
            return
        found = [index for one in _flat((*args[1:], *kwargs.values())) if (index := permutation(one)) is not None]
        if len(found) == 1:
            self.index = found[0]

    def places(self, given: Any, name: str, axis: int = 0) -> Tensor | None:
        """Return which of a layer's sequences is the caller's first, second and so on; None where they stand alike.

        Args:
            given: what a recurrent layer was called with.
            name: of the layer, for the error.
            axis: on which its sequences stand, unless they are packed.

        Raises:
            InputError: which is which cannot be told: packed ones have other lengths than the caller says, or they are
                of several orders.
        """
        if not isinstance(given, PackedSequence):
            return self._places_of_rows(given, name, axis)
        packed = given
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

    def _places_of_rows(self, given: Any, name: str, axis: int) -> Tensor | None:
        if not isinstance(given, Tensor) or not self.rows.moved or given.dim() <= axis:
            return None
        n = given.shape[axis]
        rows, alike = self.rows.of(given, n), torch.arange(n, device="cpu")
        if rows is None or not (is_one_axis(given, n) or torch.equal(rows, alike)):
            raise InputError(
                f"{name}: its module takes its {n} sequences in another order than they were handed to it, or in "
                "several: which is which cannot be told; hand them in in the order in which they are read"
            )
        return None if torch.equal(rows, alike) else rows.argsort()

    def turned(self, given: Any, name: str, axis: int = 0) -> bool:
        """Return whether a layer reads the caller's steps from the last to the first, as they were turned round for it.

        Args:
            given, name, axis: as for `places`.

        Raises:
            InputError: it reads them in any other order, or in one that cannot be told.
        """
        if not self.rows.moved or not isinstance(given, Tensor | PackedSequence):
            return False
        if isinstance(given, PackedSequence):
            shape = self.rows.padded(given.data)
            if shape is None:
                return False
            (sequences, n), values = shape, given.data
            alone = sequences != n and len(given.batch_sizes) == n and bool((given.batch_sizes == sequences).all())
        else:
            if given.dim() < 3:
                return False
            n, values = given.shape[1 - axis], given
            alone = is_one_axis(given, n)
        steps, alike = self.rows.of(values, n), torch.arange(n, device="cpu")
        if steps is not None and torch.equal(steps, alike):
            return False
        if not alone or steps is None or not torch.equal(steps, alike.flip(0)):
            raise InputError(
                f"{name}: its module hands it the steps in another order than they were handed in, and not just the "
                "last one first: which is which cannot be told; hand them in in the order in which they are read"
            )
        return True

    def place(self, given: Any) -> tuple[int, int] | None:
        """Return of how many steps a cell is given one, and which; None where that is not known."""
        return self.rows.place(given) if isinstance(given, Tensor) else None


def axis_of(module: nn.Module) -> int:
    """Return on which axis a recurrent layer's sequences stand."""
    return 0 if getattr(module, "batch_first", True) else 1


def rows_of(given: Any, places: Tensor | None) -> Tensor | None:
    """Return which of the caller's sequences stands where in a call; `places` is what `Order.places` says of it.

    None where they stand alike.
    """
    sorts = given.sorted_indices if isinstance(given, PackedSequence) else None
    if places is None:
        return sorts
    handed = places.argsort().to(given.data.device)
    return handed if sorts is None else handed[sorts]


class Noticing(TorchFunctionMode):
    """Within this context an `Order` takes in which parts of tensors a module takes."""

    def __init__(self, order: Order) -> None:
        super().__init__()
        self.order = order

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Pass everything on."""
        made = called(func, *args) if isinstance(func, StepKernel) else func(*args, **(kwargs or {}))
        self.order.notice(func, args, kwargs or {}, made)
        return made


def is_users_own(caller: FrameType | None) -> bool:
    """Return whether somebody else than PyTorch takes parts of a tensor: its packing says by itself how it sorted."""
    asks = who_called(caller)
    return asks is None or not _module(asks).startswith("torch.nn.")


def who_called(caller: FrameType | None) -> FrameType | None:
    """Return the frame that called a function of PyTorch's, behind those of what watches it."""
    while caller is not None and _module(caller).startswith(_BETWEEN):
        caller = caller.f_back
    return caller


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__"))


def _flat(values: Iterable[Any]) -> Iterator[Any]:
    for one in values:
        if isinstance(one, tuple):
            yield from one
        else:
            yield one


def _lengths(given: Any) -> Tensor | None:
    """Return lengths of sequences, where an argument is such, or is a list of sequences."""
    if isinstance(given, list | tuple) and given and all(isinstance(one, Tensor | np.ndarray) for one in given):
        given = [len(one) for one in given if one.ndim]
    return whole(given)
