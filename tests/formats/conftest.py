"""What takes a process of its own, done in that of the tests, where it isn't the process that is tested."""

import io
import runpy
import sys
import tempfile
from contextlib import contextmanager

import pytest

from lstm_probe.formats.read import hdf5
from lstm_probe.formats.write import checked, consumer
from tests.foreign import keras as load_keras


def consumer_of(path, format):
    """Words on the framework that a file is for, and a function from inputs to what it makes of them."""
    if format == "keras":
        load_keras()
    if format == "onnx":
        pytest.importorskip("onnxruntime")
    file = path.with_suffix(".py") if format == "pytorch" else path
    return {"pytorch": consumer.torch, "keras": consumer.keras, "onnx": consumer.onnxruntime}[format](str(file))


def consumed(path, format, x):
    """What a framework makes of a file, in this process."""
    return consumer_of(path, format)[1](x.numpy())


@pytest.fixture
def here(monkeypatch):
    """Let the frameworks run in this process, which has them already."""

    def run(path, format, package, inputs, *_):
        words, network = consumer_of(path, format)
        return {"by": words}, {f"{name} {key}": out for name, array in inputs.items()
                               for key, out in network(array).items()}  # fmt: skip

    monkeypatch.setattr(checked, "_run", run)


@pytest.fixture
def read_here(monkeypatch):
    """Let HDF5 files be read in this process, by the same script."""

    @contextmanager
    def reading(script, source, modules, arguments=()):
        with tempfile.TemporaryFile() as out:
            with monkeypatch.context() as patch:
                patch.setattr(sys, "argv", [str(script), *map(str, arguments)])
                patch.setattr(sys, "stdin", io.TextIOWrapper(source))
                patch.setattr(sys, "stdout", io.TextIOWrapper(out))
                runpy.run_path(str(script), run_name="__main__")
                for stream in (sys.stdin, sys.stdout):
                    stream.detach()  # which leaves open what it is around
            out.seek(0)
            yield out

    monkeypatch.setattr(hdf5, "child_reading", reading)
