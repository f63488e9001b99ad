"""Recurrent layers and what is around them as a file for PyTorch, ONNX or Keras, without their runtimes."""

from collections.abc import Mapping
from pathlib import Path

from torch import nn

from lstm_probe.core.errors import InputError, nearest
from lstm_probe.core.files import check_writable, write_whole
from lstm_probe.core.vocabulary import EXPORTED, ending_problem
from lstm_probe.formats.files import need
from lstm_probe.formats.imported import Imported
from lstm_probe.formats.write.keras import keras_file
from lstm_probe.formats.write.onnx import onnx_file
from lstm_probe.formats.write.parts import module_of, parts_of
from lstm_probe.formats.write.pytorch import pytorch_files

#: The package that writes a format, and the extra that brings it.
_NEEDED = {"onnx": ("onnx", "onnx"), "keras": ("h5py", "keras")}


def export(model: nn.Module | Imported, path: str | Path, *, format: str) -> Path:
    """Write recurrent layers, the embedding before, the readout after them and the activation behind that, for another
    framework.

    A file that is there already is replaced. A projection, which neither ONNX's nor Keras's LSTM has, becomes a linear
    layer behind the units and a part of their recurrent weights: the same network. `load_weights` reads others back.

    Args:
        model: an `nn.LSTM`; a module with `lstm`, and `readout` and `embedding` where it has them, like
            `SequenceModel` and what `load_weights` gives; of one that holds an `nn.LSTM` elsewhere that alone
            is written. So are an `nn.GRU`, an `nn.RNN`, and a `GatedRNN` of a cell that the format has, which for
            PyTorch is any.
        path: where to; ends in `.pt`, `.onnx` or `.keras`.
        format: "pytorch" (a state dict, and beside it a Python file with the module and `load()`, which needs PyTorch
            alone; of a `GatedRNN` lstm_probe too), "onnx" (float32; input: "inputs", (sequence, time, feature) or
            tokens (sequence, time); outputs: "h" and, with a readout, "outputs", of every step) or "keras" (a Keras 3
            `Sequential`, its layers returning sequences; where the readout reads the reverse direction's own last
            step, the last step alone).

    Returns:
        The path.

    Raises:
        InputError: layers that the format cannot hold, another ending, or a place that cannot be written.
    """
    path = Path(path).expanduser()
    check_place(path, format)
    write_all(contents_of(module_of(model), path, format))
    return path


def check_place(path: Path, format: str) -> None:
    """Raise an InputError where there is no such format, or nothing can be written at this path."""
    if format not in EXPORTED:
        *first, last = EXPORTED
        raise InputError(f"format={format}: must be {', '.join(first)} or {last}.{nearest(format, list(EXPORTED))}")
    if problem := ending_problem(path, format):
        raise InputError(problem)
    if path.is_dir() or not path.parent.is_dir():
        raise InputError(f"path={path}: cannot be written ({'is a folder' if path.is_dir() else 'no such folder'})")
    check_writable(path.parent, "path")
    if format in _NEEDED:
        need(*_NEEDED[format], path, "writing")


def contents_of(module: nn.Module, path: Path, format: str) -> dict[Path, bytes]:
    """Return what is to be written of a module, by path: the one that is given first."""
    parts = parts_of(module)
    if format == "pytorch":
        return pytorch_files(parts, path)
    return {path: (onnx_file if format == "onnx" else keras_file)(parts)}


def write_all(contents: Mapping[Path, bytes]) -> None:
    """Write files, all or none of them: what stood in their places still does where one cannot be written."""
    before = {path: path.read_bytes() if path.is_file() else None for path in list(contents)[1:]}
    try:
        for path in reversed(list(contents)):  # the smaller ones first, of which there is a copy
            write_whole(path, contents[path])
    except OSError as error:
        for other, content in before.items():
            if content is None:
                other.unlink(missing_ok=True)
            else:
                write_whole(other, content)
        raise InputError(f"path={path}: cannot be written ({error.strerror})") from error
