"""What a PyTorch file claims, compared with what is in it, before torch reads it.

torch believes the pickle inside: a storage of more elements than the file has is read beyond its end, an expanded
tensor of 8 bytes may stand for gigabytes, and dicts that hold one another many times over never come to an end.
So the pickle is gone through once with nothing behind its names: no code runs and nothing is allocated.
"""

import io
import math
import pickle
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from lstm_probe.core.budget import Budget, current, spend, tick
from lstm_probe.core.errors import InputError
from lstm_probe.formats.files import checked_zip, zip_member

#: Objects that a pickle may stand for when everything that is there several times is counted as often.
MOST_PARTS = 1_000_000
#: What makes a tensor of a storage, and where among what it is given the shape stands.
_SHAPES = {
    "_rebuild_tensor": (2,), "_rebuild_tensor_v2": (2,), "_rebuild_tensor_v3": (2,), "_rebuild_qtensor": (2,),
    "_rebuild_sparse_tensor": (1, 2), "_rebuild_meta_tensor_no_storage": (1,),
}  # fmt: skip
_WIDTHS = {name: kind.itemsize for name, kind in torch.storage._storage_type_to_dtype_map().items()}
_ELEMENT = 4  # bytes, as most weights have
#: What makes room for as many elements as it is told, by the end of its name.
_MAKE_ROOM = ("bytearray", "Tensor", "Storage")


def check_torch_file(path: Path, inside: io.BytesIO | None = None) -> None:
    """Raise an InputError where a file does not hold what it claims, or claims more than the budget of `reading`.

    Args:
        path: of the file.
        inside: the file of weights where it is one inside the archive at `path`; afterwards at its beginning.
    """
    budget = current()
    assert budget is not None
    with nullcontext(inside) if inside is not None else path.open("rb") as file:
        zipped = file.read(2) == b"PK"
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        if zipped:
            _check_zip(path, inside, budget)
        else:
            _check_legacy(file, size, budget)
        file.seek(0)


def _check_zip(path: Path, inside: io.BytesIO | None, budget: Budget) -> None:
    with checked_zip(path, inside) as archive:
        folder = archive.namelist()[0].partition("/")[0]
        sizes = {member.filename: member.file_size for member in archive.infolist()}
        claims = _Claims(io.BytesIO(zip_member(archive, f"{folder}/data.pkl")), budget)
        claims.check()
        for key, size in claims.storages.items():
            real = sizes.get(f"{folder}/data/{key}", 0)
            if size > real:
                raise InputError(f"{budget.label}: is damaged: data/{key} has {real} bytes, {size} are claimed of it")
            spend(real, f"data/{key}")


def _check_legacy(file: io.BufferedIOBase, size: int, budget: Budget) -> None:
    for _ in range(3):  # the format's mark, its version, the machine that it was made on
        _Claims(file, budget).check()
    claims = _Claims(file, budget)
    claims.check()
    claimed = sum(claims.storages.values())
    if claimed > size:
        raise InputError(f"{budget.label}: is damaged: has {size} bytes, and claims {claimed} of weights")
    spend(claimed, "its weights")


class _Nothing:
    """What stands for everything that a pickle names: takes whatever it is given and does nothing."""

    what = ""

    def __new__(cls, *given: Any, **named: Any) -> "_Nothing":
        made = super().__new__(cls)
        made.parts = [given, named]
        _check_given(cls.what, given)
        return made

    parts: list[Any]

    def __call__(self, *given: Any) -> "_Nothing":
        return _Nothing(*given)

    def __setstate__(self, state: Any) -> None:
        self.parts.append(state)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.parts.append(value)

    def append(self, value: Any) -> None:
        """Take what a list is given."""
        self.parts.append(value)

    add = append

    def extend(self, values: Iterable[Any]) -> None:
        """Take what a list is given."""
        self.parts += values


def _check_given(what: str, given: tuple[Any, ...]) -> None:
    """Raise an InputError where something would be made that does not fit into the budget."""
    budget, name = current(), what.rpartition(".")[2]
    assert budget is not None
    shape: Any = None
    if name in _SHAPES:
        shape = given
        for place in _SHAPES[name]:
            shape = shape[place] if isinstance(shape, tuple) and len(shape) > place else None
        if isinstance(shape, _Nothing):  # a torch.Size
            shape = shape.parts[0][0]
    elif name.endswith(_MAKE_ROOM):
        shape = [n for n in given if isinstance(n, int)]
    sizes = [n for n in shape if isinstance(n, int)] if isinstance(shape, tuple | list) else []
    if sizes and (size := math.prod(sizes) * _ELEMENT) > budget.left:
        raise budget.too_large(f"a tensor of shape {tuple(sizes)}", size)


class _Claims(pickle._Unpickler):  # the one in C makes room for as many memos as it is told
    """Goes through one pickle and notes the storages that it asks for."""

    def __init__(self, file: Any, budget: Budget) -> None:
        super().__init__(file, encoding="latin1")
        self.budget = budget
        self.storages: dict[str, int] = {}
        self.counted: dict[int, int] = {}

    def check(self) -> None:
        """Go through it; an InputError where it stands for far more than it holds."""
        if self._count(self.load()) > MOST_PARTS:
            raise InputError(f"{self.budget.label}: is made to have no end: its parts hold one another over and over")

    def find_class(self, module: str, name: str) -> Any:
        tick()
        return type(name, (_Nothing,), {"what": f"{module}.{name}"})

    def persistent_load(self, pid: Any) -> Any:
        """Note how many bytes a storage is said to have."""
        if not (isinstance(pid, tuple) and len(pid) >= 5 and pid[0] == "storage"):
            return _Nothing()
        kind, key, count = getattr(pid[1], "__name__", ""), str(pid[2]), pid[4]
        width = 1 if kind == "UntypedStorage" else _WIDTHS.get(kind)
        if type(count) is not int or count < 0 or width is None:
            raise InputError(f"{self.budget.label}: is damaged: {count!r:.40} elements of a {kind or 'nameless type'}")
        self.storages[key] = max(self.storages.get(key, 0), count * width)
        return _Nothing()

    def _count(self, part: Any) -> int:
        """Return how many objects dicts and lists stand for; a part of itself has no end."""
        if isinstance(part, _Nothing) and part.what.endswith(("Dict", "dict")):
            part = part.parts
        if not isinstance(part, dict | list | tuple):
            return 1
        if id(part) not in self.counted:
            self.counted[id(part)] = MOST_PARTS + 1
            self.counted[id(part)] = 1 + sum(map(self._count, part.values() if isinstance(part, dict) else part))
        return self.counted[id(part)]
