"""Which of its caller's rows stand where in a tensor: a module may take its sequences in another order before it reads.

From the first time that a module takes rows of a tensor by an index of them all, this is followed through whatever it
makes of them, by the number of rows: an axis of another length is not that of the sequences.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

#: Of each tensor, by how many rows there are, which of the caller's stand in them; None where that cannot be told.
Known = Mapping[int, Tensor | None]

_INTO = (Tensor.index_copy_, Tensor.index_copy, torch.index_copy)
#: What keeps the order of sequences where they are packed: then no axis has as many.
_PACKED = frozenset(getattr(torch._VF, name) for name in (
    "_pack_padded_sequence", "_pad_packed_sequence", "lstm", "gru", "rnn_tanh", "rnn_relu"
))  # fmt: skip
#: What puts rows in another order, or back.
MOVES = frozenset((Tensor.__getitem__, Tensor.__setitem__, Tensor.index_select, torch.index_select, *_INTO))


class Rows:
    """Follows in which order a module's tensors have their caller's rows."""

    def __init__(self) -> None:
        self._known: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        self.moved = False

    def of(self, values: Tensor, rows: int) -> Tensor | None:
        """Return which of the caller's rows stand in those of a tensor, None where that cannot be told."""
        known: Known = self._known.get(values, {})
        return known.get(rows, torch.arange(rows, device="cpu"))

    def follow(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Any, moves: bool
    ) -> None:
        """Take in what a function made of what it was given; `moves` is whether it may have put rows in an order."""
        index = _permuting(func, args, kwargs) if moves else None
        if index is not None and args and isinstance(args[0], Tensor) and not isinstance(args[0], nn.Parameter):
            self._move(func, args, index, result)
        elif self.moved:
            own = self._together(_tensors((*args, *kwargs.values())))
            for made in _tensors((result,)):
                if fitting := {n: rows for n, rows in own.items() if n in made.shape or func in _PACKED}:
                    self._known[made] = fitting

    def _move(self, func: Callable[..., Any], args: tuple[Any, ...], index: Tensor, result: Any) -> None:
        """Take in that rows were taken by an index of them all, or put."""
        source, n = args[0], len(index)
        alike = torch.arange(n, device="cpu")
        puts = func is Tensor.__setitem__ or func in _INTO
        if (puts and not isinstance(args[-1], Tensor)) or (not self.moved and torch.equal(index, alike)):
            return
        self.moved = True
        rows = self.of(args[-1] if puts else source, n)
        if rows is not None:
            rows = torch.empty_like(rows).index_copy_(0, index, rows) if puts else rows[index]
        made = source if func in (Tensor.__setitem__, Tensor.index_copy_) else result
        if not puts:
            self._known.setdefault(source, {n: alike})
        self._known[made] = {**self._known.get(made, {}), n: rows if source.shape.count(n) == 1 else None}

    def _together(self, given: Iterable[Tensor]) -> dict[int, Tensor | None]:
        """Return the order of the rows of what is made of several tensors: none, where theirs differ."""
        found: dict[int, Tensor | None] = {}
        for one in given:
            for n, rows in self._known.get(one, {}).items():
                other = found.get(n, rows)
                same = rows is not None and other is not None and torch.equal(rows, other)
                found[n] = rows if same else None
        return found


def _tensors(values: Iterable[Any]) -> Iterator[Tensor]:
    for one in values:
        if isinstance(one, Tensor):
            yield one
        elif isinstance(one, list | tuple):
            yield from (part for part in one if isinstance(part, Tensor))


def _permuting(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor | None:
    """Return the index by which all rows of a tensor are taken, or put, once each; None where it is anything else."""
    every = args[1:2] if func in (Tensor.__getitem__, Tensor.__setitem__) else (*args[1:3], *kwargs.values())
    flat = [part for one in every for part in (one if isinstance(one, tuple) else (one,))]
    found = [index for one in flat if (index := permutation(one)) is not None]
    return found[0] if len(found) == 1 else None


def permutation(index: Any) -> Tensor | None:
    """Return an index that takes each of several once."""
    numbers = whole(index)
    if numbers is None or len(numbers) < 2 or int(numbers.min()) != 0 or int(numbers.max()) != len(numbers) - 1:
        return None
    if not torch.equal(numbers.sort().values, torch.arange(len(numbers), device="cpu")):
        return None
    return numbers


def whole(given: Any) -> Tensor | None:
    """Return several whole numbers in a row, None where it is anything else."""
    if isinstance(given, list) and not all(type(one) is int for one in given):
        return None
    if not isinstance(given, Tensor | np.ndarray | list):
        return None
    numbers = given.detach().cpu() if isinstance(given, Tensor) else torch.tensor(given, device="cpu")
    fits = numbers.dim() == 1 and not numbers.is_floating_point() and numbers.dtype != torch.bool
    return numbers.long().clone() if fits else None
