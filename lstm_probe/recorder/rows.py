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
#: What turns axes round, these if it is told none.
_FLIPS = {Tensor.flip: (), torch.flip: (), torch.flipud: (0,), Tensor.flipud: (0,), torch.fliplr: (1,),
          Tensor.fliplr: (1,)}  # fmt: skip
#: What takes what stands elsewhere along an axis, for each place apart.
_GATHERS = (torch.gather, Tensor.gather, torch.take_along_dim, Tensor.take_along_dim)
#: What takes one place of an axis.
_TAKES = (Tensor.__getitem__, Tensor.select, torch.select)
#: What takes an axis apart.
_PARTS = (
    Tensor.unbind, torch.unbind, Tensor.split, torch.split, Tensor.chunk, torch.chunk, Tensor.tensor_split,
    torch.tensor_split,
)  # fmt: skip
#: What puts tensors beside each other.
_JOINS = (
    torch.stack, torch.cat, torch.concat, torch.concatenate, torch.vstack, torch.hstack, torch._C._nn.pad_sequence
)  # fmt: skip
#: What puts rows in another order, or back, or takes some.
MOVES = frozenset((
    *_TAKES, *_PARTS, Tensor.__setitem__, Tensor.index_select, torch.index_select, *_INTO, *_FLIPS, *_GATHERS
))  # fmt: skip


#: What packs sequences, and under which number is kept how many there were, and of how many steps.
_PACKS = torch._VF._pack_padded_sequence
_PADDED = -1


class Rows:
    """Follows in which order a module's tensors have their caller's rows.

    Args:
        given: what the module was called with; tensors of a list are one of its rows each.
    """

    def __init__(self, given: Iterable[Any] = ()) -> None:
        self._known: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        self._place: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        self.moved = False
        for every in given:
            if isinstance(every, list | tuple) and all(isinstance(one, Tensor) for one in every):
                self._place.update({one: (len(every), k) for k, one in enumerate(every)})

    @property
    def follows(self) -> bool:
        """Whether anything is known that goes on to what is made of it."""
        return self.moved or bool(self._place)

    def of(self, values: Tensor, rows: int) -> Tensor | None:
        """Return which of the caller's rows stand in those of a tensor, None where that cannot be told."""
        known: Known = self._known.get(values, {})
        return known.get(rows, torch.arange(rows, device="cpu"))

    def padded(self, packed: Tensor) -> tuple[int, int] | None:
        """Return how many sequences were packed, and of how many steps; None where that is not known."""
        shape = self._known.get(packed, {}).get(_PADDED)
        return None if shape is None else (int(shape[0]), int(shape[1]))

    def place(self, values: Tensor) -> tuple[int, int] | None:
        """Return of how many places of an axis a tensor was made of one, and of which; None where that is not known."""
        found: tuple[int, int] | None = self._place.get(values)
        return found

    def follow(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Any, moves: bool
    ) -> None:
        """Take in what a function made of what it was given; `moves` is whether it may have put rows in an order."""
        self._follow_places(func, args, kwargs, result, moves)
        if moves and (func in _FLIPS or func in _GATHERS):
            self._turn(args[0], _turned(func, args[0], args[1:], kwargs), result)
            return
        found = _permuting(func, args, kwargs) if moves else None
        if found is not None and not isinstance(args[0], nn.Parameter):
            if not _is_of_features(args[0], found[0]):
                self._move(func, args, found[1], result)
        elif self.moved:
            own = self._together(_tensors((*args, *kwargs.values())))
            if func is _PACKS:
                own[_PADDED] = torch.tensor(args[0].shape[:2] if args[2] else args[0].shape[1::-1], device="cpu")
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
        others = {k: own for k, own in self._known.get(source, {}).items() if k in made.shape}
        self._known[made] = {**others, n: rows if is_one_axis(source, n) else None}

    def _follow_places(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], result: Any, moves: bool
    ) -> None:
        """Take in which place of an axis was taken, or that something was made of one."""
        if moves and (func in _TAKES or func in _PARTS):
            for part, n, k in _taken(func, args[0], args[1:], kwargs, result):
                steps = self.of(args[0], n)
                if steps is not None:
                    self._place[part] = n, int(steps[k])
            return
        if not self._place:
            return
        every = [self.place(one) for one in _tensors((*args, *kwargs.values()))]
        found = [place for place in every if place is not None]
        if func in _JOINS and len(found) == len(every) > 1 and all(n == len(every) for n, _ in found):
            order, alike = torch.tensor([k for _, k in found], device="cpu"), torch.arange(len(every), device="cpu")
            if torch.equal(order.sort().values, alike) and (self.moved or not torch.equal(order, alike)):
                self.moved = True
                self._known[result] = {len(every): order}
        elif len(set(found)) == 1 and isinstance(result, Tensor):
            self._place[result] = found[0]

    def _turn(self, source: Tensor, turned: Iterable[tuple[int, Tensor | None]], result: Tensor) -> None:
        """Take in along which axes what was taken in which order; None where in each place in another."""
        known = dict(self._known.get(source, {}))
        for n, index in turned:
            alike = torch.arange(n, device="cpu")
            if n < 2 or (index is not None and not self.moved and torch.equal(index, alike)):
                continue
            self.moved = True
            self._known.setdefault(source, {n: alike})
            rows = known.get(n, alike) if is_one_axis(source, n) else None
            known[n] = None if rows is None or index is None else rows[index]
        if known:
            self._known[result] = known

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


