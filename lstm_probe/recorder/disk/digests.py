"""Checksums of tensors, weights and batches."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lstm_probe.core.kinds import Signal


def raw(values: Tensor) -> Any:
    """Return a tensor's bytes, last axis fastest; a copy only where it does not lie so in memory."""
    return values.detach().cpu().reshape(-1).view(torch.uint8).numpy()


def weights_sha256(module: nn.Module) -> str:
    """Return the checksum of all parameters and buffers of a module."""
    digest = hashlib.sha256()
    for named in (module.named_parameters(), module.named_buffers()):
        for name, values in named:
            digest.update(repr((name, str(values.dtype), tuple(values.shape))).encode())
            digest.update(raw(values))
    return digest.hexdigest()


def batch_sha256(*given: Any) -> str:
    """Return the checksum of all tensors, arrays, numbers and words in nested tuples, lists and dicts."""
    digest = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
            value = torch.as_tensor(value)
        if isinstance(value, Tensor):
            digest.update(repr((str(value.dtype), tuple(value.shape))).encode())
            digest.update(raw(value))
        elif isinstance(value, Signal):
            add((value.values, value.kind, value.role, value.meaning))
        elif isinstance(value, Mapping):
            add([part for pair in value.items() for part in pair])
        elif isinstance(value, tuple | list):
            digest.update(f"({len(value)}".encode())
            for part in value:
                add(part)
        elif value is None or isinstance(value, str | int | float):
            digest.update(repr(value).encode())

    add(given)
    return digest.hexdigest()
