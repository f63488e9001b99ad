"""What a Keras layer says of its cells, and its version where it says nothing: which cell it is, or why it is none."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lstm_probe.cells.known import get_cell
from lstm_probe.formats.choosing import and_words
from lstm_probe.formats.read.keras_activations import (
    HARD_SIGMOIDS,
    called,
    gates_by_default,
    name_of,
    version_numbers,
)  # fmt: skip
from lstm_probe.formats.read.keras_cells import (
    MERGED,
    MODULES,
    Way,
    biases_of,
    class_of,
    is_cudnn,
    merge_mode,
    reads_backward,
    setting,
    ways_of,
)  # fmt: skip
from lstm_probe.formats.read.keras_files import KerasFile
from lstm_probe.formats.read.keras_graph import Layer

#: The names of cells as PyTorch has them.
PLAIN = {"LSTM": "lstm", "GRU": "gru", "SimpleRNN": "rnn"}


@dataclass
class Says:
    """What a layer is found to be.

    Attributes:
        cell: the name of its cells, of `cells.get_cell`.
        problems: why it cannot be read.
        notes: what was assumed of it, or converted.
    """

    cell: str = ""
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def says_of(file: KerasFile, layer: Layer, told: str | None) -> Says:
    """Return what a layer is.

    Args:
        file: it is in.
        layer: a recurrent one; without a configuration where the file has weights alone.
        told: what the user says of its recurrent_activation.
    """
    says, ways, kind = Says(), ways_of(layer), class_of(layer)
    if told is not None and kind == "SimpleRNN":
        says.problems.append(f"recurrent_activation={told}: a SimpleRNN has no gates")
    if told is not None and name_of(told, file.version) is None:
        says.problems.append(f"recurrent_activation={told}: not known here as one that acts on each number by itself")
    if says.problems:
        return says
    cells = []
    biases = iter(biases_of(layer))
    for way in ways:
        for own, settings in zip(way.classes, way.settings):
            bias = next(biases, None)
            if own == kind:
                cells.append(_cell(says, file, layer, kind, settings, told, bias))
            elif way is ways[0]:
                says.problems.append(f"its cells are a {kind} and a {own}; must be the same")
            else:
                says.problems.append(f"its backward layer is a {own}")
    titles = list(dict.fromkeys(get_cell(cell).a_title for cell in cells if cell))
    if len(titles) > 1:
        says.problems.append(f"holds {and_words(titles)}, which cannot be one module")
    says.problems += _directions(layer, ways)
    says.cell = cells[0]
    if not says.problems and layer.config and says.cell != PLAIN[kind]:
        says.notes.insert(0, f"{layer.name}: read as {get_cell(says.cell).a_title}")
    says.notes += notes_of(layer)
    says.notes, says.problems = list(dict.fromkeys(says.notes)), list(dict.fromkeys(says.problems))
    return says


def _cell(
    says: Says, file: KerasFile, layer: Layer, kind: str, settings: Mapping[str, Any], told: str | None,
    bias: np.ndarray | None,
) -> str:  # fmt: skip
    """Return the name of one cell, and note what is assumed; nothing where there is a problem."""
    if is_cudnn(layer):
        if told not in (None, "sigmoid"):
            says.problems.append(f"recurrent_activation={told}; a CuDNN{kind} has sigmoid")
        return PLAIN[kind]
    before, options = len(says.problems), []
    gates = "sigmoid" if kind == "SimpleRNN" else _gates(says, file, layer, settings, told)
    input = _named(says, file, "activation", settings.get("activation", "tanh"))
    options += [f"gates:{gates}"] if gates != "sigmoid" else []
    options += [f"input:{input}"] if input != "tanh" else []
    options += [f"output:{input}"] if input != "tanh" and kind == "LSTM" else []
    after = kind != "GRU" or _resets_after(says, layer, settings, file.version, bias)
    options += [] if after else ["reset_before"]
    if len(says.problems) > before:
        return ""
    says.notes += _assumed(layer, kind, settings, file.version, told)
    return get_cell("+".join([PLAIN[kind], *options])).name


def _named(says: Says, file: KerasFile, key: str, value: Any) -> str:
    """Return our name of an activation."""
    name = name_of(value, file.version)
    if name is None:
        says.problems.append(f"{key}={called(value)}: not known here as one that acts on each number by itself")
    elif name in HARD_SIGMOIDS:
        of = f"Keras {file.version}" if file.version else "Keras before version 2"
        says.notes.append(f"hard_sigmoid is that of {of}: {HARD_SIGMOIDS[name]} between 0 and 1")
    return name or ""


def _gates(says: Says, file: KerasFile, layer: Layer, settings: Mapping[str, Any], told: str | None) -> str:
    """Return what makes the gates: as the file says, the user, or else its version."""
    if "recurrent_activation" in settings:
        found = _named(says, file, "recurrent_activation", settings["recurrent_activation"])
        if found and told is not None and name_of(told, file.version) != found:
            said = called(settings["recurrent_activation"])
            says.problems.append(f"recurrent_activation={told}: the file says that it is {said}")
        return found
    name = told or gates_by_default(file.version)
    if name is not None:
        return _named(says, file, "recurrent_activation", name)
    of = f"Keras {file.version}" if file.version else "an unknown version of Keras"
    does = "do" if not layer.config else "does"
    says.problems.append(
        f"{'a layer' if layer.config else 'weights'} of {of} {does} not tell whether recurrent_activation was sigmoid "
        "or hard_sigmoid; say recurrent_activation=sigmoid if that is what it was trained with, or hard_sigmoid"
    )
    return ""


def _assumed(
    layer: Layer, kind: str, settings: Mapping[str, Any], version: str, told: str | None
) -> Iterator[str]:  # fmt: skip
    """Go through what was taken for an activation that the file does not say."""
    missing = [key for key in ("activation", "recurrent_activation") if key not in settings]
    if kind == "SimpleRNN" or (told is not None and told != "sigmoid"):
        if "activation" in missing:
            yield f"{layer.name}: its activation is not in the file: tanh assumed"
        return
    gates = told or gates_by_default(version) or ""
    taken = [{"activation": "tanh", "recurrent_activation": gates}[key] for key in missing]
    if not taken:
        return
    by = "" if gates == "sigmoid" or "recurrent_activation" not in missing else (
        f", the defaults of Keras {version}; say recurrent_activation=sigmoid if it was trained with that"
    )  # fmt: skip
    yield f"{layer.name}: activations are not in the file: {and_words(taken)} assumed{by}"


def _resets_after(
    says: Says, layer: Layer, settings: Mapping[str, Any], version: str, bias: np.ndarray | None
) -> bool:  # fmt: skip
    """Return whether a GRU applies r after its product with the weights: as it says, its bias, or else its version."""
    said, two = settings.get("reset_after"), bias is not None and bias.ndim == 2  # only such a one has two biases
    if said is not None:
        if bias is not None and two != bool(said):
            says.problems.append(f"reset_after={said}, and its bias of shape {bias.shape} is not of that kind")
        return bool(said)
    if bias is not None:
        return two
    if not layer.config:
        says.problems.append("weights without biases do not tell reset_after: a file of the whole model does")
    after = (version_numbers(version) or (0, 0)) >= (3, 0)
    says.notes.append(f"{layer.name}: reset_after is not in the file: {after} assumed, as its version has it")
    return after


def _directions(layer: Layer, ways: tuple[Way, ...]) -> Iterator[str]:
    if layer.kind != "Bidirectional" or not layer.config:
        return
    if merge_mode(layer) not in (*MERGED, "concat"):
        yield f"merge_mode={merge_mode(layer)}; must be concat, sum, ave, mul or null"
    if ways[0].own.get("go_backwards"):
        yield f"its forward layer has go_backwards=True; {MODULES[ways[0].classes[0]]} reads forward first"
    if len(ways[0].classes) > 1:
        yield "each of its directions has several cells on one another: no module has layers that read only their own"


def notes_of(layer: Layer) -> Iterator[str]:
    """Go through what was converted of a layer, or is not as in Keras."""
    kind = class_of(layer)
    if is_cudnn(layer):
        yield f"{layer.name}: a CuDNN{kind}: cuDNN's order of weights undone; two biases, as in the file"
    elif any(bias.ndim == 1 for bias in biases_of(layer)):
        yield "one bias, kept as bias_ih; bias_hh is 0"
    if reads_backward(layer):
        yield (
            f"{layer.name}: go_backwards=True: reads each sequence from its end. Keras hands h on in the order in "
            "which it was made, last step first, as are the model's outputs here; a unit's values stay at their steps"
        )
    if merge_mode(layer) != "concat":
        mode = merge_mode(layer)
        how = f"{MERGED[mode]} (merge_mode={mode})"
        yield f"{layer.name}: its directions are handed on {how}; here their units stand side by side"
    if setting(layer, "stateful"):
        yield f"{layer.name}: stateful=True; here every sequence starts at zero unless record is given a state"
