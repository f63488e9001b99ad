"""Weights that other frameworks made, as a module of PyTorch: gate order, biases and shapes as PyTorch has them."""

from importlib import import_module
from inspect import signature
from pathlib import Path

from lstm_probe.core.budget import at_most, reading
from lstm_probe.core.errors import InputError
from lstm_probe.formats.files import kind_of
from lstm_probe.formats.imported import Imported, ImportedModel
from lstm_probe.formats.read.tensorflow1 import from_tensorflow1

__all__ = ["Imported", "ImportedModel", "from_tensorflow1", "load_weights"]

#: Which module of this room reads a kind of file, and what the kind is called; it says which of `_OPTIONS` it takes.
_READERS = {
    "keras": ("keras", "Keras"),
    "hdf5": ("keras", "HDF5"),
    "npz": ("tensorflow1", "NumPy"),
    "checkpoint": ("tensorflow1", "TensorFlow"),
    "onnx": ("onnx", "ONNX"),
    "torch": ("pytorch", "PyTorch"),
    "safetensors": ("pytorch", "safetensors"),
}

#: What can be said of some kinds of file alone, and why it cannot be said of the others.
_OPTIONS = {
    "readout": "a readout cannot be named in this kind of file",
    "forget_bias": "only TensorFlow 1 cells add one at run time",
    "recurrent_activation": "only Keras weights do not say theirs",
    "cell": "its file says what its units are",
}


def load_weights(
    path: str | Path,
    *,
    layer: str | None = None,
    readout: str | None = None,
    forget_bias: float | None = None,
    recurrent_activation: str | None = None,
    cell: str | None = None,
    max_bytes: int | None = None,
) -> Imported:
    """Read recurrent layers, and the readout after them where there is one, from a file of another framework.

    A readout is taken where the file proves it: where it has a graph, and what leads from h to the network's output
    is that linear layer. Bare weights prove nothing: then only what can hardly be anything else is taken.

    The kind of the file is recognised by its content. Nothing that a file holds is ever executed.

    Args:
        path: a Keras `.keras`, `.weights.h5` or `.h5` file, an ONNX model, a PyTorch state dict, safetensors,
            an `.npz` of TensorFlow 1 variables or Flax parameters, or a TensorFlow checkpoint (where tensorflow is
            installed).
        layer: which recurrent layer, by its name in the file, where there are several; `lower+upper` takes Keras
            layers that follow one another as one module of several layers.
        readout: which linear layer reads h, by its name in the file, where the file alone does not prove it.
        forget_bias: what a TensorFlow 1 cell adds to its forget gate's bias at run time (its default is 1.0).
        recurrent_activation: what the gates of Keras weights without a configuration were trained with, where their
            version does not tell: "sigmoid", "hard_sigmoid" (that of their version), or another activation's name.
        cell: what the units of weights are whose names and shapes do not tell, PyTorch's and NumPy's, by a name that
            `get_cell` knows: "rnn_relu", "gru_reset_before", "janet", "package.module:NAME". Without it three blocks
            of rows are a GRU, and one is an RNN of tanh; a note says so.
        max_bytes: memory that reading it may take, whatever the file claims: its arrays, and the network made of
            them; 1 GB where this is None.

    Raises:
        InputError: a file that is damaged, hostile or of an unknown kind, or no layer that a module here can be.
    """
    path = Path(path).expanduser()
    kind = kind_of(path)
    module, name = _READERS[kind]
    reader = import_module(f"lstm_probe.formats.read.{module}")
    said = {"readout": readout, "forget_bias": forget_bias, "recurrent_activation": recurrent_activation,
            "cell": cell}  # fmt: skip
    options = {key: value for key, value in said.items() if value is not None}
    wrong = [f"{key}={value}: {_OPTIONS[key]}; {path} is a file of {name}" for key, value in options.items()
             if key not in signature(reader.load).parameters]  # fmt: skip
    if wrong:
        raise InputError(*wrong)
    size = sum(file.stat().st_size for file in _files(path, kind))
    try:
        with at_most(max_bytes), reading(f"path={path}", size):
            imported: Imported = reader.load(path, kind, layer, **options)
        return imported
    except InputError:
        raise
    except Exception as error:
        # The file is a stranger's: what a library stumbles over in it is bad input, not a failure of ours.
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"path={path}: cannot be read as {name}, damaged or incomplete ({first[:200]})") from error


def _files(path: Path, kind: str) -> list[Path]:
    """Return the files that are read; of a checkpoint, the folder's."""
    if kind != "checkpoint":
        return [path]
    return [file for file in (path if path.is_dir() else path.parent).iterdir() if file.is_file()]
