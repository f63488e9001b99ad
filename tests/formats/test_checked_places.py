"""Where an exported file goes: both of two files are written, or none, and nothing that is somebody's is replaced."""

from pathlib import Path

import pytest
import torch
from torch import nn

from lstm_probe.core.errors import InputError
from lstm_probe.formats import ImportedModel
from lstm_probe.formats.write import export
from lstm_probe.formats.write.checked import checked_export
from tests.formats.test_checked import batch_of, built, lstm


@pytest.mark.parametrize(
    ("name", "before", "words"),
    [
        ("m.py", {}, "must end in .pt for format=pytorch"),
        ("m.pt", {"m.py": "print('mine')"}, "m.py would be written beside it, and is there already"),
        ("m.pt", {"m.py/x": ""}, "m.py would be written beside it, and is there already"),
        ("no/m.pt", {}, r"cannot be written \(no such folder\)"),
        ("m.pt", {"m.pt/x": ""}, r"cannot be written \(is a folder\)"),
    ],
)
def test_places_where_nothing_is_written(tmp_path, name, before, words):
    for file, text in before.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text)
    there = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=words):
        checked_export(built("plain")[0], batch_of(torch.ones(2, 3, 3)), tmp_path / name, format="pytorch")
    assert sorted(tmp_path.rglob("*")) == there
    assert all((tmp_path / file).read_text() == text for file, text in before.items())


@pytest.mark.parametrize("again", [False, True])
def test_of_two_files_both_are_written_or_none(tmp_path, monkeypatch, again):
    model, path = built("plain")[0], tmp_path / "m.pt"
    before = {}
    if again:
        export(built("layers")[0], path, format="pytorch")
        before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    replace = Path.replace

    def full(self, target):
        if Path(target).suffix == ".pt":
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(InputError, match=r"cannot be written \(No space left on device\)"):
        export(model, path, format="pytorch")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_widths_that_do_not_fit_are_named(tmp_path):
    with pytest.raises(InputError, match="must be tokens, one column of them; they have 3"):
        checked_export(built("tokens")[0], batch_of(torch.ones(2, 3, 3)), tmp_path / "m.pt", format="pytorch")
    for model, words in [
        (ImportedModel(lstm(), nn.Linear(4, 2)), "its readout reads 4 numbers, and h has 5"),
        (ImportedModel(lstm(), nn.Linear(5, 2), nn.Embedding(4, 2)), "its embedding gives 2 numbers, and its LSTM"),
    ]:
        with pytest.raises(InputError, match=words):
            export(model, tmp_path / "m.pt", format="pytorch")
