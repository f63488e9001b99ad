"""A file for another framework, handed over when it was read back and gives the module's own outputs."""

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from lstm_probe.core.errors import InputError
from lstm_probe.core.signal import Batch
from lstm_probe.formats import load_weights
from lstm_probe.formats.imported import Imported
from lstm_probe.formats.write import check_place, contents_of, write_all
from lstm_probe.formats.write.parts import Parts, module_of, parts_of
from lstm_probe.formats.write.pytorch import beside, needs_own
from lstm_probe.recorder.calling import arguments

#: The largest difference from the module's own outputs, in parts of the largest of them, that is let pass.
MOST = 1e-5
#: The packages that run a format, the first that is there.
PACKAGES = {"pytorch": ("torch",), "keras": ("keras",), "onnx": ("onnxruntime", "onnx")}
#: What is compared: so many sequences of each length at most.
SEQUENCES = 16

Arrays = Mapping[str, np.ndarray]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Exported:
    """What was written.

    Args:
        paths: the files; the one that was asked for first.
        difference: the largest difference from the module's own outputs, in parts of the largest of them.
        words: what was compared with what, a sentence.
    """

    paths: tuple[Path, ...]
    difference: float
    words: str


def checked_export(model: nn.Module | Imported, batch: Batch, path: str | Path, *, format: str) -> Exported:
    """Write a network like `export`, when the file, read back by what it is for, gives the network's own outputs.

    It is run in a process without lstm_probe, unless the file needs that: by PyTorch, by Keras (3, on its PyTorch
    backend unless KERAS_BACKEND says another), or by onnxruntime, else by the evaluator that `onnx` has for
    reference. Where none of these is installed,
    `load_weights` reads it, which the words then say.

    Args:
        model: see `export`; of a module that does more than what is written, the outputs differ.
        batch: its sequences are compared, cut to several lengths; tokens where there is an embedding.
        path: where to; see `export`.
        format: "pytorch", "keras" or "onnx".

    Raises:
        InputError: as of `export`; and where outputs differ by more than `MOST` of the largest, or the file cannot be
            run. Then nothing is written.
    """
    path = Path(path).expanduser()
    check_place(path, format)
    module = module_of(model)
    parts = parts_of(module)
    contents = contents_of(module, path, format)
    log.info("running the file beside the network, to compare their outputs")
    inputs = _inputs(parts, batch)
    end = format == "keras" and parts.reverse_end
    wanted = _own_outputs(module, parts, batch, inputs, end)
    with tempfile.TemporaryDirectory() as folder:
        for place, content in contents.items():
            (Path(folder) / place.name).write_bytes(content)
        by, given = _read_back(Path(folder) / path.name, format, parts, inputs, end)
    difference = _difference(format, module, wanted, given)
    if not difference <= MOST:
        why = _rounding(module, batch, inputs, wanted, end)
        raise InputError(f"format={format}: outputs of the file, run by {by}, differ from the network's own by "
                         f"{difference:.1e} of the largest (at most {MOST:g}){why}; nothing was written")  # fmt: skip
    write_all(contents)
    lengths, n = [*inputs], len(next(iter(inputs.values())))
    steps = ", ".join(lengths[:-1]) + f" and {lengths[-1]}" if len(lengths) > 1 else lengths[0]
    ends = " (those of the last step, which the file gives alone)" if end else ""
    agree = f"Outputs agree to {difference:.1e} of the largest" if difference else "Outputs are the same"
    words = (f"{agree}{ends}: run by {by}, beside the network itself, on up to {n} sequences of {steps} "
             f"step{'s' * (lengths[-1] != '1')}.")  # fmt: skip
    return Exported(tuple(contents), difference, words)


