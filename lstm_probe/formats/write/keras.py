"""An LSTM and its readout as a Keras 3 archive."""

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np
from torch import nn

from lstm_probe.formats.origin import written
from lstm_probe.formats.write.arrays import as_array, layer_weights
from lstm_probe.recorder.data import LSTMConfig


def keras_file(lstm: nn.LSTM, readout: nn.Linear | None, embedding: nn.Embedding | None) -> bytes:
    """Return a `.keras` archive; layers of one LSTM are named lstm_l0, lstm_l1 ..., so that it comes back."""
    import h5py

    shape: list[int | None] = [None, None] if embedding is not None else [None, None, lstm.input_size]
    kind = "int64" if embedding is not None else "float32"
    layers = [_entry("InputLayer", name="inputs", batch_shape=shape, dtype=kind)]
    arrays: dict[str, np.ndarray] = {}
    if embedding is not None:
        layers.append(
            _entry(
                "Embedding",
                name="embedding",
                input_dim=embedding.num_embeddings,
                output_dim=embedding.embedding_dim,
            )
        )
        arrays["layers/embedding/vars/0"] = as_array(embedding.weight)
    for k in range(lstm.num_layers):
        own: dict[str, Any] = {"units": lstm.hidden_size, "return_sequences": True, "use_bias": lstm.bias}
        own |= {"activation": "tanh", "recurrent_activation": "sigmoid"}
        own["unit_forget_bias"] = lstm.bias and LSTMConfig.of(lstm).begins_at == 1  # Keras knows no other
        own |= written(LSTMConfig.of(lstm))
        name = f"lstm_l{k}" if lstm.num_layers > 1 else "lstm"
        if lstm.bidirectional:
            ways = {"layer": ("forward", False), "backward_layer": ("backward", True)}
            held: dict[str, Any] = {
                key: _entry("LSTM", name=f"{way}_{name}", go_backwards=back, **own) for key, (way, back) in ways.items()
            }
            layers.append(_entry("Bidirectional", name=name, merge_mode="concat", **held))
        else:
            layers.append(_entry("LSTM", name=name, **own))
        arrays |= dict(_arrays(lstm, k))
    if readout is not None:
        biased = readout.bias is not None
        layers.append(_entry("Dense", name="readout", units=readout.out_features, activation="linear", use_bias=biased))
        arrays["layers/dense/vars/0"] = as_array(readout.weight).T
        if biased:
            arrays["layers/dense/vars/1"] = as_array(readout.bias)
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        for name, array in arrays.items():
            file[name] = array
    config = _entry("Sequential", "keras", name="lstm_probe", layers=layers)
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


def _entry(kind: str, module: str = "keras.layers", **config: Any) -> dict[str, Any]:
    return {"module": module, "class_name": kind, "config": config, "registered_name": None}


def _arrays(lstm: nn.LSTM, layer: int) -> Iterator[tuple[str, np.ndarray]]:
    """Go through a layer's arrays and their places: kernel, recurrent kernel, and the two biases made one."""
    number = f"_{layer}" if layer else ""
    places = [f"layers/lstm{number}/cell/vars"]
    if lstm.bidirectional:
        places = [f"layers/bidirectional{number}/{way}_layer/cell/vars" for way in ("forward", "backward")]
    arrays = [layer_weights(lstm, name, layer, "keras") for name in ("weight_ih", "weight_hh")]
    if lstm.bias:
        both = zip(*(layer_weights(lstm, name, layer, "keras") for name in ("bias_ih", "bias_hh")))
        arrays.append([ih + hh for ih, hh in both])
    for k, directions in enumerate(arrays):
        for place, array in zip(places, directions):
            yield f"{place}/{k}", array
