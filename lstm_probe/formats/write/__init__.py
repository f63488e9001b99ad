"""An LSTM and its readout as a file for ONNX or Keras, written without either of their runtimes."""

from pathlib import Path

from torch import nn

from lstm_probe.core.errors import InputError, nearest
from lstm_probe.core.files import write_whole
from lstm_probe.formats.files import need
from lstm_probe.formats.imported import Imported
from lstm_probe.formats.write.keras import keras_file
from lstm_probe.formats.write.onnx import onnx_file
from lstm_probe.recorder.backward import BackwardLSTM

#: Each format, the ending that its own readers ask for, and the package that writes it.
_FORMATS = {"onnx": (".onnx", "onnx", "onnx"), "keras": (".keras", "h5py", "keras")}


def export(model: nn.Module | Imported, path: str | Path, *, format: str) -> Path:
    """Write an LSTM, the readout after it and the embedding before it, for another framework.

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
    if isinstance(lstm, BackwardLSTM):
        raise InputError(f"format={format}: an LSTM that reads each sequence from its end is not written")
    if lstm.proj_size:
        raise InputError(f"format={format}: its LSTM has no projection, this one has projection={lstm.proj_size}")
    content = (onnx_file if format == "onnx" else keras_file)(lstm, readout, embedding)
    try:
        write_whole(path, content)
    except OSError as error:
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
