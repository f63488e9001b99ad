"""A device that computes on the CPU and says that it does not: what mixes devices is found out without a GPU.

It takes over PyTorch's place for backends of one's own for the rest of the process; so a process of its own runs it.
"""

import copy
import traceback
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "away"
aten = torch.ops.aten
#: Operators that take indices of the CPU for values of any device, as on a GPU.
INDEXING = {aten.index.Tensor, aten.index_put_.default, aten.index_put.default, aten._index_put_impl_.default}
#: What would have failed on a GPU, by the innermost line of the package.
mixed: dict[str, str] = {}


def note(what: str) -> None:
    """Keep the line of the package that did it."""
    lines = [f"{frame.filename.rpartition('lstm_probe/')[2]}:{frame.lineno}"
             for frame in traceback.extract_stack() if "lstm_probe/" in frame.filename]  # fmt: skip
    mixed.setdefault(lines[-1] if lines else "?", what)


class Away(Tensor):
    """A tensor that says it is elsewhere; its values are in `inner`."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> "Away":
        own = Tensor._make_wrapper_subclass(
            cls, inner.size(), strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype,
            layout=inner.layout, device=torch.device(NAME, 0),
        )  # fmt: skip
        own.inner = inner
        return own

    __torch_dispatch__ = classmethod(lambda cls, func, types, args=(), kwargs=None: run(func, args, kwargs or {}))

    def tolist(self) -> Any:
        """Return the values, as any device does."""
        return self.inner.tolist()

    def numpy(self, **options: Any) -> Any:
        """Return the values, which a GPU would refuse."""
        note("numpy() of a tensor on a device")
        return self.inner.detach().numpy()

    def __array__(self, *options: Any, **more: Any) -> Any:
        return self.numpy()

    def __deepcopy__(self, memo: Any) -> "Away":
        return Away(self.inner.clone())


class Pretended(TorchDispatchMode):
    """While it lasts, tensors can be on the device."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return run(func, args, kwargs or {})


def run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Compute on the CPU; note where a GPU would have failed."""
    tensors = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
    there, here = ([one for one in tensors if isinstance(one, Away) is away] for away in (True, False))
    told = kwargs.get("device")
    wanted = bool(there) if told is None else torch.device(told).type == NAME
    given = kwargs if told is None else {**kwargs, "device": torch.device("cpu")}
    if func is aten.copy_.default:
        inner(args[0]).copy_(inner(args[1]))
        return args[0]
    if func is not aten._to_copy.default:
        indexed = func in INDEXING and isinstance(args[0], Away)
        if there and not indexed and any(one.dim() for one in here):
            note(f"{func}: {[tuple(one.shape) for one in there]} there, {[tuple(one.shape) for one in here]} here")
        if wanted and isinstance(given.get("generator"), torch.Generator):
            note(f"{func}: the CPU's generator for a device")
    own = CELLS.get(func, func)
    made = own(*tree_map_only(Away, inner, args), **tree_map_only(Away, inner, given))
    if not wanted or func is aten._local_scalar_dense.default:
        return made
    made = tree_map_only(Tensor, Away, made)
    return return_and_correct_aliasing(func, args, kwargs, made) if there else made


def inner(values: Tensor) -> Tensor:
    """Return the values on the CPU."""
    return values.inner if isinstance(values, Away) else values


def cell(x: Tensor, h: Tensor, c: Tensor, *biases: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Return h, c and the gates: of an LSTM on a device, a kernel of its own."""
    pre = sum((one for one in biases if one is not None), x + h)
    i, f, g, o = pre.chunk(4, 1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    c = f * c + i * g
    return o * c.tanh(), c, torch.cat([i, f, g, o], 1)


def cell_backward(
    of_h: Tensor | None, of_c: Tensor | None, c: Tensor, new: Tensor, gates: Tensor, biased: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return the gradients by what went into the gates, by the c before, and by the bias."""
    i, f, g, o = gates.chunk(4, 1)
    shown = new.tanh()
    of_h = torch.zeros_like(new) if of_h is None else of_h
    by_c = (0 if of_c is None else of_c) + of_h * o * (1 - shown * shown)
    by_gates = [by_c * g * i * (1 - i), by_c * c * f * (1 - f), by_c * i * (1 - g * g), of_h * shown * o * (1 - o)]
    pre = torch.cat(by_gates, 1)
    return pre, by_c * f, pre.sum(0) if biased else None


CELLS: dict[Any, Callable[..., Any]] = {
    aten._thnn_fused_lstm_cell.default: cell, aten._thnn_fused_lstm_cell_backward_impl.default: cell_backward,
}  # fmt: skip


def begin() -> Any:
    """Register the device; what this returns has to be kept."""
    _setup_privateuseone_for_python_backend(NAME)
    library = torch.library.Library("aten", "IMPL")

    def empty(size: Any, *layout: Any, dtype: Any = None, **more: Any) -> Away:
        return Away(torch.empty_strided(size, *layout, dtype=dtype) if layout else torch.empty(size, dtype=dtype))

    library.impl("empty_strided", empty, "PrivateUse1")
    library.impl("empty.memory_format", empty, "PrivateUse1")
    library.impl("_copy_from", lambda values, into, *more: (inner(into).copy_(inner(values)), into)[1], "PrivateUse1")
    return library


def main() -> None:
    """Make every table on the CPU and on the device; print what was mixed, and where they differ."""
    import lstm_probe as lp
    from tests.test_cuda import KINDS, PARTS, TABLES, TASKS, same, untrained

    kept = begin()
    net = lp.planted.combine(PARTS[1:], 2, listening=True, seed=3)
    planted = net.model, net.sample(40, length=10, seed=1)
    asked = [(name, *planted) for name in TABLES] + [(name, *untrained(task)) for task in TASKS for name in KINDS]
    for name, model, batch in asked:
        expected = TABLES[name](model, batch)
        mixed.clear()
        with Pretended():
            got = TABLES[name](copy.deepcopy(model).to(NAME), batch.to(NAME))
        for line, what in mixed.items():
            print(f"{name}: {line}: {what}")
        try:
            same(got, expected)
        except AssertionError as error:
            print(f"{name}: {str(error).strip().splitlines()[0]}")
    print("done")
    del kept


if __name__ == "__main__":
    main()
