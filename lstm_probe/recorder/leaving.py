"""Running somebody's module and leaving it as it was: modes, random state, and what it keeps from call to call."""

import logging
import sys
from collections import deque
from collections.abc import Iterator, MutableMapping, MutableSequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType, NoneType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lstm_probe.recorder.a_module import check_module

log = logging.getLogger(__name__)

COPY_BYTES = 2**26  # of one tensor that a module holds: larger ones are watched, not copied
DEPTH = 6  # of containers within containers that are looked into
#: What PyTorch itself keeps in a module: parts are looked at one by one, hooks are not touched.
OWN = {"_parameters", "_modules", "_non_persistent_buffers_set", "training", "_flat_weights", "_flat_weight_refs"}
#: What has no contents that could change, or is not looked into.
UNCHANGING = (
    int, float, complex, str, bytes, range, type, NoneType, FunctionType, MethodType, BuiltinFunctionType, ModuleType,
    nn.Module, torch.dtype, torch.device,
)  # fmt: skip


def as_written() -> AbstractContextManager[Any]:
    """Return a context in which compiled modules run as they are written; else what watches them would be compiled."""
    if "torch._dynamo" not in sys.modules:  # nothing is compiled, and its import takes seconds
        return nullcontext()
    stance: AbstractContextManager[Any] = torch.compiler.set_stance("force_eager")
    return stance


@contextmanager
def undisturbed(module: nn.Module) -> Iterator[None]:
    """Evaluation mode and no gradients within this context; then the module is as it was, and so is the random state.

    What the module keeps in buffers and in attributes of its own, such as the state after its last call, is put back.
    What cannot be (a tensor too large to copy that was written into) is named in a warning.
    """
    check_module(module)
    modes = {part: part.training for part in module.modules()}
    devices = sorted({p.device.index or 0 for p in module.parameters() if p.device.type == "cuda"})
    kept = _Kept.of(module)
    module.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=devices), as_written():
            yield
    finally:
        for part, mode in modes.items():
            part.training = mode
        changed = kept.put_back()
        if changed:
            log.warning("the module changed what it holds, and this could not be undone: %s", ", ".join(changed))


@dataclass
class _Kept:
    """What a module held: its attributes, and the contents of what can change in place."""

    attributes: list[tuple[str, nn.Module, dict[str, Any]]] = field(default_factory=list)
    contents: dict[int, tuple[str, Any, Any]] = field(default_factory=dict)

    @classmethod
    def of(cls, module: nn.Module) -> "_Kept":
        kept = cls()
        for name, part in module.named_modules():
            own = {key: value for key, value in vars(part).items() if _is_own(key)}
            kept.attributes.append((name, part, own))
            for key, value in own.items():
                kept._look(f"{name}.{key}".strip("."), value, 0)
        return kept

    def _look(self, name: str, value: Any, depth: int) -> None:
        if isinstance(value, UNCHANGING) or id(value) in self.contents or depth > DEPTH:
            return
        if isinstance(value, Tensor):
            small = value.numel() * value.element_size() <= COPY_BYTES
            version = None if value.is_inference() else value._version
            self.contents[id(value)] = (name, value, (version, value.detach().clone() if small else None))
        elif isinstance(value, torch.Generator):
            self.contents[id(value)] = (name, value, value.get_state())
        elif isinstance(value, np.ndarray):
            self.contents[id(value)] = (name, value, value.copy() if value.nbytes <= COPY_BYTES else None)
        elif isinstance(value, MutableSequence | MutableMapping | set):
            self.contents[id(value)] = (name, value, value.copy() if hasattr(value, "copy") else None)
            inside = value.items() if isinstance(value, MutableMapping) else enumerate(value)
            for key, own in inside:
                self._look(f"{name}[{key!r}]", own, depth + 1)
        elif isinstance(value, tuple | frozenset):
            for key, own in enumerate(value):
                self._look(f"{name}[{key}]", own, depth + 1)
        elif hasattr(value, "__dict__"):
            self.contents[id(value)] = (name, vars(value), dict(vars(value)))
            for key, own in vars(value).items():
                self._look(f"{name}.{key}", own, depth + 1)

    def put_back(self) -> list[str]:
        """Put everything back; return the names of what could not be."""
        lost = [name for name, value, was in self.contents.values() if not _restored(value, was)]
        for _, part, own in self.attributes:
            now = {key for key in vars(part) if _is_own(key)}
            for key in now - own.keys():
                delattr(part, key)
            for key, value in own.items():
                if vars(part).get(key) is not value:
                    setattr(part, key, value)
        return lost


def _restored(value: Any, was: Any) -> bool:
    """Give a container, an array or a tensor its contents back; whether that was possible."""
    if isinstance(value, Tensor):
        version, copied = was
        if copied is None:
            return version is None or value._version == version
        if not torch.equal(value, copied):
            with torch.inference_mode(value.is_inference()):
                value.data.copy_(copied)
        return True
    if isinstance(value, torch.Generator):
        value.set_state(was)
        return True
    if was is None:
        return True
    if isinstance(value, np.ndarray):
        value[...] = was
    elif isinstance(value, MutableMapping | set):
        if value != was if isinstance(value, set) else not _same(value, was):
            value.clear()
            value.update(was)
    elif isinstance(value, MutableSequence | deque) and (
        len(value) != len(was) or any(a is not b for a, b in zip(value, was))
    ):
        value.clear()
        value.extend(was)
    return True


def _same(value: MutableMapping[Any, Any], was: MutableMapping[Any, Any]) -> bool:
    return value.keys() == was.keys() and all(value[key] is was[key] for key in was)


@cache
def _is_own(key: str) -> bool:
    return key not in OWN and "_hooks" not in key
