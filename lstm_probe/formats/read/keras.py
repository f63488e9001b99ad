"""Keras LSTM layers, plain or in Bidirectional, with the Dense that reads them.

Keras keeps (features, gates) and one bias, into which `unit_forget_bias` went at initialisation; gates are
i f c o (https://keras.io/api/layers/recurrent_layers/lstm/).
"""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from torch import nn

from lstm_probe.core.errors import InputError
from lstm_probe.formats.build import Cell, build_embedding, build_linear, build_lstm, dtype_of
from lstm_probe.formats.choosing import and_words, choose
from lstm_probe.formats.files import need
from lstm_probe.formats.imported import Imported
from lstm_probe.formats.read.keras_files import KerasFile, Layer, inner, read, standard_class
from lstm_probe.recorder.data import note_forget_bias

#: Layers that change nothing once a network is trained.
_NOTHING = (
    "Identity", "Dropout", "SpatialDropout1D", "GaussianNoise", "GaussianDropout", "ActivityRegularization",
    "InputLayer",
)  # fmt: skip
_RECURRENT = ("GRU", "SimpleRNN", "RNN", "CuDNNLSTM", "CuDNNGRU", "Bidirectional", "ConvLSTM1D", "ConvLSTM2D")


def load(path: Path, kind: str, layer: str | None) -> Imported:
    """Read the LSTM of a Keras file; `kind` is "keras" or "hdf5"."""
    need("h5py", "keras", path)
    file = read(path, kind)
    lstms = {each.name: each for each in file.layers if _is_lstm(each)}
    if not lstms:
        raise InputError(f"path={path}: holds no LSTM layer: {_what_is_there(file)}")
    names = _names_wanted(path, file, lstms, layer)
    stack = [lstms[name] for name in names]
    problems = [problem for each in stack for problem in _problems(path, each)]
    if problems:
        raise InputError(*problems)
    where = f"path={path}: {'+'.join(names)}"
    lstm = build_lstm(where, [_cells(f"path={path}: {each.name}", each) for each in stack])
    notes = ["one bias, kept as bias_ih; bias_hh is 0"] if lstm.bias else []
    notes += [note for each in stack for note in _notes(file, each)]
    if lstm.bias and all(s.get("unit_forget_bias") for each in stack for s in _settings(each)):
        note_forget_bias(lstm, 1.0)
        notes.append("unit_forget_bias=True: untrained networks for comparison start the same way")
    readout, activation, words = _readout(path, file, stack[-1], lstm)
    last_step = readout is not None and _last_step(file, stack[-1])
    embedding, more = _in_front(path, file, stack[0], lstm)
    what = "layer" if len(names) == 1 else "layers"
    source, shown = f"{file.source}, {what} {and_words(names)}", "+".join(names)
    return Imported(lstm, source, shown, readout, activation, embedding, last_step, (*notes, *words, *more))


def _is_lstm(layer: Layer) -> bool:
    if layer.kind == "Bidirectional" and layer.config:
        return inner(layer)[0] == "LSTM"
    return layer.kind in ("LSTM", "Bidirectional") or (layer.kind == "RNN" and inner(layer)[0] == "LSTMCell")


def _what_is_there(file: KerasFile) -> str:
    said = []
    for each in file.layers:
        held = inner(each)[0]
        if each.kind in _RECURRENT or ">" in each.kind or "." in each.kind:
            said.append(f"{each.name} is a {each.kind}" + (f" of {held}" if held else ""))
    if said:
        return f"{and_words(said)}; LSTM layers are supported, also in Bidirectional"
    plain = [f"{each.name} ({each.kind})" for each in file.layers if each.kind not in _NOTHING]
    return f"its layers are {and_words(plain[:6] or ['none'])}"


