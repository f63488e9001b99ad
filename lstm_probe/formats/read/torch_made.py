"""Weights that a module makes of other tensors: AWD-LSTM's raw ones, weight and spectral norm, pruning masks.

What a module computes in evaluation mode, from what its state dict has; what the state dict does not determine is
named and refused.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

_PARAMETRIZED = re.compile(r"^((?:.*\.)?)parametrizations\.(\w+)\.(original\d*|\d+\..+)$")
_SUFFIXED = re.compile(r"^((?:.*\.)?)((?:weight|bias)\w*?)_(raw|orig|mask|g|v|u)$")


@dataclass(frozen=True)
class Made:
    """Tensors by the names that the layers know them by.

    `notes` say of a name what it was made of; `refused` says of one why it cannot be made.
    """

    tensors: dict[str, Tensor]
    notes: dict[str, str]
    refused: dict[str, str]


def made(tensors: Mapping[str, Tensor]) -> Made:
    """Return the weights of a state dict as the modules compute them, in the state dict's order.

    What is made may be a part of something else: weight norm of a pruned matrix.
    """
    whole = _once(tensors)
    while (again := _once(whole.tensors)).notes:
        whole = Made(again.tensors, {**whole.notes, **again.notes}, again.refused)
    return whole


def _once(tensors: Mapping[str, Tensor]) -> Made:
    parts: dict[str, dict[str, Tensor]] = {}
    places: dict[str, str] = {}
    for name, tensor in tensors.items():
        match = _PARAMETRIZED.match(name) or _SUFFIXED.match(name)
        if match:
            target = _target(tensors, match[1], match[2])
            parts.setdefault(target, {})[match[3]] = tensor
            places[name] = target
    results = {target: _make(pieces) for target, pieces in parts.items()}
    whole = Made({}, {}, {})
    for name, tensor in tensors.items():
        target = places.get(name, name)
        result = results.get(target)
        if result is None:
            whole.tensors[name] = tensor
        elif isinstance(result, str):
            whole.refused[target] = result
            whole.tensors[name] = tensor
        elif target not in whole.tensors or name == target:
            value, whole.notes[target] = result
            whole.tensors[target] = value
    return whole


def _target(tensors: Mapping[str, Tensor], prefix: str, leaf: str) -> str:
    """Return the name of what is made; a wrapper around the layer keeps the parts itself, and the layer as `module`."""
    own = (f"{prefix}weight", f"{prefix}bias")
    inner = any(name.startswith((f"{prefix}module.weight", f"{prefix}module.bias")) for name in tensors)
    beside = any(name.startswith(own) and not _SUFFIXED.match(name) for name in tensors)
    return f"{prefix}{'module.' if inner and not beside else ''}{leaf}"


def _make(parts: Mapping[str, Tensor]) -> tuple[Tensor, str] | str | None:
    """Return a weight and words on it, words on why it cannot be made, or None where these are no parts of one."""
    names = set(parts)
    if names == {"raw"}:
        return parts["raw"], "read from its _raw, to which dropout is applied in training alone"
    if names == {"orig", "mask"} and parts["orig"].shape == parts["mask"].shape:
        return parts["orig"] * parts["mask"], "pruned: _orig times _mask"
    if names == {"orig", "u", "v"}:
        return _divided(parts["orig"], parts["u"], parts["v"])
    if names == {"original", "0._u", "0._v"}:
        return _divided(parts["original"], parts["0._u"], parts["0._v"])
    pair = [parts[k] for k in (("g", "v") if names == {"g", "v"} else ("original0", "original1")) if k in parts]
    if len(pair) == 2 and len(names) == 2:
        return _normed(*pair)
    if any(name.startswith("original") for name in names):
        return "is made by a parametrization that the file does not name; read are weight norm and spectral norm"
    if names in ({"orig"}, {"orig", "mask"}):
        return "is made of its _orig by what the file does not name; read are pruning masks and spectral norm"
    return None


def _normed(g: Tensor, v: Tensor) -> tuple[Tensor, str] | str:
    """Weight norm: g v / |v|, the length taken over all axes along which g has one element."""
    if g.dim() not in (0, v.dim()) or any(size not in (1, full) for size, full in zip(g.shape, v.shape)):
        return f"is made of tensors of shapes {tuple(g.shape)} and {tuple(v.shape)}, which is no weight norm"
    wide = v.double()
    axes = [k for k in range(v.dim()) if g.dim() == 0 or g.shape[k] == 1]
    length = torch.linalg.vector_norm(wide, dim=axes, keepdim=g.dim() > 0) if axes else wide.abs()
    return (g.double() * wide / length).to(v.dtype), "weight norm: g v / |v|"


def _divided(weight: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, str] | str:
    """Spectral norm: the weight by its largest singular value, as the last power iteration left it."""
    wide, left, right = weight.double(), u.double(), v.double()
    if weight.dim() != 2 or {u.numel(), v.numel()} != set(weight.shape) or u.dim() != 1 or v.dim() != 1:
        return f"is made of tensors of shapes {tuple(weight.shape)}, {tuple(u.shape)} and {tuple(v.shape)}"
    ways = [one for one in (wide, wide.T) if u.numel() == one.shape[0]]  # both where it is square: u is along W v
    flat = max(ways, key=lambda one: torch.cosine_similarity(left, one @ right, dim=0).item())
    return (wide / (left @ flat @ right)).to(weight.dtype), "spectral norm: divided by its largest singular value"
