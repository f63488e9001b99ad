"""An LSTM and its readout as a file for ONNX or Keras, written without either of their runtimes."""

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lstm_probe.core.errors import InputError, nearest
from lstm_probe.formats.files import need
from lstm_probe.formats.gates import reorder
from lstm_probe.formats.imported import Imported
from lstm_probe.recorder.data import LSTMConfig

#: Each format, the ending that its own readers ask for, and the package that writes it.
_FORMATS = {"onnx": (".onnx", "onnx", "onnx"), "keras": (".keras", "h5py", "keras")}
_OPSET, _IR_VERSION = 17, 8


def export(model: nn.Module | Imported, path: str | Path, *, format: str) -> Path:
    """Write an LSTM, the readout behind it and the embedding in front of it, for another framework.

    Weights are written as float32. A file that is there already is replaced. `load_weights` reads it back.

    Args:
        model: an `nn.LSTM`; a module with `lstm`, and `readout` and `embedding` where it has them, like
            `SequenceModel` and what `load_weights` gives; of one that holds an `nn.LSTM` elsewhere that alone
            is written.
        path: where to; ends in `.onnx` or `.keras`.
        format: "onnx" (input: "inputs", (sequence, time, feature); outputs: "h" and, with a readout,
            "outputs", of every step) or "keras" (a Keras 3 `Sequential`, its layers returning sequences).

    Returns:
        The path.

    Raises:
        InputError: an LSTM that the format cannot hold, another ending, or a place that cannot be written.
    """
    path = Path(path).expanduser()
    if format not in _FORMATS:
        raise InputError(f"format={format}: must be onnx or keras.{nearest(format, list(_FORMATS))}")
    ending, module, extra = _FORMATS[format]
    if path.suffix != ending:
        raise InputError(f"path={path}: must end in {ending} for format={format}")
    need(module, extra, path)
    lstm, readout, embedding = _parts(model)
    if lstm.proj_size:
        raise InputError(
            f"format={format}: its LSTM has no projection, this one has projection={lstm.proj_size}"
        )
    content = (_onnx if format == "onnx" else _keras)(lstm, readout, embedding)
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise InputError(f"path={path}: cannot be written ({error.strerror})") from error
    return path


def _parts(model: nn.Module | Imported) -> tuple[nn.LSTM, nn.Linear | None, nn.Embedding | None]:
    module = model.model if isinstance(model, Imported) else model
    lstms = {name: part for name, part in module.named_modules() if isinstance(part, nn.LSTM)}
    if len(lstms) != 1:
        raise InputError(
            f"{type(module).__name__}: must hold exactly one nn.LSTM; it holds {', '.join(lstms) or 'none'}"
        )
    readout, embedding = getattr(module, "readout", None), getattr(module, "embedding", None)
    return (
        next(iter(lstms.values())),
        readout if isinstance(readout, nn.Linear) else None,
        embedding if isinstance(embedding, nn.Embedding) else None,
    )


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().to("cpu", torch.float32).numpy()


def _weights(lstm: nn.LSTM, name: str, layer: int, framework: str) -> list[np.ndarray]:
    """Return a weight of a layer in each direction, gates on the last axis and in the framework's order."""
    suffixes = ("", "_reverse") if lstm.bidirectional else ("",)
    return [reorder(_array(getattr(lstm, f"{name}_l{layer}{s}")).T, "pytorch", framework) for s in suffixes]