def _inputs(parts: Parts, batch: Batch) -> dict[str, np.ndarray]:
    """Return the real steps of sequences, cut to several lengths, as a file takes them; by the length."""
    longest = int(batch.lengths.max())
    cut: dict[str, np.ndarray] = {}
    for length in sorted({1, (longest + 1) // 2, longest}):
        values = batch.inputs[batch.lengths >= length][:SEQUENCES, :length]
        if parts.embedding is not None:
            if values.dim() == 3 and values.shape[-1] != 1:
                raise InputError(f"batch.inputs: must be tokens, one column of them; they have {values.shape[-1]}")
            values = (values.squeeze(-1) if values.dim() == 3 else values).long()
        cut[str(length)] = values.to("cpu", values.dtype if parts.embedding is not None else parts.dtype).numpy()
    return cut


def _own_outputs(module: nn.Module, parts: Parts, batch: Batch, inputs: Arrays, end: bool) -> dict[str, np.ndarray]:
    """Return a module's own outputs, and what its readout reads, for each array of inputs."""
    device = next(module.parameters()).device
    takes_lengths = len(arguments(module, batch)) > 1
    made: dict[str, np.ndarray] = {}
    with torch.no_grad(), _evaluating(module), _shown(parts.readout) as shown:
        for name, array in inputs.items():
            given = [torch.from_numpy(array).to(device)]
            given += [torch.full((len(array),), array.shape[1])] if takes_lengths else []
            outputs = module(*given)
            outputs = outputs[0] if isinstance(outputs, tuple) else outputs
            made[f"{name} outputs"] = outputs.cpu().numpy()[:, -1 if end else slice(None)]
            if shown:
                made[f"{name} h"] = shown.pop().cpu().numpy()
            elif parts.activation is None:
                made[f"{name} h"] = made[f"{name} outputs"]
    return made


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Set a module to evaluation, and to what it was before."""
    training = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, was in training.items():
            part.training = was


@contextmanager
def _shown(readout: nn.Module | None) -> Iterator[list[Tensor]]:
    """Collect what a readout reads."""
    seen: list[Tensor] = []
    hook = None if readout is None else readout.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    try:
        yield seen
    finally:
        if hook is not None:
            hook.remove()


def _read_back(path: Path, format: str, parts: Parts, inputs: Arrays, end: bool) -> tuple[str, Arrays]:
    """Return who has run a file, in words, and what it gave for each array of inputs."""
    whys = []
    rounded = {name: array if array.dtype != np.float64 or format != "onnx" else array.astype(np.float32)
               for name, array in inputs.items()}  # fmt: skip
    for package in PACKAGES[format]:
        if find_spec(package) is None:
            whys.append(f"{package} is not installed")
            continue
        said, given = _run(path, format, package, rounded, format == "pytorch" and needs_own(parts.lstm))
        if "by" in said:
            return said["by"], given
        why = (said.get("absent", said.get("error", "")).splitlines() or [""])[0][:200]
        if "absent" not in said:
            raise InputError(f"format={format}: {package} does not run the file ({why}); nothing was written")
        whys.append(f"{package} cannot be used here: {why}")
    return _reread(path, format, parts, inputs, end, "; ".join(whys))


def _run(path: Path, format: str, package: str, inputs: Arrays, own: bool = False) -> tuple[dict[str, str], Arrays]:
    """Return what a process of its own says of a file, and the outputs that it gave; `own`: the file needs ours."""
    given, made = path.with_name("inputs.npz"), path.with_name("outputs.npz")
    np.savez(given, **dict(inputs))  # type: ignore[arg-type]  # its stub takes them for allow_pickle
    order = {"path": sys.path, "package": package, "inputs": str(given), "outputs": str(made),
             "file": str(beside(path) if format == "pytorch" else path), "own": own}  # fmt: skip
    script = Path(__file__).with_name("consumer.py")
    done = subprocess.run(
        [sys.executable, "-I", str(script), json.dumps(order)],
        capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    try:
        said: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        said = {"error": f"its process ended with code {done.returncode}"}
    if "by" not in said:
        return said, {}
    with np.load(made) as arrays:
        return said, {name: arrays[name] for name in arrays.files}


def _reread(path: Path, format: str, parts: Parts, inputs: Arrays, end: bool, why: str) -> tuple[str, Arrays]:
    """Return what `load_weights` makes of a file, where nothing else that reads it is there."""
    try:
        read = load_weights(path)
        ours = (read.readout is None) == (parts.readout is None) and read.lstm.proj_size == parts.lstm.proj_size
    except InputError:
        ours = False
    if not ours:
        raise InputError(f"format={format}: the file cannot be compared ({why}), so nothing was written; install that")
    network = read.with_activation(read.activation)
    made = {}
    with torch.no_grad():
        for name, array in inputs.items():
            made[f"{name} outputs"] = network(torch.from_numpy(array)).numpy()[:, -1 if end else slice(None)]
    return f"lstm_probe's own reader ({why})", made


def _difference(format: str, module: nn.Module, wanted: Arrays, given: Arrays) -> float:
    """Return the largest difference in parts of the largest value; an InputError where shapes differ."""
    largest = 0.0
    for name in ("outputs", "h"):
        pairs = [(own, given[key]) for key, own in wanted.items() if key.endswith(f" {name}") and key in given]
        for own, other in pairs:
            if own.shape != other.shape:
                raise InputError(
                    f"format={format}: the file gives {name} of shape {other.shape}, and {type(module).__name__} of "
                    f"{own.shape}: of a module its LSTM, embedding and readout are written, and nothing else in it"
                )
        scale = max((float(np.abs(own).max(initial=0)) for own, _ in pairs), default=0.0)
        off = max((float(np.abs(own - other).max(initial=0)) for own, other in pairs), default=0.0)
        largest = max(largest, off / (scale or 1.0), key=lambda x: np.inf if np.isnan(x) else x)
    return largest


def _rounding(module: nn.Module, batch: Batch, inputs: Arrays, wanted: Arrays, end: bool) -> str:
    """Return words on a network whose own outputs differ as much between 32 and 64 bits; none of others."""
    parts = parts_of(module)
    other = torch.float32 if parts.dtype == torch.float64 else torch.float64
    try:
        twin = deepcopy(module).to(other)
        cast = {name: torch.from_numpy(array).to(other if array.dtype.kind == "f" else torch.int64).numpy()
                for name, array in inputs.items()}  # fmt: skip
        off = _difference("", twin, wanted, _own_outputs(twin, parts_of(twin), batch, cast, end))
    except RuntimeError:  # a module of the user's own may know one type alone
        return ""
    return f": it magnifies rounding, by itself already to {off:.1e} between 32 and 64 bits" if off > MOST else ""
