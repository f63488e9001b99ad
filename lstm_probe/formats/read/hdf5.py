"""An HDF5 file's groups, texts and arrays, read by a child process: libhdf5 hangs or crashes over some files."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from lstm_probe.core.budget import Budget, current
from lstm_probe.core.errors import InputError
from lstm_probe.core.limited import array_after, child_reading, lines

_CHILD = Path(__file__).with_name("hdf5_child.py")


@dataclass
class Group(Mapping[str, Any]):
    """A group: what is in it by name, and its attributes that are texts or lists of them.

    What is in it is a group, an array, or the InputError that is raised where somebody asks for it.
    """

    attrs: dict[str, Any] = field(default_factory=dict)
    members: dict[str, "Group | np.ndarray | InputError"] = field(default_factory=dict)

    def __getitem__(self, name: str) -> "Group | np.ndarray":
        found = self.members[name]
        if isinstance(found, InputError):
            raise found
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self.members)

    def __len__(self) -> int:
        return len(self.members)


def read_hdf5(source: IO[bytes]) -> Group:
    """Read all of a file but its optimiser, within the budget of `reading`.

    Args:
        source: an open file, at its beginning.

    Raises:
        InputError: it takes too long, too much memory, or libhdf5 crashes over it.
        ValueError: it is damaged, in libhdf5's words.
    """
    budget = current()
    assert budget is not None
    groups: dict[str, Group] = {}
    with child_reading(_CHILD, source, ["h5py", "numpy"], [budget.left]) as stream:
        for line in lines(stream):
            if "group" in line:
                groups[line["group"]] = Group(line["attributes"])
                if line["group"]:
                    _put(groups, line["group"], groups[line["group"]])
            elif "array" in line:
                _put(groups, line["array"], array_after(stream, line))
            else:
                _put(groups, line.get("refused") or line["large"], _refusal(budget, line))
    return groups[""]


def _put(groups: Mapping[str, Group], place: str, what: "Group | np.ndarray | InputError") -> None:
    above, _, name = place.rpartition("/")
    groups[above].members[name] = what


def _refusal(budget: Budget, line: Mapping[str, Any]) -> InputError:
    if "large" in line:
        return budget.too_large(line["large"].strip("/"), line["bytes"])
    return InputError(f"{budget.label}: {line['refused'].strip('/')} {line['why']}")
