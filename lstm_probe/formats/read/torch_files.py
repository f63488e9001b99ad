"""What a PyTorch or safetensors file holds: its state dicts. A pickle's objects are never made."""

import io
import json
import pickle
import re
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lstm_probe.core.budget import spend
from lstm_probe.core.errors import InputError
from lstm_probe.core.vocabulary import BESIDE_WEIGHTS
from lstm_probe.formats.choosing import and_words
from lstm_probe.formats.files import ADVICE, checked_zip, zip_member
from lstm_probe.formats.read.torch_claims import check_torch_file

#: What wrappers put into the names of what they wrap: `torch.compile`, FSDP, activation checkpointing.
_WRAPPERS = re.compile(r"(^|(?<=\.))(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)(\.|$)")
#: Members of an archive that hold the weights: stable-baselines3's policy, else the only one of such an ending.
_POLICY, _ENDINGS = "policy.pth", (".pth", ".pt", ".bin", ".ckpt")


class _Unread:
    """Stands for an object of a pickle that is not read: whatever is made or called, it is an empty dictionary."""

    def __new__(cls, *_: Any) -> Any:
        """Return what may be filled like a dictionary, and like an object with attributes."""
        return OrderedDict()


class _UnreadList:
    """Stands for an object that is filled like a list."""

    def __new__(cls, *_: Any) -> Any:
        """Return an empty list."""
        return []


class _UnreadState:
    """Stands for an object whose state is no dictionary, such as a NumPy type."""

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


#: What is filled otherwise than a dictionary: by a state of its own kind, or like a list.
_BY_STATE = ("numpy.dtype", "numpy.ndarray", "functools.partial", "ScriptObject", "multiarray._reconstruct")
_AS_LIST = ("collections.deque",)
#: Old files do not tell what they ask for before they are read.
_ALWAYS = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar", "numpy.dtype")


@dataclass
class Contents:
    """State dicts by where they are in the file ("" for the file itself, "model."), names with that in front.

    `unread` names the classes and functions of a pickle that were left alone; `ordered` says whether names stand in
    the order in which the layers were made; `said` is what it says of modules beside their weights (`said.py`).
    """

    states: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)
    ordered: bool = True
    said: dict[str, Any] = field(default_factory=dict)

    def all(self) -> dict[str, Tensor]:
        """Return the tensors of all state dicts."""
        return {name: tensor for state in self.states.values() for name, tensor in state.items()}

    def objects(self) -> str:
        """Return what the file holds instead of weights, in words."""
        own = [name for name in self.unread if not name.startswith(("torch.", "numpy.", "_codecs."))]
        first = (own or self.unread)[0]
        if any("quantized" in name or "ScriptObject" in name for name in self.unread):
            return f"holds a quantised or scripted layer ({first}), whose weights are not stored as such: never loaded"
        if any(name.startswith("torch.nn.modules.") for name in self.unread):
            return f"holds a whole module ({first}), not its weights alone: never loaded. {ADVICE}"
        return f"holds Python objects ({first}), not weights alone: never loaded. {ADVICE}"


def plain_name(name: str) -> str:
    """Return a name without what wrappers put into it.

    >>> plain_name("_orig_mod.encoder._orig_mod.weight_ih_l0")
    'encoder.weight_ih_l0'
    """
    return _WRAPPERS.sub("", name).rstrip(".")


def read(path: Path, kind: str) -> Contents:
    """Read a file; `kind` is "torch" or "safetensors".

    Raises:
        InputError: a pickle that cannot be read without making its objects.
    """
    if kind == "safetensors":
        from safetensors import safe_open
        from safetensors.torch import load_file

        spend(path.stat().st_size, "its weights")
        with safe_open(path, "pt") as file:
            said = json.loads((file.metadata() or {}).get(BESIDE_WEIGHTS, "{}"))
        # The format keeps its tensors by type and name.
        return Contents({"": {plain_name(k): v for k, v in load_file(path).items()}}, ordered=False, said=said)
    inside = _weights_in(path)
    check_torch_file(path, inside)
    source: Any = inside or path
    unread = _unread_names(source)
    stubs: list[Any] = [(_stub(name), name) for name in {*unread, *_ALWAYS}]
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(stubs):
            warnings.simplefilter("ignore")  # what torch has to say of old files is not about the weights
            content = torch.load(source, map_location="cpu", weights_only=True)
    except Exception as error:
        # The class or function named here is looked up by nobody: the name is only shown.
        wanted = re.search(r"GLOBAL (\S+)", str(error))
        names = unread or ([wanted[1]] if wanted else [])
        if not names and not isinstance(error, pickle.UnpicklingError):
            raise
        names = names or ["of an unusual kind"]
        raise InputError(f"path={path}: {Contents(unread=names).objects()}") from error
    contents = Contents(unread=unread)
    _collect(content, "", contents, set())
    return contents


def _weights_in(path: Path) -> io.BytesIO | None:
    """Return the file of weights inside an archive that has more; None where the file is that itself."""
    if not zipfile.is_zipfile(path):
        return None
    with checked_zip(path) as archive:
        names = archive.namelist()
        if any(name.endswith("/data.pkl") for name in names):
            return None
        inside = [_POLICY] if _POLICY in names else [name for name in names if name.endswith(_ENDINGS)]
        if len(inside) != 1:
            raise InputError(f"path={path}: is an archive with {and_words(inside)}; take out the one to read")
        return io.BytesIO(zip_member(archive, inside[0]))


def _unread_names(source: Any) -> list[str]:
    """Return the classes and functions that a pickle asks for beyond tensors; found without running it."""
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(source)
    except Exception:  # of an old format, or damaged: loading it says so
        names = []
    if isinstance(source, io.BytesIO):
        source.seek(0)
    return sorted(names)


def _stub(name: str) -> type:
    """Return a class of its own to stand for a name; nothing of that name is looked up."""
    base: type = _UnreadState if name.endswith(_BY_STATE) else _UnreadList if name in _AS_LIST else _Unread
    return type("Unread", (base,), {"__module__": __name__})


def _collect(content: Any, prefix: str, contents: Contents, seen: set[int]) -> None:
    """Gather the state dicts of nested dicts and lists, as checkpoints have them. What is there twice is read once."""
    if isinstance(content, list | tuple):
        items: Any = enumerate(content)
    elif isinstance(content, Mapping):
        items = content.items()
    else:
        return
    if id(content) in seen:
        return
    seen.add(id(content))
    notes = getattr(content, "_metadata", None)
    for module, own in notes.items() if isinstance(notes, Mapping) else ():
        if isinstance(own, Mapping) and BESIDE_WEIGHTS in own:
            contents.said[plain_name(f"{prefix}{module}")] = own[BESIDE_WEIGHTS]
    every = [(plain_name(f"{prefix}{key}"), f"{prefix}{key}.", value) for key, value in items]
    own = {name: value for name, _, value in every if isinstance(value, Tensor)}
    if own:
        contents.states[prefix] = own
    for _, inside, value in every:
        _collect(value, inside, contents, seen)
