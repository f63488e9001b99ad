"""The file of a training that was interrupted: trusted only where it is what was written of that very training.

Its first line is the SHA-256 of all that follows; the second says of which training it is (a hash), at which step it
stands, and at which it ends; the rest is PyTorch's. Nothing is unpickled before all that is compared.
"""

import hashlib
import io
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lstm_probe.core.digests import DamagedError, read_regular
from lstm_probe.core.files import write_whole


class UntrustedError(ValueError):
    """A checkpoint that a training cannot go on from; the message says why, in a few words."""


def identity_of(training: Mapping[str, Any]) -> str:
    """Return a hash that depends on every key and value."""
    return hashlib.sha256(json.dumps(training, sort_keys=True, default=repr).encode()).hexdigest()


def write_checkpoint(path: Path, saved: Mapping[str, Any], training: str, steps: tuple[int, int]) -> None:
    """Write a checkpoint; whole or not at all.

    Args:
        path: of the file.
        saved: what is to be read again.
        training: of which it is, as `identity_of` says.
        steps: that are done, and that there are.
    """
    buffer = io.BytesIO()  # PyTorch's own writer does not say that a disk is full; Python's does
    about = {"training": training, "steps": list(steps)}
    buffer.write(json.dumps(about).encode() + b"\n")
    torch.save(dict(saved), buffer)
    content = buffer.getbuffer()
    write_whole(path, [hashlib.sha256(content).hexdigest().encode() + b"\n", content])


def read_checkpoint(path: Path, training: str, steps: int, device: str) -> dict[str, Any]:
    """Return what was saved: "own" with the steps done, and the rest as it was given.

    Args:
        path: of the file.
        training: of which it has to be.
        steps: of that training.
        device: where its tensors go.

    Raises:
        UntrustedError: it is no file, not what was written, or of another training.
    """
    try:
        told, _, rest = read_regular(path).partition(b"\n")
    except DamagedError as error:
        raise UntrustedError(f"{error}") from None
    if not rest or told != hashlib.sha256(rest).hexdigest().encode():
        raise UntrustedError("damaged, or no checkpoint of this version: its checksum is wrong")
    try:
        head, _, content = rest.partition(b"\n")
        about = json.loads(head)
        if about["training"] != training:
            raise UntrustedError("of another configuration")
        done, end = about["steps"]
        if not (type(done) is int and type(end) is int and 0 <= done <= end == steps):
            raise UntrustedError(f"of the steps {done} to {end}; this training has {steps}")
        saved: dict[str, Any] = torch.load(io.BytesIO(content), weights_only=True, map_location=device)
        _check(saved, done)
    except UntrustedError:
        raise
    except Exception as error:  # whatever else a file can hold
        raise UntrustedError(f"not a checkpoint: {type(error).__name__}") from None
    return saved


def _check(saved: dict[str, Any], done: int) -> None:
    """Raise an UntrustedError unless what was saved can be that of a training after so many steps."""
    own = saved["own"]
    if own["step"] != done:
        raise UntrustedError(f"of step {own['step']}, not {done}")
    if type(own["solved"]) is not int or not (0 <= own["seconds"] < math.inf):
        raise UntrustedError("its times are none")
    if not all(len(row) == len(own["rows"][0]) and 0 <= row[0] <= done for row in own["rows"]):
        raise UntrustedError("its history is of other steps")
    if not all(_finite(value) for name, value in saved.items() if name != "own"):
        raise UntrustedError("not all its numbers are finite")


def _finite(value: Any) -> bool:
    """Return whether all numbers in nested dicts and lists, and in their tensors, are finite."""
    if isinstance(value, Mapping):
        return all(map(_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_finite, value))
    if isinstance(value, Tensor):
        return bool(torch.isfinite(value).all())
    return not isinstance(value, float) or math.isfinite(value)


def set_aside(path: Path) -> Path:
    """Rename whatever stands in a checkpoint's place; return its new path."""
    aside = path.with_name(f"{path.name}.{os.urandom(4).hex()}.untrusted")
    path.rename(aside)
    return aside
