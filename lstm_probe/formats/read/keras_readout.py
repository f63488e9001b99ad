"""What stands around a recurrent layer of Keras: the Dense that makes the output of h, what makes its inputs.

Where a file has the network's graph, a readout is taken if the graph proves it: from an output of the network back to
h there is one Dense and, apart from its activation, nothing that changes anything. Weights alone prove nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from lstm_probe.cells.module import Layers
from lstm_probe.core.errors import InputError, nearest
from lstm_probe.formats.build import build_embedding, build_linear, dtype_of
from lstm_probe.formats.choosing import and_words
from lstm_probe.formats.imported import Skips
from lstm_probe.formats.read.keras_cells import class_of, is_recurrent, merge_mode, setting, settings_of
from lstm_probe.formats.read.keras_files import WEIGHTLESS, KerasFile
from lstm_probe.formats.read.keras_graph import (
    Call,
    Graph,
    Layer,
    Output,
    at_each_step,
    behind,
    standard_class,
    word,
)  # fmt: skip

#: What a merge of two directions is, where the sum of so much of each; a product is no sum.
_SHARES = {"sum": (1.0, 1.0), "ave": (0.5, 0.5)}
#: Functions of Keras that stand as layers of their own.
_FUNCTIONS = {"ReLU": "relu", "Relu": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh", "Softmax": "softmax"}
#: Layers that hand on the mask of what they read.
_PASS_MASKS = ("LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "Dense", "LayerNormalization", "BatchNormalization",
               "Activation", "TimeDistributed")  # fmt: skip


@dataclass(frozen=True)
class Head:
    """The Dense that reads h.

    Args:
        dense: its layer.
        activation: "linear", or what is applied to its outputs.
        last_step: whether it reads the last step alone.
        shares: how much of each direction it reads as one; None where it reads all that there is, side by side.
    """

    dense: Layer
    activation: str = "linear"
    last_step: bool = False
    shares: tuple[float, float] | None = None

    def linear(self, path: Path, lstm: Layers) -> nn.Linear:
        """Return it as a linear layer of both directions' h."""
        width = lstm.hidden_size * (1 + lstm.bidirectional)
        where, arrays = f"path={path}: {self.dense.name}", self.dense.arrays
        reads = width if self.shares is None else lstm.hidden_size
        if not arrays or arrays[0].ndim != 2 or arrays[0].shape[0] != reads:
            raise InputError(f"{where}: its kernel does not fit an h of {reads}: the file is incomplete")
        kernel = arrays[0].T
        if self.shares is not None:
            kernel = np.concatenate([(share * kernel).astype(kernel.dtype) for share in self.shares], axis=1)
        return build_linear(where, kernel, arrays[1] if len(arrays) > 1 else None, dtype_of(lstm))


def head_of(path: Path, file: KerasFile, top: Layer, lstm: Layers, wanted: str | None) -> tuple[Head | None, list[str]]:
    """Return the readout of an LSTM's highest layer, if any, and words on it or on why there is none.

    Raises:
        InputError: `wanted` cannot be the readout.
    """
    if file.graph is None:
        return _likely(path, file, top, lstm, wanted)
    found, why = _proven(file.graph, top)
    if wanted is not None:
        named = [head for head in found if wanted in (head.dense.name, head.dense.name.rpartition("/")[2])]
        if not named:
            legal = [head.dense.name for head in found]
            what = f"must be {' or '.join(legal)}.{nearest(wanted, legal)}" if legal else why
            raise InputError(f"readout={wanted}: does not make an output of {path} of {top.name}'s h alone; {what}")
        found = named
    if len(found) != 1:
        names = [head.dense.name for head in found]
        offer = " or ".join(f"readout={name}" for name in names)
        return None, [f"no readout taken: {and_words(names)} each make an output of h: say which with {offer}" if names
                      else f"no readout taken: {why}"]  # fmt: skip
    head, many = found[0], len(file.graph.outputs)
    words = [f"{head.dense.name} makes one of the network's {many} outputs"] if many > 1 else []
    if head.last_step:
        own = "each direction's own last step; here it is applied at every step, with the reverse one's own last h"
        what = own if lstm.bidirectional else "the last step alone; here it is applied at every step"
        words.append(f"{head.dense.name} reads {what}")
    if head.activation != "linear":
        words.append(f"outputs are what goes into {head.dense.name}'s {head.activation}")
    return head, words


