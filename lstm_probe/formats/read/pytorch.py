"""PyTorch state dicts and safetensors; a pickle that would need more than tensors is never loaded."""

import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lstm_probe.core.budget import spend
from lstm_probe.core.errors import InputError
from lstm_probe.formats.build import Cell, build_embedding, build_linear, build_lstm, dtype_of
from lstm_probe.formats.choosing import and_words, choose
from lstm_probe.formats.imported import Imported
from lstm_probe.formats.read.torch_claims import check_torch_file

#: What the rows of weight_hh are, in units, for each kind of layer.
_KINDS = {1: "RNN", 3: "GRU", 4: "LSTM"}


def load(path: Path, kind: str, layer: str | None) -> Imported:
    """Read the LSTM of a state dict; `kind` is "torch" or "safetensors"."""
    tensors = _read(path, kind)
    prefixes = [name.removesuffix("weight_ih_l0") for name in tensors if re.search(r"(^|\.)weight_ih_l0$", name)]
    cells = [name.removesuffix("weight_ih") for name in tensors if re.search(r"(^|\.)weight_ih$", name)]
    found = {_shown(prefix): prefix for prefix in prefixes + cells}
    kinds = {name: _kind(path, tensors, prefix) for name, prefix in found.items()}
    lstms = [name for name, what in kinds.items() if what == "LSTM"]
    if not lstms:
        others = [f"{name} is a {k}" for name, k in kinds.items()]
        what = and_words(others) if others else f"it has {', '.join(list(tensors)[:4]) or 'none'}"
        raise InputError(f"path={path}: holds no LSTM's weights (weight_ih_l0 ...): {what}")
    name = choose(path, lstms, layer)
    prefix = found[name]
    lstm = build_lstm(f"path={path}: {name}", _cells(path, tensors, prefix, one=prefix in cells))
    notes = ["two biases, as in the file"] if lstm.bias else ["no biases"]
    readout, words = _readout(path, tensors, lstm)
    embedding, more = _embedding(path, tensors, lstm)
    what = "safetensors file" if kind == "safetensors" else "PyTorch state dict"
    return Imported(lstm, f"{what}, layer {name}", name, readout, embedding=embedding, notes=(*notes, *words, *more))


def _shown(prefix: str) -> str:
    return prefix.rstrip(".") or "lstm"


def _read(path: Path, kind: str) -> dict[str, Tensor]:
    if kind == "safetensors":
        from safetensors.torch import load_file

        spend(path.stat().st_size, "its weights")
        return load_file(path)
    check_torch_file(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch has to say of old files is not about the weights
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # The class or function named here is looked up by nobody: the name is only shown.
        wanted = re.search(r"GLOBAL (\S+)", str(error))
        what = f" ({wanted[1]})" if wanted else ""
        raise InputError(
            f"path={path}: holds Python objects{what}, not weights alone: never loaded. "
            "Save the weights alone: torch.save(model.state_dict(), path), or safetensors"
        ) from error
    return _flat(content)


def _flat(content: Any, prefix: str = "") -> dict[str, Tensor]:
    """Return every tensor of nested dicts under its dotted name: checkpoints keep the state dict inside."""
    if isinstance(content, Tensor):
        return {prefix.rstrip("."): content}
    if not isinstance(content, Mapping):
        return {}
    flat: dict[str, Tensor] = {}
    for key, value in content.items():
        flat |= _flat(value, f"{prefix}{key}.")
    return flat


def _array(tensor: Tensor) -> np.ndarray:
    if tensor.is_sparse or tensor.element_size() < 4:  # else it is not copied
        spend(tensor.numel() * 4, f"a tensor of shape {tuple(tensor.shape)}")
    tensor = tensor.detach().to_dense() if tensor.is_sparse else tensor.detach()
    return (tensor if tensor.dtype == torch.float64 or not tensor.is_floating_point() else tensor.float()).numpy()


def _kind(path: Path, tensors: Mapping[str, Tensor], prefix: str) -> str:
    end = "_l0" if f"{prefix}weight_ih_l0" in tensors else ""
    w_ih, w_hh = tensors[f"{prefix}weight_ih{end}"], tensors.get(f"{prefix}weight_hh{end}")
    w_hr = tensors.get(f"{prefix}weight_hr{end}")
    if w_hh is None or w_hh.dim() != 2 or w_ih.dim() != 2 or w_ih.shape[0] != w_hh.shape[0]:
        raise InputError(f"path={path}: {prefix}weight_ih{end} and {prefix}weight_hh{end} do not belong together")
    if w_hr is not None:
        return "LSTM"
    units = max(w_hh.shape[1], 1)
    return _KINDS.get(w_hh.shape[0] // units if w_hh.shape[0] % units == 0 else 0, "recurrent layer of unknown kind")


def _cells(path: Path, tensors: Mapping[str, Tensor], prefix: str, one: bool) -> list[list[Cell]]:
    """Return the cells of every layer; `one` is for an `nn.LSTMCell`, whose names have no layer number."""
    layers: list[list[Cell]] = []
    while one or f"{prefix}weight_ih_l{len(layers)}" in tensors:
        end = "" if one else f"_l{len(layers)}"
        cells = []
        for suffix in ("", "_reverse"):
            names = {field: f"{prefix}{field}{end}{suffix}" for field in Cell.__dataclass_fields__}
            if suffix and names["weight_ih"] not in tensors:
                break
            own = {field: _array(tensors[name]) for field, name in names.items() if name in tensors}
            if "weight_hh" not in own or ("bias_ih" in own) != ("bias_hh" in own):
                raise InputError(f"path={path}: {names['weight_ih']} has none of the weights that go with it")
            cells.append(Cell(**own))
        layers.append(cells)
        if one:
            break
    return layers


def _readout(path: Path, tensors: Mapping[str, Tensor], lstm: nn.LSTM) -> tuple[nn.Linear | None, tuple[str, ...]]:
    """Return the one linear layer whose width is h's, and words on the choice."""
    width = (lstm.proj_size or lstm.hidden_size) * (1 + lstm.bidirectional)
    fits = []
    for name, weight in tensors.items():
        prefix = name.removesuffix("weight")
        bias = tensors.get(f"{prefix}bias")
        plain = bias is not None and bias.shape == weight.shape[:1]
        linear = name.endswith("weight") and (plain or (bias is None and "emb" not in prefix.lower()))
        if linear and weight.dim() == 2 and weight.shape[1] == width:
            fits.append(prefix)
    if len(fits) != 1:
        names = and_words([_shown(prefix) for prefix in fits]) if fits else "none"
        return None, (f"no readout taken: of the linear layers {names} have h's width {width}",)
    where, bias = f"path={path}: {_shown(fits[0])}", tensors.get(f"{fits[0]}bias")
    arrays = _array(tensors[f"{fits[0]}weight"]), None if bias is None else _array(bias)
    readout = build_linear(where, *arrays, dtype_of(lstm))
    return readout, (f"readout {_shown(fits[0])}: the one linear layer whose width is h's",)


def _embedding(path: Path, tensors: Mapping[str, Tensor], lstm: nn.LSTM) -> tuple[nn.Embedding | None, tuple[str, ...]]:
    names = [n for n in tensors if "emb" in n.lower() and n.endswith(".weight") and tensors[n].dim() == 2]
    names = [n for n in names if tensors[n].shape[1] == lstm.input_size]
    if len(names) != 1:
        return None, ()
    name = names[0].removesuffix(".weight")
    table = build_embedding(f"path={path}: {name}", _array(tensors[names[0]]), dtype_of(lstm))
    return table, (f"embedding {name}: the one table as wide as the LSTM's inputs",)
