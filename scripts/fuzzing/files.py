"""A small, whole file of every format that is read, each with the same few weights or rows."""

import json
import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn

FEATURES, UNITS, OUTPUTS = 3, 5, 2
RUN = Path(__file__).parents[2] / "tests" / "data" / "schema1" / "flipflop" / "u2-s0-ac626909"


class Network(nn.Module):
    """An LSTM with a readout."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(FEATURES, UNITS, batch_first=True)
        self.readout = nn.Linear(UNITS, OUTPUTS)


def make_files(folder: Path) -> dict[str, Path]:
    """Write a file of every format into a folder and return them by the format's name."""
    from lstm_probe.formats.write import export

    torch.manual_seed(0)
    network = Network()
    state = network.state_dict()
    names = ("keras.keras", "keras2.h5", "weights.weights.h5", "onnx.onnx", "torch.pt", "legacy.pt",
             "safetensors.safetensors", "npz.npz", "csv.csv", "parquet.parquet", "config")  # fmt: skip
    files = {name.partition(".")[0]: folder / name for name in names}
    _keras(files)
    export(network, files["onnx"], format="onnx")
    torch.save(state, files["torch"])
    torch.save({"epoch": 3, "model": state}, files["legacy"], _use_new_zipfile_serialization=False)
    from safetensors.torch import save_file

    save_file(state, files["safetensors"])
    rng = np.random.default_rng(0)
    kernel, bias = rng.normal(size=(FEATURES + UNITS, 4 * UNITS)), rng.normal(size=4 * UNITS)
    np.savez(files["npz"], **{"rnn/lstm_cell/kernel": kernel.astype("f4"), "rnn/lstm_cell/bias": bias.astype("f4")})
    _tables(files)
    files["config"] = folder / RUN.name  # a run is what its folder is called
    shutil.copytree(RUN, files["config"])
    return files


def _keras(files: dict[str, Path]) -> None:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras's own, of NumPy
        import keras

        keras.utils.set_random_seed(0)
        lstm = keras.layers.LSTM(UNITS, return_sequences=True, name="lstm")
        model = keras.Sequential([keras.Input((None, FEATURES)), lstm, keras.layers.Dense(OUTPUTS, name="dense")])
        for name in ("keras", "keras2"):
            model.save(files[name])
        model.save_weights(files["weights"])


def _tables(files: dict[str, Path]) -> None:
    import pandas as pd

    rng = np.random.default_rng(0)
    n, steps = 12, 6
    table = pd.DataFrame({
        "sequence": np.repeat(np.arange(n), steps), "time": np.tile(np.arange(steps), n),
        "x_1": rng.integers(0, 9, n * steps), "x_2": rng.normal(size=n * steps).round(4),
        "y_sum": rng.normal(size=n * steps).round(4), "signal_kind": rng.choice(["up", "down", "flat"], n * steps),
    })  # fmt: skip
    table.to_csv(files["csv"], index=False)
    table.to_parquet(files["parquet"], index=False)


def target(name: str, path: Path) -> Path:
    """Return the file that is damaged where what is read is a folder."""
    return path / "config.yaml" if name == "config" else path


def copy(name: str, path: Path, to: Path, content: bytes) -> Path:
    """Write a damaged copy of a file, with its name, into a folder that is emptied; return its path."""
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir()
    if name == "config":
        shutil.copytree(path, to / path.name)
    target(name, to / path.name).write_bytes(content)
    return to / path.name


def as_json(value: object) -> str:
    """Return plain data as one text, to compare."""
    return json.dumps(value, sort_keys=True, default=str)