def _proven(graph: Graph, top: Layer) -> tuple[list[Head], str]:
    """Return every Dense that makes an output of the network of h alone, and why there is none."""
    found = [_back_from(output, top) for output in graph.outputs]
    heads = list(dict.fromkeys(one[0] for one in found if not isinstance(one, str)))
    calls = graph.calls_of(top)
    if heads and len({one[1] for one in found if not isinstance(one, str)}) < len(calls):
        return [], f"{top.name} is called {len(calls)} times, and not every call makes an output of its own"
    readers = graph.readers(top)
    if not readers:
        return heads, f"what reads the {class_of(top)} is nothing"
    if len(readers) > 1 or at_each_step(readers[0])[0] != "Dense":
        return (
            heads,
            f"what reads the {class_of(top)} is {and_words([f'{each.name} ({each.kind})' for each in readers])}",
        )
    further = graph.readers(readers[0])
    while len(further) == 1 and _function(further[0]) is not None:
        further = graph.readers(further[0])
    if further:
        return heads, f"{readers[0].name} is not the last layer, {further[0].name} follows it"
    return heads, next((one for one in found if isinstance(one, str)), "the network gives nothing")


def _back_from(output: Output, top: Layer) -> tuple[Head, Call] | str:
    """Go back from an output of the network to h; return the readout and whose h it reads, or why there is none."""
    at, functions = behind(output), []
    while (function := _function(at.call.layer)) is not None and len(at.call.reads) == 1:
        functions.append(function)
        at = behind(at.call.reads[0])
    dense = at.call.layer
    kind, config = at_each_step(dense)
    if kind != "Dense" or len(at.call.reads) != 1:
        return f"{dense.name} ({dense.kind}) makes the network's output"
    functions = [f for f in (*functions, _activation(config.get("activation"))) if f != "linear"]
    read = behind(at.call.reads[0])
    if len(functions) > 1:
        return f"{dense.name}'s outputs go through {' and '.join(reversed(functions))}"
    if read.call.layer is not top:
        return f"{dense.name} makes the network's output of {read.call.layer.name} ({read.call.layer.kind})"
    mode, last = merge_mode(top), not setting(top, "return_sequences")
    if mode == "mul":
        return f"{dense.name} reads the product of both directions, which is not linear in h"
    if read.place > (mode is None):  # a state: the first one is the last h
        if read.place > 1 or top.kind == "Bidirectional" or len(settings_of(top)) > 1:
            return f"{dense.name} reads {top.name}'s final state, not its h"
        last = True
    shares = ((1.0, 0.0), (0.0, 1.0))[read.place] if mode is None else _SHARES.get(mode)
    return Head(dense, functions[0] if functions else "linear", last, shares), read.call


def _activation(value: Any) -> str:
    """Return the name of an activation, which may be a layer in a function's place."""
    if isinstance(value, Mapping) and isinstance(settings := value.get("config"), Mapping):
        return _function(Layer(standard_class(value), "", settings)) or word(value)
    return word(value)


def _function(layer: Layer) -> str | None:
    """Return the activation that a layer is, None where it is anything else."""
    kind, config = at_each_step(layer)
    if kind == "Activation":
        return _activation(config.get("activation"))
    plain = config.get("axis", -1) in (-1, [-1]) and not any(
        config.get(key) for key in ("max_value", "negative_slope", "threshold")
    )
    return _FUNCTIONS.get(kind) if plain else None


def _likely(path: Path, file: KerasFile, top: Layer, lstm: Layers, wanted: str | None) -> tuple[Head | None, list[str]]:
    """Return the Dense of bare weights that can hardly be anything but the readout, or the one that is named."""
    width = lstm.hidden_size * (1 + lstm.bidirectional)
    fits = [e for e in file.layers if e.kind == "Dense" and e.arrays[0].shape[0] == width]
    if wanted is not None:
        named = [e for e in fits if wanted in (e.name, e.name.rpartition("/")[2])]
        if len(named) != 1:
            what = f"must be {' or '.join(e.name for e in fits) or 'left out'}"
            raise InputError(f"readout={wanted}: is no Dense in {path} that reads an h of {width}; {what}")
        return Head(named[0]), [f"readout {named[0].name}, as was said; its activation is not in the file"]
    why = _doubt(file, top, lstm, fits)
    if why is not None:
        offer = f"; readout={fits[0].name} takes {fits[0].name}" if len(fits) == 1 else ""
        return None, [f"no readout taken: the file has weights alone, and {why}{offer}"]
    name = fits[0].name
    return Head(fits[0]), [f"readout {name}: nothing else in the file can read h; its activation is not in the file, "
                           "nor whether it reads every step"]  # fmt: skip


