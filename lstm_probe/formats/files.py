"""What kind of file it is, by its content: the ending may lie."""

import re
import zipfile
from pathlib import Path

from lstm_probe.core.errors import InputError

#: No array of an LSTM is larger than this; a small file that declares more is a bomb.
MOST_BYTES = 2**31

KNOWN = "Keras (.keras .h5), ONNX, PyTorch state dict, safetensors, NumPy .npz of TensorFlow 1 variables"
#: How much of a file is looked at to tell its kind.
_HEAD = 2**16
_LEGACY_TORCH = bytes.fromhex("80028a0a6cfc9c46f9206aa85019")


def kind_of(path: Path) -> str:
    """Return "keras", "hdf5", "npz", "torch", "safetensors", "onnx" or "checkpoint".

    Raises:
        InputError: there is no such file, or it is of no kind that is read.
    """
    if not path.exists() and path.with_name(f"{path.name}.index").is_file():
        return "checkpoint"
    if not path.exists():
        raise InputError(f"path={path}: no such file")
    if path.is_dir():
        if (path / "checkpoint").is_file():
            return "checkpoint"
        saved = (path / "saved_model.pb").exists()
        what = "a TensorFlow SavedModel; save the model as .keras" if saved else "a folder"
        raise InputError(f"path={path}: is {what}; must be a file: {KNOWN}")
    if path.suffix == ".index" and path.with_suffix("").name:
        return "checkpoint"
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise InputError(f"path={path}: cannot be opened ({error.strerror})") from error
    return _kind_by_head(path, head)


def _kind_by_head(path: Path, head: bytes) -> str:
    if not head:
        raise InputError(f"path={path}: is empty")
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return "hdf5"
    if head.startswith(b"PK"):
        return _kind_of_zip(path)
    if head.startswith(_LEGACY_TORCH):
        return "torch"
    if head.startswith(b"\x80"):
        raise InputError(f"path={path}: is a Python pickle, which can run any code: never loaded. {ADVICE}")
    if head.startswith(b"\x93NUMPY"):
        raise InputError(f"path={path}: is one NumPy array; put kernel and bias into one .npz")
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= path.stat().st_size - 8:
        return "safetensors"
    _refuse_tensorflow(path, head)
    # ONNX has no signature, but its first field is the format's version.
    if head.startswith(b"\x08") or path.suffix == ".onnx":
        return "onnx"
    raise InputError(f"path={path}: not a supported kind of file, or damaged; supported are {KNOWN}")


ADVICE = "Save the weights alone: torch.save(model.state_dict(), path), or safetensors"


def _refuse_tensorflow(path: Path, head: bytes) -> None:
    """Raise an InputError that names a graph of TensorFlow's: all of them begin like other protocol buffers."""
    what = None
    if head[:1] == b"\n" and re.search(rb"\x12\x05Const|\x12\x0bPlaceholder|\x12\x08Identity", head):
        what = "frozen graph (.pb)"  # nodes, each with its operator
    elif head.startswith(b"\x08\x01\x12") and path.suffix == ".pb":
        what = "SavedModel's graph (.pb)"  # its version 1, then what ONNX has a producer's name in
    elif head[4:8] == b"TFL3":
        what = "Lite model (.tflite)"
    if what is not None:
        raise InputError(
            f"path={path}: is a TensorFlow {what}, not weights by their names: save the model as .keras or "
            ".weights.h5, or as a checkpoint, or convert it to ONNX"
        )


def _kind_of_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except Exception as error:  # zipfile has no common one for what it cannot make out
        raise InputError(f"path={path}: is a damaged or truncated archive ({error})") from error
    if any(name.endswith("/code/") or "/code/" in name for name in names) and "config.json" not in names:
        raise InputError(f"path={path}: is a TorchScript archive, which holds code: never loaded. {ADVICE}")
    if any(name.rpartition("/")[2] == "archive_format" for name in names):
        raise InputError(f"path={path}: is an exported program (.pt2), which holds code: never loaded. {ADVICE}")
    if "config.json" in names:
        return "keras"
    if any(name.endswith("/data.pkl") or name == "policy.pth" for name in names):
        return "torch"  # stable-baselines3 keeps a policy's weights in an archive of its own
    if names and all(name.endswith(".npy") for name in names):
        return "npz"
    raise InputError(f"path={path}: is an archive, but not of a supported kind; supported are {KNOWN}")


def zip_member(archive: zipfile.ZipFile, name: str, most: int = MOST_BYTES) -> bytes:
    """Return a member's bytes; an InputError where it is missing or declares more than `most` of them."""
    if name not in archive.namelist():
        raise InputError(f"path={archive.filename}: has no {name}; the file is incomplete")
    if archive.getinfo(name).file_size > most:
        raise InputError(f"path={archive.filename}: {name} would be larger than {most} bytes")
    return archive.read(name)


def need(module: str, extra: str, path: Path) -> None:
    """Raise an InputError that says what to install where a module that reads this file is not there."""
    from importlib.util import find_spec

    if find_spec(module) is None:
        how = f"pip install 'lstm-probe[{extra}]'" if extra else f"pip install {module}"
        raise InputError(f"path={path}: reading it needs {module}: {how}")