def is_one_axis(values: Tensor, n: int) -> bool:
    """Return whether one axis alone of those that may be of sequences or steps is so long: the last is of features."""
    return (values.shape[:-1] if values.dim() > 2 else values.shape).count(n) == 1


def _is_of_features(values: Tensor, axis: int) -> bool:
    return values.dim() > 2 and axis in (-1, values.dim() - 1)


def _permuting(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[int, Tensor] | None:
    """Return the axis, and the index, by which all rows of a tensor are taken, or put, once each; else None."""
    if not args or not isinstance(args[0], Tensor):
        return None
    if func in (Tensor.__getitem__, Tensor.__setitem__):
        every = args[1] if isinstance(args[1], tuple) else (args[1],)
        places = list(_axes(every))
    else:
        every = (*args[1:3], *kwargs.values())
        places = [next((one for one in every if type(one) is int), 0)] * len(every)
    found = [(k, index) for k, one in zip(places, every) if (index := permutation(one)) is not None]
    return found[0] if len(found) == 1 else None


def _axes(index: tuple[Any, ...]) -> Iterator[int]:
    """Yield the axis of each part of an index, from behind for what stands after an ellipsis."""
    behind = next((k for k, one in enumerate(index) if one is ...), len(index))
    for k in range(len(index)):
        yield k - len(index) if k > behind else k


def _turned(
    func: Any, source: Tensor, given: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Iterator[tuple[int, Tensor | None]]:
    """Yield the length of each axis along which all is taken in another order, and that order."""
    if func in _FLIPS:
        dims = _FLIPS[func] or kwargs.get("dims", given[0] if len(given) == 1 else given)
        for axis in dims if isinstance(dims, tuple | list) else (dims,):
            if not _is_of_features(source, axis):
                yield source.shape[axis], torch.arange(source.shape[axis] - 1, -1, -1, device="cpu")
        return
    tensors = [one for one in (*given, *kwargs.values()) if isinstance(one, Tensor)]
    axes = [one for one in (*given, *kwargs.values()) if type(one) is int]
    if len(tensors) != 1 or len(axes) != 1 or _is_of_features(source, axes[0]):
        return
    n, every = source.shape[axes[0]], tensors[0].detach().cpu().movedim(axes[0], 0).flatten(1)
    if len(every) == n and torch.equal(every.sort(0).values, torch.arange(n).unsqueeze(1).expand_as(every)):
        yield n, every[:, 0].clone() if bool((every == every[:, :1]).all()) else None


def _taken(
    func: Any, source: Tensor, given: tuple[Any, ...], kwargs: Mapping[str, Any], result: Any
) -> Iterator[tuple[Tensor, int, int]]:
    """Yield each tensor that was one place of an axis, how long that is, and which place."""
    if func is Tensor.__getitem__:
        index = given[0] if isinstance(given[0], tuple) else given
        if not all(type(one) is int or isinstance(one, slice) or one is ... for one in index):
            return
        for axis, one in zip(_axes(index), index):
            n = 0 if one is ... else source.shape[axis]
            chosen = range(n)[one] if isinstance(one, slice) else [one % n] if n else []
            if len(chosen) == 1 < n:
                yield result, n, chosen[0]
    elif func in _PARTS:
        axis = kwargs.get("dim", given[-1] if len(given) > (func not in (Tensor.unbind, torch.unbind)) else 0)
        if type(axis) is int and isinstance(result, tuple | list) and len(result) == source.shape[axis]:
            yield from ((part, len(result), k) for k, part in enumerate(result))
    else:
        axis, place = kwargs.get("dim", given[0] if given else None), kwargs.get("index", given[-1] if given else None)
        if type(axis) is int and type(place) is int:
            yield result, source.shape[axis], place % source.shape[axis]


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
