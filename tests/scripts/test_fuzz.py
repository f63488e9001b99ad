"""Damaged files of every format: what the whole one gave, what is in it, or one short error."""

import importlib
import random
import sys
from pathlib import Path

import pytest

from lstm_probe.core.errors import InputError

pytest.importorskip("onnx")
pytest.importorskip("keras")
sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
files, damage, reading = (importlib.import_module(f"fuzzing.{name}") for name in ("files", "damage", "reading"))
sys.path.pop(0)

EACH = 4


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras's own
        made = files.make_files(tmp_path_factory.mktemp("whole"))
    return {name: (path, reading.read(name, path)) for name, path in made.items()}


FORMATS = ["keras", "keras2", "weights", "onnx", "torch", "legacy", "safetensors", "npz", "csv", "parquet", "config"]


def test_every_format_is_there_and_whole(whole):
    assert list(whole) == FORMATS
    assert all(reading.outcome(name, path, found) == reading.SAME for name, (path, found) in whole.items())
    assert all(reading.truly(name, path, found) for name, (path, found) in whole.items())


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_files(whole, tmp_path, name):
    path, found = whole[name]
    for k in range(EACH):
        content = damage.damage(files.target(name, path).read_bytes(), random.Random(f"test {name} {k}"))
        assert content == damage.damage(files.target(name, path).read_bytes(), random.Random(f"test {name} {k}"))
        damaged = files.copy(name, path, tmp_path / str(k), content)
        assert reading.outcome(name, damaged, found) in reading.GOOD, k


def test_what_is_wrong_is_said(whole):
    path, found = whole["torch"]
    other = {**found, "lstm.bias_ih_l0": found["lstm.bias_ih_l0"] + 1}
    assert not reading.same(found, other) and not reading.truly("torch", path, other)
    assert "nothing" not in reading.GOOD
    assert reading.message_problem(InputError("short")) is None
    assert "problems" in reading.message_problem(InputError())
    assert "problems" in reading.message_problem(InputError(*map(str, range(99))))