def _doubt(file: KerasFile, top: Layer, lstm: Layers, fits: Sequence[Layer]) -> str | None:
    """Return why it cannot be told from weights alone what reads h; None where there is hardly a doubt."""
    if len(fits) != 1:
        return f"{and_words([e.name for e in fits])} have h's width {lstm.hidden_size}" if fits else "no Dense fits h"
    dense, parent = fits[0], top.name.rpartition("/")[0]
    if dense.name.rpartition("/")[0] != parent:
        return f"{dense.name} is not in the model that {top.name} is in"
    beside = [e for e in file.layers if e.kind not in WEIGHTLESS]
    strange = [e for e in beside if e is not dense and not is_recurrent(e) and e.kind != "Embedding"]
    if file.ordered:
        after = beside[beside.index(top) + 1 :]
        strange = [e for e in after if e is not dense]
        if dense not in after:
            return f"{dense.name} stands before {top.name}"
    if strange:
        return f"it cannot be told what {strange[0].name} does beside {dense.name}"
    if file.ordered:
        return None
    lstms = [e for e in beside if is_recurrent(e)]
    if lstms[-1] is not top or any(b.arrays[0].shape[0] != _width(a) for a, b in pairwise(lstms)):
        return f"it cannot be told which of {and_words([e.name for e in lstms])} {dense.name} reads"
    reads, gives = dense.arrays[0].shape
    tables = [e.arrays[0].shape[1] for e in beside if e.kind == "Embedding"]
    if gives == lstms[0].arrays[0].shape[0] and all(width == reads for width in tables):
        return f"it cannot be told whether {dense.name} stands before {lstms[0].name} or behind it"
    return None


def _width(layer: Layer) -> int:
    return int(layer.arrays[1].shape[0]) * (1 + (layer.kind == "Bidirectional"))


def in_front(
    path: Path, file: KerasFile, lowest: Layer, top: Layer, lstm: Layers
) -> tuple[nn.Embedding | None, Skips | None, list[str]]:
    """Return the embedding in front of the LSTM, which steps it skips, and words on whatever stands there."""
    if file.graph is None:
        tables = [e for e in file.layers if e.kind == "Embedding" and e.arrays[0].shape[1] == lstm.input_size]
        if len(tables) != 1:
            return None, None, []
        told = f"embedding {tables[0].name}: the model takes tokens; whether it masks token 0 is not in the file"
        return build_embedding(f"path={path}: {tables[0].name}", tables[0].arrays[0], dtype_of(lstm)), None, [told]
    calls = file.graph.calls_of(lowest)
    sources = [behind(call.reads[0]) for call in calls if call.reads]
    layers = [layer for layer in dict.fromkeys(s.call.layer for s in sources) if layer.kind != "InputLayer"]
    notes = [f"{lowest.name} is called {len(calls)} times: each is on its own here"] if len(calls) > 1 else []
    if any("mask" in call.handed for call in calls):
        notes.append(f"{lowest.name} is handed a mask: pass the lengths of sequences to record")
    if len(layers) != 1:
        return None, None, notes + [f"{e.name} ({e.kind}) stands before the {class_of(lowest)}" for e in layers]
    below = layers[0]
    table, skips = None, None
    # Keras makes both directions give zeros at skipped steps if they give all steps.
    zeros = bool(setting(top, "return_sequences" if top.kind == "Bidirectional" else "zero_output_for_mask"))
    advice = 'such steps are skipped, as in Keras; padding in front: record(..., lengths=..., padding="left")'
    reads = sources[0].call.reads
    further = behind(reads[0]).call.layer if reads else below
    if below.kind in ("Masking", "Embedding") and further.kind != "InputLayer":
        notes.append(f"{further.name} ({further.kind}) stands before {below.name}: its outputs are the inputs here")
    if below.kind == "Masking":
        skips = Skips(float(below.config.get("mask_value", 0.0)), zeros)
        notes.append(f"{below.name} masks steps of {skips.value}: {advice}")
    elif below.kind == "Embedding" and len(below.arrays) == 1:
        table = build_embedding(f"path={path}: {below.name}", below.arrays[0], dtype_of(lstm))
        notes.append(f"embedding {below.name}: the model takes tokens")
        if below.config.get("mask_zero"):
            skips = Skips(0.0, zeros)
            notes.append(f"{below.name} masks token 0: {advice}")
    else:
        notes.append(
            f"{below.name} ({below.kind}) stands before the {class_of(lowest)}: its outputs are the inputs here"
        )
        masks = _masking(sources[0])
        if masks is not None:
            notes.append(f"{masks.name} masks steps before that: pass the lengths of sequences to record")
    return table, skips, notes


def _masking(output: Output) -> Layer | None:
    """Return the layer in front of an output whose mask reaches it."""
    while at_each_step(output.call.layer)[0] in _PASS_MASKS and output.call.reads:
        output = behind(output.call.reads[0])
    layer = output.call.layer
    return layer if layer.kind == "Masking" or layer.config.get("mask_zero") else None
