"""Which axis is which on the way from a recurrent node's output: what only rearranges, what takes one step of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lstm_probe.formats.read.onnx_cells import INPUTS
from lstm_probe.formats.read.onnx_graph import Graph

#: An axis is what it was made of: t (time), d (two directions), b (sequence), h (unit), f (feature), o (output of a
#: linear layer); nothing where it has one element alone, several where they were made one axis.
Axis = tuple[str, ...]
#: What a shape says of one axis: its length, that of other axes, -1 for what is left, or None for unknown.
Entry = int | Axis | None

_T, _D = ("t",), ("d",)
_FLOATS = (1, 10, 11, 16)  # TensorProto's float, float16, double, bfloat16
#: An end that is as far is the end of any axis.
_FAR = 2**31 - 1
_DEEPEST = 50


@dataclass(frozen=True)
class Way:
    """Where one is on the way from a recurrent node's output.

    Args:
        axes: what each axis of the tensor there is made of.
        sizes: the length of each that is known.
        step: None at every step, else "last", "first", "padded" (the last, which may be no sequence's own), or "end"
            where each direction stands at its own last step.
        place: where on the first axis the node's states begin, and of how many, where those of several were joined.
        half: where one direction of two was taken: of which tensor, the place of the first one there, and of how many.
        known: the axes of tensors by their names, for shapes that are computed from them.
        padded: whether the last steps may be padding, as the node is given lengths.
    """

    axes: tuple[Axis, ...]
    sizes: Mapping[str, int | None]
    known: Mapping[str, tuple[Axis, ...]]
    step: str | None = None
    place: tuple[int, int] | None = None
    half: tuple[str, int, int] | None = None
    padded: bool = False

    def taken(self, last: bool) -> str:
        """Return what step it is when the last, or else the first one is taken."""
        return ("padded" if self.padded else "last") if last else "first"

    @property
    def is_h(self) -> bool:
        """Whether the last axis is the node's whole h, both directions of it."""
        return (
            self.place is None
            and self.half is None
            and self.axes[-1:] == ((("d", "h") if self.sizes["d"] == 2 else ("h",)),)
        )

    def along(self, graph: Graph, node: Any, name: str) -> "Way | None":
        """Return where a node leads that hands its input on; None where it does anything else to it."""
        do = MOVES.get(node.op_type)
        if do is None or not node.input or node.domain not in ("", "ai.onnx"):
            return None
        if node.op_type != "Concat" and node.input[0] != name:
            return None
        return do(self, graph, node, graph.attributes(node))

    def regrouped(self, entries: Sequence[Entry]) -> "Way | None":
        """Return the way behind a reshape; None where axes are torn apart or their lengths cannot be told."""
        atoms = [a for axis in self.axes for a in axis]
        found = [] if self.place is not None else list(self._groups(atoms, list(entries)))
        return replace(self, axes=max(found, key=lambda axes: sum(map(bool, axes)))) if found else None

    def _groups(self, atoms: list[str], entries: list[Entry]) -> Iterator[tuple[Axis, ...]]:
        if not entries or len(entries) > 8:
            if not atoms and not entries:
                yield ()
            return
        for k in range(len(atoms) + 1):
            group, entry = tuple(atoms[:k]), entries[0]
            if entry == -1 or (entry is not None and entry in (group, self.length(group))):
                yield from ((group, *rest) for rest in self._groups(atoms[k:], entries[1:]))

    def length(self, axis: Axis) -> int | None:
        """Return an axis's length, None where it may vary."""
        sizes = [self.sizes.get(a) for a in axis]
        return None if None in sizes else int(np.prod([s for s in sizes if s is not None], dtype=int))


def _same(way: Way, graph: Graph, node: Any, attributes: Mapping[str, Any]) -> Way | None:
    return way


def _cast(way: Way, graph: Graph, node: Any, attributes: Mapping[str, Any]) -> Way | None:
    return way if attributes.get("to") in _FLOATS else None


def _dropout(way: Way, graph: Graph, node: Any, attributes: Mapping[str, Any]) -> Way | None:
    training = len(node.input) > 2 and node.input[2] and not graph.is_zero(node.input[2])
    return None if training else way


def _transpose(way: Way, graph: Graph, node: Any, attributes: Mapping[str, Any]) -> Way | None:
    order = attributes.get("perm", range(len(way.axes))[::-1])
    if way.place is not None or sorted(order) != list(range(len(way.axes))):
        return None
    return replace(way, axes=tuple(way.axes[k] for k in order))


def _given(graph: Graph, node: Any, attributes: Mapping[str, Any], place: int, name: str) -> list[int] | None:
    """Return numbers that are an input in newer versions of an operator, an attribute in older ones."""
    if len(node.input) > place and node.input[place]:
        value = graph.constant(node.input[place])
        return None if value is None else [int(v) for v in np.ravel(value)]
    return list(attributes[name]) if name in attributes else None


def _squeeze(way: Way, graph: Graph, node: Any, attributes: Mapping[str, Any]) -> Way | None:
    given = _given(graph, node, attributes, 1, "axes")
    if given is None and (len(node.input) > 1 or way.place is not None):
        return None
    ones = [k for k, axis in enumerate(way.axes) if way.length(axis) == 1]
    gone = ones if given is None else [k % len(way.axes) for k in given]
    if way.place is not None or not set(gone) <= set(ones):
        return None
    return replace(way, axes=tuple(axis for k, axis in enumerate(way.axes) if k not in gone))


def _unsqueeze(way: Way, graph: Graph, node: Any, attributes: Mapping[str, Any]) -> Way | None:
    given = _given(graph, node, attributes, 1, "axes")
    if given is None or way.place is not None:
        return None
    axes = list(way.axes)
    for k in sorted(k % (len(axes) + len(given)) for k in given):
        axes.insert(k, ())
    return replace(way, axes=tuple(axes))


def _flatten(way: Way, graph: Graph, node: Any, attributes: Mapping[str, Any]) -> Way | None:
    k = attributes.get("axis", 1)
    halves = way.axes[:k], way.axes[k:]
    joined = tuple(tuple(a for axis in half for a in axis) for half in halves)
    return replace(way, axes=joined) if way.place is None else None


def _reshape(way: Way, graph: Graph, node: Any, attributes: Mapping[str, Any]) -> Way | None:
    given: Sequence[Entry] | None = attributes.get("shape")
    entries = shape_entries(way, graph, node.input[1]) if len(node.input) > 1 else given
    if entries is None or attributes.get("allowzero"):
        return None
    if any(e == 0 and k >= len(way.axes) for k, e in enumerate(entries)):
        return None
    return way.regrouped([way.axes[k] if e == 0 else e for k, e in enumerate(entries)])


def _gather(way: Way, graph: Graph, node: Any, attributes: Mapping[str, Any]) -> Way | None:
    k, index = attributes.get("axis", 0) % len(way.axes), graph.constant(node.input[1])
    if index is None or index.size != 1:
        return None
    axis, at, step, half = way.axes[k], int(np.ravel(index)[0]), way.step, None
    first, total = (way.place if k == 0 and way.place else (0, way.length(axis))) if axis != _T else (0, None)
    if axis == _D and total is not None and at % total - first in (0, 1):
        half = node.input[0], first, total
    elif axis == _T:
        last = at == -1 or at + 1 == way.length(axis)
        if not last and at != 0:
            return None
        step = way.taken(last)
    elif axis != () or total is None or at % total != first:
        return None
    if way.half is not None or (way.place is not None and k != 0):
        return None
    kept = [()] * index.ndim
    return replace(way, axes=(*way.axes[:k], *kept, *way.axes[k + 1 :]), step=step, place=None, half=half)


def _slice(way: Way, graph: Graph, node: Any, attributes: Mapping[str, Any]) -> Way | None:
    starts = _given(graph, node, attributes, 1, "starts")
    ends = _given(graph, node, attributes, 2, "ends")
    if starts is None or ends is None or len(starts) != len(ends) or way.place is not None:
        return None
    axes = _given(graph, node, attributes, 3, "axes")
    if axes is None and len(node.input) > 3 and node.input[3]:
        return None
    steps = _given(graph, node, attributes, 4, "steps") or [1] * len(starts)
    for k, start, end, by in zip(range(len(starts)) if axes is None else axes, starts, ends, steps):
        length = way.length(way.axes[k])
        whole = end >= (_FAR if length is None else length)
        if by != 1:
            return None
        if start == 0 and whole:
            continue
        last = whole and (start == -1 or start + 1 == length)
        if way.axes[k] != _T or not (last or (start == 0 and end == 1)):
            return None
        kept = list(way.axes)
        kept[k] = ()
        way = replace(way, axes=tuple(kept), step=way.taken(last))
    return way


def _concat(way: Way, graph: Graph, node: Any, attributes: Mapping[str, Any]) -> Way | None:
    """Follow two directions that are put together again, or the last states of several nodes, one behind the other."""
    axis, makers = attributes.get("axis", 0), [graph.maker(name) for name in node.input]
    if way.half is not None:
        source, first, total = way.half
        places = [_gathered(graph, maker, source) for maker in makers]
        own = axis in (-1, len(way.axes) - 1) and [None if p is None else p % total - first for p in places] == [0, 1]
        return replace(way, axes=(*way.axes[:-1], ("d", "h")), half=None) if own and way.axes[-1] == ("h",) else None
    if axis != 0 or way.axes[:1] not in (((),), (_D,)) or way.step is None or way.place is not None:
        return None
    before: set[str] = set()
    mine, total = None, 0
    for name, maker in zip(node.input, makers):
        if maker is None or maker.op_type not in INPUTS or name not in maker.output[1:] or name in before:
            return None
        given = graph.attributes(maker)
        if given.get("layout"):
            return None
        mine = total if name in way.known else mine
        total += 2 if given.get("direction") == b"bidirectional" else 1
        before.add(name)
    return None if mine is None else replace(way, place=(mine, total))


def _gathered(graph: Graph, maker: Any, source: str) -> int | None:
    """Return which one a Gather takes of a tensor, None where a node is none of that tensor."""
    if maker is None or maker.op_type != "Gather" or maker.input[0] != source:
        return None
    index = graph.constant(maker.input[1])
    return None if index is None or index.ndim else int(index)


#: What hands its input on, rearranged, or one step of it.
MOVES = {
    "Identity": _same, "Dropout": _dropout, "Cast": _cast, "Transpose": _transpose, "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze, "Flatten": _flatten, "Reshape": _reshape, "Gather": _gather, "Slice": _slice,
    "Concat": _concat,
}  # fmt: skip


def shape_entries(way: Way, graph: Graph, name: str, depth: int = 0) -> list[Entry] | None:
    """Return what a shape says, also one that is computed from the shapes of tensors whose axes are known."""
    value, node = graph.constant(name), graph.maker(name)
    if value is not None:
        return [int(v) for v in np.ravel(value)] if value.size <= 8 else None
    if node is None or depth > _DEEPEST:
        return None
    attributes = graph.attributes(node)
    if node.op_type == "Shape":
        axes = way.known.get(node.input[0])
        if axes is None:
            return None
        entries: list[Entry] = [axis if way.length(axis) is None else way.length(axis) for axis in axes]
        return entries[attributes.get("start", 0) : attributes.get("end")]
    if node.op_type == "Concat":
        parts = [shape_entries(way, graph, each, depth + 1) for each in node.input[:8]]
        return None if None in parts or len(node.input) > 8 else [e for part in parts if part for e in part]
    inner = shape_entries(way, graph, node.input[0], depth + 1) if node.input else None
    if inner is None:
        return None
    if node.op_type in ("Identity", "Cast", "Squeeze", "Unsqueeze", "Reshape"):
        return inner
    if node.op_type == "Gather":
        index = graph.constant(node.input[1])
        inside = index is not None and all(-len(inner) <= k < len(inner) for k in np.ravel(index))
        return [inner[int(k)] for k in np.ravel(index)] if index is not None and inside else None
    if node.op_type == "Slice":
        start, end = (_given(graph, node, attributes, k, word) for k, word in ((1, "starts"), (2, "ends")))
        return inner[start[0] : end[0]] if start and end and len(node.input) < 5 else None
    return None