def _names_wanted(path: Path, file: KerasFile, lstms: Mapping[str, Layer], layer: str | None) -> list[str]:
    """Return the names of the layers that shall be one `nn.LSTM`, lowest first."""
    names = list(lstms)
    if layer is not None and "+" in layer:
        wanted = [choose(path, names, name) for name in layer.split("+")]
        for lower, upper in pairwise(wanted):
            if file.configured and _origin(file, lstms[upper]) is not lstms[lower]:
                raise InputError(f"layer={layer}: in {path} {upper} does not follow {lower} directly")
        return wanted
    # `export` names the layers of one nn.LSTM by PyTorch's own endings.
    stack = sorted(names, key=lambda n: int(n.rpartition("_l")[2]) if re.search(r"_l\d+$", n) else -1)
    base = stack[0].removesuffix("_l0")
    if layer is None and len(names) > 1 and stack == [f"{base}_l{k}" for k in range(len(stack))]:
        return stack
    chain = all(
        _origin(file, lstms[upper]) is lstms[lower] and _shape(lstms[upper]) == _shape(lstms[lower])
        for lower, upper in pairwise(names)
    )
    more = f", or all of them as one of several layers with layer={'+'.join(names)}" if chain else ""
    return [choose(path, names, layer, more)]


def _shape(layer: Layer) -> tuple[str, Any]:
    """Return what the layers of one `nn.LSTM` have in common: directions and units."""
    return layer.kind, _settings(layer)[0].get("units")


def _origin(file: KerasFile, layer: Layer) -> Layer | None:
    """Return what a layer reads, what changes nothing left out; None where that is not one layer's output."""
    byname = {each.name: each for each in file.layers}
    below = byname.get(layer.sources[0]) if layer.sources else None
    while below is not None and below.kind in _NOTHING:
        below = byname.get(below.sources[0]) if below.sources else None
    return below


def _settings(layer: Layer) -> list[Mapping[str, Any]]:
    """Return the configuration of each direction's LSTM."""
    if layer.kind != "Bidirectional":
        return [inner(layer)[1] if layer.kind == "RNN" else layer.config]
    backward = layer.config.get("backward_layer") or {}
    own = inner(layer)[1]
    return [own, backward.get("config") or own]


def _word(value: Any) -> str:
    """Return an activation's name: it is written as a word, or as an object that has one."""
    if isinstance(value, Mapping):
        return str(value.get("registered_name") or value.get("config") or value.get("class_name"))
    return "linear" if value is None else str(value)


def _problems(path: Path, layer: Layer) -> list[str]:
    """Return what this layer does that an `nn.LSTM` does not."""
    if not layer.config:
        return []
    problems = []
    for settings in _settings(layer):
        for key, legal in (("activation", "tanh"), ("recurrent_activation", "sigmoid")):
            if key not in settings:
                problems.append(f"does not say its {key}: a file of Keras 1 is not read")
            elif _word(settings[key]) != legal:
                problems.append(f"{key}={_word(settings[key])}; nn.LSTM has {legal}")
    backward = layer.config.get("backward_layer") or {}
    if layer.kind == "Bidirectional":
        if backward and standard_class(backward) != "LSTM":
            problems.append(f"its backward layer is a {standard_class(backward)}")
        if layer.config.get("merge_mode", "concat") != "concat":
            problems.append(f"merge_mode={layer.config['merge_mode']}; nn.LSTM has concat")
        if _settings(layer)[0].get("go_backwards"):
            problems.append("its forward layer has go_backwards=True; nn.LSTM reads forward first")
    elif layer.config.get("go_backwards"):
        problems.append("go_backwards=True; nn.LSTM reads forward, or in both directions")
    return [f"path={path}: {layer.name}: {problem}" for problem in dict.fromkeys(problems)]


def _cells(where: str, layer: Layer) -> list[Cell]:
    """Return the layer's cell, or two where it has two directions."""
    directions = 2 if layer.kind == "Bidirectional" else 1
    each = len(layer.arrays) // directions
    if each not in (2, 3) or each * directions != len(layer.arrays):
        raise InputError(f"{where}: has {len(layer.arrays)} arrays; must be kernel, recurrent kernel and bias")
    groups = [layer.arrays[d * each : (d + 1) * each] for d in range(directions)]
    cells = [Cell.of_kernels(where, "keras", *arrays) for arrays in groups]
    for cell, settings in zip(cells, _settings(layer)):
        if settings.get("units", cell.units) != cell.units:
            raise InputError(
                f"{where}: units={settings['units']}, but its weights have {cell.units}: the file is incomplete"
            )
    return cells


