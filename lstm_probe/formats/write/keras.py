"""Recurrent layers and what stands around them as a Keras 3 archive."""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from lstm_probe.cells.known import cell_of
from lstm_probe.core.errors import InputError
from lstm_probe.formats.origin import written
from lstm_probe.formats.read.keras_graph import snake
from lstm_probe.formats.write.arrays import as_array, layer_weights, projection
from lstm_probe.formats.write.keras_cells import Held, held
from lstm_probe.formats.write.parts import Parts
from lstm_probe.recorder.config import LSTMConfig


class _Network:
    """The layers of a `Sequential` in their order, and their arrays under the names that Keras gives them."""

    def __init__(self, parts: Parts) -> None:
        self.dtype = torch.float64 if parts.dtype == torch.float64 else torch.float32
        self.said = {"dtype": "float64"} if self.dtype == torch.float64 else {}  # Keras's own default is left unsaid
        self.layers: list[dict[str, Any]] = []
        self.arrays: dict[str, np.ndarray] = {}

    def add(self, kind: str, arrays: Mapping[str, np.ndarray] | None = None, **config: Any) -> None:
        before = sum(layer["class_name"] == kind for layer in self.layers)
        place = f"layers/{snake(kind)}" + (f"_{before}" if before else "")
        self.layers.append(_entry(kind, **self.said | config))
        self.arrays |= {f"{place}/{name}": array for name, array in (arrays or {}).items()}


def keras_file(parts: Parts) -> bytes:
    """Return a `.keras` archive; layers of one module are named lstm_l0, lstm_l1 ..., so that it comes back.

    Raises:
        InputError: a network that no `Sequential` of Keras's layers is.
    """
    import h5py

    _check(parts)
    cell = held(cell_of(parts.lstm))
    network, lstm, readout = _Network(parts), parts.lstm, parts.readout
    _add_inputs(network, parts)
    for k in range(lstm.num_layers):
        _add_layer(network, parts, cell, k)
        if lstm.proj_size:
            kernel = projection(lstm, k, network.dtype)
            network.add("Dense", {"vars/0": kernel}, name=f"projection_l{k}", units=kernel.shape[1],
                        activation="linear", use_bias=False)  # fmt: skip
    if readout is not None:
        biased = readout.bias is not None
        arrays = {"vars/0": as_array(readout.weight, network.dtype).T}
        if biased:
            arrays["vars/1"] = as_array(readout.bias, network.dtype)
        network.add("Dense", arrays, name="readout", units=readout.out_features,
                    activation=parts.activation or "linear", use_bias=biased)  # fmt: skip
    elif parts.activation is not None:
        network.add("Activation", name="activation", activation=parts.activation)
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        for name, array in network.arrays.items():
            file[name] = array
    config = _entry("Sequential", "keras", name="lstm_probe", layers=network.layers)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        # writestr would write the time of day; the same model shall give the same bytes.
        for name, data in (
            ("metadata.json", json.dumps({"keras_version": "3.0.0"}).encode()),
            ("config.json", json.dumps(config).encode()),
            ("model.weights.h5", weights.getvalue()),
        ):
            archive.writestr(zipfile.ZipInfo(name), data)
    return content.getvalue()


def _check(parts: Parts) -> None:
    if parts.backward != parts.turned:
        raise InputError(
            f"format=keras: {cell_of(parts.lstm).a_title} that reads each sequence from its end hands its outputs on "
            "in that order, and this network's stand where they were read; format=pytorch has that"
        )
    if parts.skips is not None and parts.embedding is not None and parts.skips.value != 0:
        raise InputError(f"format=keras: an embedding skips token 0 alone, this one skips {parts.skips.value:g}")


def _entry(kind: str, module: str = "keras.layers", **config: Any) -> dict[str, Any]:
    return {"module": module, "class_name": kind, "config": config, "registered_name": None}


def _add_inputs(network: _Network, parts: Parts) -> None:
    """Add the inputs, and the embedding and the masking of what is skipped where there are such."""
    embedding, skips = parts.embedding, parts.skips
    if embedding is None:
        shape = [None, None, parts.lstm.input_size]
        network.add("InputLayer", name="inputs", batch_shape=shape, dtype=str(network.dtype).removeprefix("torch."))
        if skips is not None:
            network.add("Masking", name="masking", mask_value=skips.value)
        return
    network.add("InputLayer", name="inputs", batch_shape=[None, None], dtype="int64")
    masks = {"mask_zero": True} if skips is not None else {}
    network.add("Embedding", {"vars/0": as_array(embedding.weight, network.dtype)}, name="embedding",
                input_dim=embedding.num_embeddings, output_dim=embedding.embedding_dim, **masks)  # fmt: skip


def _add_layer(network: _Network, parts: Parts, cell: Held, layer: int) -> None:
    """Add a layer: in one direction, or both in one Keras layer."""
    lstm, config = parts.lstm, LSTMConfig.of(parts.lstm)
    # What is read at the end of the reverse direction, Keras gives at the end alone.
    sequences = not (parts.reverse_end and layer == lstm.num_layers - 1)
    own: dict[str, Any] = {"units": lstm.hidden_size, "return_sequences": sequences, "use_bias": lstm.bias}
    own |= {**cell.settings, **network.said}
    if cell.kind == "LSTM":
        own["unit_forget_bias"] = lstm.bias and config.begins_at == 1  # Keras knows no other
    if parts.skips is not None:
        own["zero_output_for_mask"] = parts.skips.zeros
    own |= written(config)
    name = f"{cell.name}_l{layer}" if lstm.num_layers > 1 else cell.name
    arrays = dict(_arrays(network, parts, cell, layer))
    if not lstm.bidirectional:
        if parts.backward and layer == 0:  # the layers above read what it hands on, in its order
            own["go_backwards"] = True
        network.add(cell.kind, arrays, name=name, **own)
        return
    ways = {"layer": ("forward", False), "backward_layer": ("backward", True)}
    held: dict[str, Any] = {
        key: _entry(cell.kind, name=f"{way}_{name}", go_backwards=back, **own) for key, (way, back) in ways.items()
    }
    network.add("Bidirectional", arrays, name=name, merge_mode="concat", **held)


def _arrays(network: _Network, parts: Parts, cell: Held, layer: int) -> Iterator[tuple[str, np.ndarray]]:
    """Go through a layer's arrays and their places: kernel, recurrent kernel, and the two biases, mostly made one."""
    lstm, order = parts.lstm, cell.orders["keras"]
    places = ["forward_layer/cell/vars", "backward_layer/cell/vars"] if lstm.bidirectional else ["cell/vars"]

    def weights(name: str) -> list[np.ndarray]:
        found = layer_weights(lstm, name, layer, "keras", network.dtype, cell.orders)
        if not cell.scales:
            return found
        scales = np.repeat([cell.scales.get(block, 1.0) for block in order], lstm.hidden_size)
        return [(array * scales).astype(array.dtype) for array in found]

    arrays = [weights("weight_ih"), weights("weight_hh")]
    if lstm.bias:
        both = zip(weights("bias_ih"), weights("bias_hh"))
        arrays.append([np.stack(two) if cell.two_biases else two[0] + two[1] for two in both])
    for k, directions in enumerate(arrays):
        for place, array in zip(places, directions):
            yield f"{place}/{k}", array