def _onnx(lstm: nn.LSTM, readout: nn.Linear | None, embedding: nn.Embedding | None) -> bytes:
    """Return an ONNX model; its LSTM node wants time first, so the axes are exchanged before and after."""
    from onnx import TensorProto, checker, helper, numpy_helper

    nodes: list[Any] = []
    stored: list[Any] = []

    def store(name: str, array: np.ndarray) -> str:
        stored.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def add(operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(operator, inputs, [output], name=output, **attributes))
        return output

    x = "inputs"
    if embedding is not None:
        x = add("Gather", [store("embedding.weight", _array(embedding.weight)), x], "embedded")
    x = add("Transpose", [x], "time_first", perm=[1, 0, 2])
    directions = 1 + lstm.bidirectional
    for k in range(lstm.num_layers):
        inputs = [x]
        inputs += [store(f"W_l{k}", np.stack([w.T for w in _weights(lstm, "weight_ih", k, "onnx")]))]
        inputs += [store(f"R_l{k}", np.stack([w.T for w in _weights(lstm, "weight_hh", k, "onnx")]))]
        if lstm.bias:
            both = zip(*(_weights(lstm, name, k, "onnx") for name in ("bias_ih", "bias_hh")))
            inputs += [store(f"B_l{k}", np.stack([np.concatenate(pair) for pair in both]))]
        way = "bidirectional" if lstm.bidirectional else "forward"
        x = add("LSTM", inputs, f"lstm_l{k}", hidden_size=lstm.hidden_size, direction=way)
        if lstm.bidirectional:
            x = add("Transpose", [x], f"directions_l{k}", perm=[0, 2, 1, 3])
            x = add("Reshape", [x, store(f"shape_l{k}", np.array([0, 0, -1]))], f"h_l{k}")
        else:
            x = add("Squeeze", [x, store(f"axis_l{k}", np.array([1]))], f"h_l{k}")
    x = add("Transpose", [x], "h", perm=[1, 0, 2])
    outputs = {"h": directions * lstm.hidden_size}
    if readout is not None:
        x = add(
            "MatMul",
            [x, store("readout.weight", _array(readout.weight).T)],
            "scores" if readout.bias is not None else "outputs",
        )
        if readout.bias is not None:
            add("Add", [x, store("readout.bias", _array(readout.bias))], "outputs")
        outputs["outputs"] = readout.out_features
    axes = ["sequence", "time"]
    given = (
        (TensorProto.INT64, axes) if embedding is not None else (TensorProto.FLOAT, [*axes, lstm.input_size])
    )
    graph = helper.make_graph(
        nodes,
        "lstm_probe",
        [helper.make_tensor_value_info("inputs", *given)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [*axes, n]) for name, n in outputs.items()],
        stored,
    )
    opset = helper.make_opsetid("", _OPSET)
    model = helper.make_model(
        graph, producer_name="lstm_probe", opset_imports=[opset], ir_version=_IR_VERSION
    )
    checker.check_model(model)
    return model.SerializeToString()


def _keras(lstm: nn.LSTM, readout: nn.Linear | None, embedding: nn.Embedding | None) -> bytes:
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
        arrays["layers/embedding/vars/0"] = _array(embedding.weight)
    for k in range(lstm.num_layers):
        own: dict[str, Any] = {"units": lstm.hidden_size, "return_sequences": True, "use_bias": lstm.bias}
        own |= {"activation": "tanh", "recurrent_activation": "sigmoid"}
        own["unit_forget_bias"] = lstm.bias and LSTMConfig.of(lstm).forget_bias == 1  # Keras knows no other
        name = f"lstm_l{k}" if lstm.num_layers > 1 else "lstm"
        if lstm.bidirectional:
            ways = {"layer": ("forward", False), "backward_layer": ("backward", True)}
            held: dict[str, Any] = {
                key: _entry("LSTM", name=f"{way}_{name}", go_backwards=back, **own)
                for key, (way, back) in ways.items()
            }
            layers.append(_entry("Bidirectional", name=name, merge_mode="concat", **held))
        else:
            layers.append(_entry("LSTM", name=name, **own))
        arrays |= dict(_keras_arrays(lstm, k))
    if readout is not None:
        biased = readout.bias is not None
        layers.append(
            _entry("Dense", name="readout", units=readout.out_features, activation="linear", use_bias=biased)
        )
        arrays["layers/dense/vars/0"] = _array(readout.weight).T
        if biased:
            arrays["layers/dense/vars/1"] = _array(readout.bias)
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


def _keras_arrays(lstm: nn.LSTM, layer: int) -> Iterator[tuple[str, np.ndarray]]:
    """Go through a layer's arrays and their places: kernel, recurrent kernel, and the two biases made one."""
    number = f"_{layer}" if layer else ""
    places = [f"layers/lstm{number}/cell/vars"]
    if lstm.bidirectional:
        places = [f"layers/bidirectional{number}/{way}_layer/cell/vars" for way in ("forward", "backward")]
    arrays = [_weights(lstm, name, layer, "keras") for name in ("weight_ih", "weight_hh")]
    if lstm.bias:
        both = zip(*(_weights(lstm, name, layer, "keras") for name in ("bias_ih", "bias_hh")))
        arrays.append([ih + hh for ih, hh in both])
    for k, directions in enumerate(arrays):
        for place, array in zip(places, directions):
            yield f"{place}/{k}", array