def _notes(file: KerasFile, layer: Layer) -> list[str]:
    notes = []
    if not file.configured:
        notes.append(f"{layer.name}: activations are not in the file: tanh and sigmoid assumed")
    if layer.seeded:
        notes.append(
            f"{layer.name} receives its initial state as an input: here it starts at zero unless record is given one"
        )
    settings = _settings(layer)[0]
    if layer.config.get("stateful") or settings.get("stateful"):
        notes.append(f"{layer.name}: stateful=True; here every sequence starts at zero unless record is given a state")
    return notes


def _dense(layer: Layer) -> Mapping[str, Any] | None:
    """Return the configuration of a Dense, also in TimeDistributed; None for any other layer."""
    if layer.kind == "TimeDistributed":
        held, config = inner(layer)
        return config if held == "Dense" else None
    return layer.config if layer.kind == "Dense" else None


def _behind(file: KerasFile, layer: Layer) -> list[Layer]:
    """Return the layers that read a layer's output, what changes nothing left out."""
    return [each for each in file.layers if each.kind not in _NOTHING and _origin(file, each) is layer]


def _last_step(file: KerasFile, top: Layer) -> bool:
    """Return whether a layer hands on the last step alone."""
    return file.configured and not _settings(top)[0].get("return_sequences", False)


def _readout(
    path: Path, file: KerasFile, top: Layer, lstm: nn.LSTM
) -> tuple[nn.Linear | None, str | None, Sequence[str]]:
    """Return the Dense that reads h, its activation, and words on it."""
    width = lstm.hidden_size * (1 + lstm.bidirectional)
    if file.configured:
        readers = _behind(file, top)
    else:
        readers = [e for e in file.layers if e.kind == "Dense" and e.arrays[0].shape[0] == width]
    if len(readers) != 1 or (config := _dense(readers[0])) is None:
        what = and_words([f"{e.name} ({e.kind})" for e in readers]) if readers else "nothing"
        return None, None, [f"no readout taken: what reads the LSTM is {what}"]
    dense, last = readers[0], _last_step(file, top)
    if last and lstm.bidirectional:
        return None, None, [f"no readout taken: {dense.name} reads each direction's own last step"]
    activation, further = _word(config.get("activation")), _behind(file, dense) if file.configured else []
    if len(further) == 1 and further[0].kind in ("Activation", "Softmax") and activation == "linear":
        activation = "softmax" if further[0].kind == "Softmax" else _word(further[0].config.get("activation"))
        further = _behind(file, further[0])
    if further:
        return (
            None,
            None,
            [f"no readout taken: {dense.name} is not the last layer, {further[0].name} follows it"],
        )
    notes = [f"{dense.name} reads the last step alone; here it is applied at every step"] if last else []
    notes += [] if activation == "linear" else [f"outputs are what goes into {dense.name}'s {activation}"]
    notes += (
        [] if file.configured else [f"readout {dense.name}: chosen by its width; its activation is not in the file"]
    )
    kernel, *bias = dense.arrays or (None,)
    if kernel is None or kernel.ndim != 2 or kernel.shape[0] != width:
        raise InputError(f"path={path}: {dense.name}: its kernel does not fit an h of {width}: the file is incomplete")
    dtype = dtype_of(lstm)
    linear = build_linear(f"path={path}: {dense.name}", kernel.T, bias[0] if bias else None, dtype)
    return linear, None if activation == "linear" else activation, notes


def _in_front(path: Path, file: KerasFile, lowest: Layer, lstm: nn.LSTM) -> tuple[nn.Embedding | None, Sequence[str]]:
    """Return the embedding in front of the LSTM, and words on whatever stands there."""
    if file.configured:
        below = _origin(file, lowest)
    else:
        tables = [e for e in file.layers if e.kind == "Embedding" and e.arrays[0].shape[1] == lstm.input_size]
        below = tables[0] if len(tables) == 1 else None
    if below is None:
        return None, []
    if below.kind == "Masking":
        return None, [f"{below.name} masks steps of {below.config.get('mask_value')}: pass the lengths to record"]
    if below.kind != "Embedding" or len(below.arrays) != 1:
        return None, [f"{below.name} ({below.kind}) stands before the LSTM: its outputs are the inputs here"]
    table = build_embedding(f"path={path}: {below.name}", below.arrays[0], dtype_of(lstm))
    notes = [f"embedding {below.name}: the model takes tokens"]
    if below.config.get("mask_zero"):
        notes.append(f"{below.name} masks token 0: pass the lengths to record")
    return table, notes
