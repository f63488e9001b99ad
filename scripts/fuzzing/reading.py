"""What reading a damaged file gives: what the whole one gave, what truly is in it, or one short error."""

import csv
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lstm_probe.core.errors import InputError

SAME, TRUE, REFUSED = "the same", "what is in it", "refused"
GOOD = (SAME, TRUE, REFUSED)
LONGEST, MOST_PROBLEMS = 1000, 20
TABLES, CONFIG = ("csv", "parquet"), "config"


def read(name: str, path: Path) -> Any:
    """Read a file of a format as a user does; arrays by name, a table, or plain data."""
    if name in TABLES:
        from lstm_probe.tasks.table.file import read_table
        from lstm_probe.tasks.table.table import Table

        frame = read_table(str(path)).frame
        Table(path=str(path))
        return frame
    if name == CONFIG:
        from lstm_probe.runs.run import load_run

        run = load_run(path)
        return run.task and run.config
    from lstm_probe.formats import load_weights

    found = load_weights(path)
    arrays = {f"lstm.{key}": value.numpy() for key, value in found.lstm.state_dict().items()}
    if found.readout is not None:
        arrays |= {f"readout.{key}": value.numpy() for key, value in found.readout.state_dict().items()}
    return {**arrays, "words": (found.activation, found.last_step)}


def outcome(name: str, path: Path, whole: Any) -> str:
    """Return what became of reading a file: one of `GOOD`, or what is wrong with it.

    Args:
        name: of the format.
        path: of the file.
        whole: what reading the whole file gave.
    """
    try:
        found = read(name, path)
    except InputError as error:
        return message_problem(error) or REFUSED
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:300]
    if same(found, whole):
        return SAME
    return TRUE if truly(name, path, found) else "something else than what is in it"


def message_problem(error: InputError) -> str | None:
    """Return what is wrong with an error's message."""
    if not error.problems or len(error.problems) > MOST_PROBLEMS:
        return f"{len(error.problems)} problems"
    for problem in error.problems:
        if len(problem) > LONGEST:
            return f"a message of {len(problem)} characters"
        odd = [c for c in problem if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")]
        if odd:
            return f"control characters {odd} in {problem!r:.200}"
    return None


def same(found: Any, whole: Any) -> bool:
    """Return whether two readings are equal."""
    if hasattr(found, "equals"):
        return bool(found.equals(whole))
    if not isinstance(found, dict) or "words" not in found:
        return bool(found == whole)
    return found.keys() == whole.keys() and all(np.array_equal(found[key], whole[key]) for key in found)


def truly(name: str, path: Path, found: Any) -> bool:
    """Return whether what was read is in the file, as somebody else reads it."""
    if name == "csv":
        return _same_cells(path, found)
    if name == "parquet":
        import pyarrow.parquet as pq

        other = pq.ParquetFile(path).read().to_pandas()
        return bool(len(other) == len(found) and all(other[c].equals(found[c]) for c in other if c in found))
    if name == CONFIG:
        import yaml

        other = yaml.safe_load((path / "config.yaml").read_text())
        return all(found.get(key, other[key]) == other[key] for key in other if key not in ("carry", "probe"))
    stored = np.unique(np.concatenate([np.zeros(1), *(array.ravel().astype(np.float64) for array in _arrays(path))]))
    if name == "npz":  # the cell adds one to its forget gate's bias
        stored = np.concatenate([stored, (stored.astype(np.float32) + np.float32(1)).astype(np.float64), stored + 1])
    values = [value for key, value in found.items() if key != "words"]
    return all(np.isin(value.astype(np.float64), stored).all() and np.isfinite(value).all() for value in values)


def _same_cells(path: Path, frame: Any) -> bool:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        first = stream.readline()
        stream.seek(0)
        rows = [row for row in csv.reader(stream, delimiter=max(",;\t", key=first.count), skipinitialspace=True) if row]

    from pandas._libs.parsers import STR_NA_VALUES

    def alike(cell: str, value: Any) -> bool:
        if value != value or value is None:
            return cell.strip() in STR_NA_VALUES
        try:
            return bool(float(cell) == float(value))
        except (TypeError, ValueError):
            return cell.strip() == str(value).strip()

    pairs = zip(rows[1:], frame.itertuples(index=False))
    return len(rows) == len(frame) + 1 and all(alike(*both) for row, values in pairs for both in zip(row, values))


def _arrays(path: Path) -> Iterator[np.ndarray]:
    """Go through the arrays of numbers that the format's own library finds in a file."""
    head = path.read_bytes()[:8]
    if path.suffix == ".onnx":
        import onnx

        graph = onnx.load(path).graph
        yield from map(onnx.numpy_helper.to_array, graph.initializer)
        for node in graph.node:
            yield from (onnx.numpy_helper.to_array(a.t) for a in node.attribute if a.HasField("t"))
    elif path.suffix == ".safetensors":
        from safetensors.numpy import load_file

        yield from load_file(path).values()
    elif path.suffix == ".npz":
        with np.load(path) as arrays:
            yield from (arrays[key] for key in arrays.files)
    elif path.suffix == ".pt":
        import torch

        ahead = [torch.load(path, weights_only=True)]
        while ahead:
            part = ahead.pop()
            if isinstance(part, torch.Tensor):
                yield part.numpy()
            elif isinstance(part, dict):
                ahead += part.values()
    else:
        yield from _hdf5(path, head.startswith(b"PK"))


def _hdf5(path: Path, zipped: bool) -> Iterator[np.ndarray]:
    import io
    import zipfile

    import h5py

    source: Any = path
    if zipped:
        with zipfile.ZipFile(path) as archive:
            source = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(source, "r") as file:
        ahead = [file]
        while ahead:
            group = ahead.pop()
            for name in group:
                try:
                    found = group[name]
                    if isinstance(found, h5py.Group):
                        ahead.append(found)
                    elif found.dtype.kind in "fiu":
                        yield found[()]
                except (KeyError, OSError, RuntimeError):  # what is damaged here was not asked for
                    continue
