"""Keras's recurrent layers, plain, of cells or in Bidirectional, with the Dense that reads them."""

import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from lstm_probe.cells.known import get_cell
from lstm_probe.core.errors import InputError
from lstm_probe.core.vocabulary import UNKNOWN
from lstm_probe.formats import origin
from lstm_probe.formats.build import build_layers
from lstm_probe.formats.choosing import and_words, choose
from lstm_probe.formats.files import need
from lstm_probe.formats.imported import Imported
from lstm_probe.formats.read.keras_cells import (
    BLOCKS,
    CLASSES,
    MODULES,
    cells_of,
    class_of,
    is_recurrent,
    merge_mode,
    reads_backward,
    settings_of,
)  # fmt: skip
from lstm_probe.formats.read.keras_files import WEIGHTLESS, KerasFile, read
from lstm_probe.formats.read.keras_graph import NOTHING, STORED_STATE, Call, Layer, behind, inner
from lstm_probe.formats.read.keras_readout import head_of, in_front
from lstm_probe.formats.read.keras_says import says_of
from lstm_probe.recorder.initial import note_origin

_RECURRENT = ("RNN", "Bidirectional", "StackedRNNCells", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")


def load(
    path: Path, kind: str, layer: str | None, readout: str | None = None, recurrent_activation: str | None = None
) -> Imported:
    """Read the recurrent layers of a Keras file; `kind` is "keras" or "hdf5"."""
    need("h5py", "keras", path)
    file = read(path, kind)
    lstms = {each.name: each for each in file.layers if is_recurrent(each)}
    if not lstms:
        raise InputError(f"path={path}: holds no LSTM, GRU or SimpleRNN layer: {_what_is_there(file)}")
    names = _names_wanted(path, file, lstms, layer)
    stack = [lstms[name] for name in names]
    said = [says_of(file, each, recurrent_activation) for each in stack]
    for each, one in zip(stack, said):
        if any(STORED_STATE in call.handed for call in _calls(file, each)):
            module = MODULES[class_of(each)]
            one.problems.append(f"initial_state is a constant other than zero; {module} keeps no initial state")
    problems = {f"path={path}: {each.name}: {why}" for each, one in zip(stack, said) for why in one.problems}
    if problems:
        raise InputError(*problems)
    where = f"path={path}: {'+'.join(names)}"
    cells = [get_cell(one.cell) for one in said]
    if len(set(cells)) > 1:
        titles = [f"{each.name} is {cell.a_title}" for each, cell in zip(stack, cells)]
        raise InputError(f"{where}: {and_words(titles)}: they cannot be layers of one module")
    backward = reads_backward(stack[0])
    arrays = [cell for each in stack for cell in cells_of(f"path={path}: {each.name}", each)]
    lstm = build_layers(where, arrays, cell=cells[0], backward=backward)
    notes = [note for one in said for note in one.notes]
    if layer is None:
        notes += [f"{other} is another layer, {class_of(lstms[other])}: layer={other} reads that"
                  for other in lstms if other not in _first(lstms)]  # fmt: skip
    seeded = [name for name in names if _is_seeded(file, lstms[name])]
    notes += [f"{name} receives its initial state as an input: here it starts at zero unless record is given one"
              for name in seeded]  # fmt: skip
    unscored = [f"{name} receives its initial state as an input, which is not there" for name in seeded]
    random = [f"{name} is called with training=True: its dropout may go on in Keras, and is left out here"
              for name in names if _stays_random(file, lstms[name])]  # fmt: skip
    notes, unscored = notes + random, unscored + random
    init, forget_bias = origin.read([settings for each in stack for settings in settings_of(each)], lstm.bias)
    note_origin(lstm, init, forget_bias)
    if init != UNKNOWN:
        notes.append(f"initializers of the file: untrained networks for comparison start the same way (init={init})")
    head, words = head_of(path, file, stack[-1], lstm, readout)
    embedding, skips, more = in_front(path, file, stack[0], stack[-1], lstm)
    what = "layer" if len(names) == 1 else "layers"
    return Imported(
        lstm, f"{file.source}, {what} {and_words(names)}", "+".join(names),
        None if head is None else head.linear(path, lstm),
        None if head is None or head.activation == "linear" else head.activation,
        embedding, head is not None and head.last_step, tuple(dict.fromkeys((*notes, *words, *more))),
        not_scored=next(iter(unscored), None), skips=skips, turned=backward,
    )  # fmt: skip


def _calls(file: KerasFile, layer: Layer) -> list[Call]:
    return [] if file.graph is None else file.graph.calls_of(layer)


def _is_seeded(file: KerasFile, layer: Layer) -> bool:
    """Return whether other layers hand it an initial state."""
    return any(len(call.reads) > 1 or "initial_state" in call.handed for call in _calls(file, layer))


def _stays_random(file: KerasFile, layer: Layer) -> bool:
    """Return whether its dropout goes on once the network is trained."""
    drops = any(settings.get(key) for settings in settings_of(layer) for key in ("dropout", "recurrent_dropout"))
    return drops and any("training" in call.handed for call in _calls(file, layer))


def _what_is_there(file: KerasFile) -> str:
    said = []
    for each in file.layers:
        held = inner(each)[0]
        within = each.kind == "TimeDistributed" and held in (*CLASSES, *_RECURRENT)
        if within or each.kind in _RECURRENT or ">" in each.kind or "." in each.kind:
            said.append(f"{each.name} is a {each.kind}" + (f" of {held}" if held else ""))
    if said:
        return f"{and_words(said)}; {and_words([*BLOCKS])} layers are supported, also in Bidirectional"
    plain = [
        f"{each.name} ({each.kind})" for each in file.layers if each.kind not in (*NOTHING, *WEIGHTLESS, "InputLayer")
    ]
    return f"its layers are {and_words(plain[:6] or ['none'])}"


def _names_wanted(path: Path, file: KerasFile, lstms: Mapping[str, Layer], layer: str | None) -> list[str]:
    """Return the names of the layers that shall be one module, lowest first."""
    names = _first(lstms) if layer is None else list(lstms)
    kinds = {class_of(lstms[name]) for name in names}
    kind = kinds.pop() if len(kinds) == 1 else "recurrent"
    if layer is not None and "+" in layer:
        wanted = [choose(path, names, name, kind=kind) for name in layer.split("+")]
        for lower, upper in pairwise(wanted):
            why = _no_stack(file, lstms[lower], lstms[upper])
            if why is not None:
                raise InputError(f"layer={layer}: in {path} {why}")
        return wanted
    # `export` names the layers of one module by PyTorch's own endings.
    stack = sorted(names, key=lambda n: int(n.rpartition("_l")[2]) if re.search(r"_l\d+$", n) else -1)
    base = stack[0].removesuffix("_l0")
    if layer is None and len(names) > 1 and stack == [f"{base}_l{k}" for k in range(len(stack))]:
        return stack
    chain = file.graph is not None and all(
        _no_stack(file, lstms[lower], lstms[upper]) is None and _shape(lstms[upper]) == _shape(lstms[lower])
        for lower, upper in pairwise(names)
    )
    more = f", or all of them as one of several layers with layer={'+'.join(names)}" if chain else ""
    return [choose(path, names, layer, more, kind)]


def _first(layers: Mapping[str, Layer]) -> list[str]:
    """Return the names of those that are chosen from where none is asked for: LSTMs go before others."""
    return [name for name, each in layers.items() if class_of(each) == "LSTM"] or list(layers)


def _no_stack(file: KerasFile, lower: Layer, upper: Layer) -> str | None:
    """Return why two layers are not two layers of one module; of weights alone nothing is known."""
    one = f"an {MODULES[class_of(lower)]}"
    if file.graph is None:
        return None
    sources = {behind(call.reads[0]) for call in file.graph.calls_of(upper) if call.reads}
    if any(source.call.layer is not lower or source.place for source in sources) or not sources:
        return f"{upper.name} does not follow {lower.name} directly"
    if merge_mode(lower) != "concat":
        return f"{lower.name} has merge_mode={merge_mode(lower)}: in {one} the next layer reads both directions"
    if reads_backward(lower) or reads_backward(upper):
        which = lower if reads_backward(lower) else upper
        return f"{which.name} has go_backwards=True: it cannot be one {MODULES[class_of(which)]} with another layer"
    return None


def _shape(layer: Layer) -> tuple[Any, ...]:
    """Return what the layers of one module have in common: directions, cells and units."""
    settings = settings_of(layer)[0]
    said = (str(settings.get(key)) for key in ("activation", "recurrent_activation", "reset_after"))
    return layer.kind == "Bidirectional", class_of(layer), settings.get("units"), *said
