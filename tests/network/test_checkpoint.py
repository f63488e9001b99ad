"""A checkpoint that cannot be trusted is set aside with a warning, and the training begins anew and ends the same."""

import os
import pickle
import shutil

import pytest
import torch

from lstm_probe.network.checkpoint import UntrustedError, read_checkpoint, write_checkpoint
from lstm_probe.network.model import SequenceModel
from lstm_probe.network.training import Trainer
from lstm_probe.tasks.memory.flipflop import FlipFlop
from lstm_probe.tasks.text.text import Text

TASK = FlipFlop(bits=1, length=8)
SETTINGS = {"steps": 30, "evaluate_every": 10, "stop_when_solved": False, "batch": 8, "seed": 3}


def trainer(task=TASK, units=3, **changes):
    return Trainer(SequenceModel(task.n_inputs, task.n_outputs, units, seed=1), task, **{**SETTINGS, **changes})


def half_way(path, **changes):
    """Write the checkpoint of a training that was cut at step 10; return its trainer."""
    cut = trainer(**changes)

    def stop(progress):
        cut.save(path)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut.fit(report=stop)
    return cut


class Evil:
    """Unpickled, it leaves a file."""

    def __reduce__(self):
        return (os.mkdir, ("unpickled",))


def changed(change):
    """A trainer writes what it should not have been."""

    def write(path):
        cut = half_way(path)
        change(cut)
        cut.save(path)

    return write


def set_nan(cut):
    with torch.no_grad():
        cut.model.lstm.weight_hh_l0[0, 0] = torch.nan


def set_infinite_average(cut):
    next(iter(cut._optimizer.state.values()))["exp_avg"].fill_(torch.inf)


def set_averages(cut):
    next(iter(cut._optimizer.state.values()))["exp_avg"] = torch.zeros(2, 2)


def flipped(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def rewrite(path, content):
    path.unlink()
    path.write_bytes(content)


def folder(path):
    path.unlink()
    path.mkdir()
    (path / "inside").touch()


def link(path):
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def by_torch(path):
    torch.save({"model": trainer().model.state_dict(), "own": {"step": 10}}, path)


IDENTITY = trainer().identity()
DAMAGE = {
    "truncated": lambda path: os.truncate(path, path.stat().st_size - 9),
    "only the first line": lambda path: os.truncate(path, 65),
    "empty": lambda path: os.truncate(path, 0),
    "one bit": flipped,
    "longer": lambda path: rewrite(path, path.read_bytes() + b"\0"),
    "a text": lambda path: rewrite(path, b"hello\nworld\n"),
    "zeros": lambda path: rewrite(path, bytes(path.stat().st_size)),
    "another program's": by_torch,
    "a foreign pickle": lambda path: rewrite(path, pickle.dumps(Evil())),
    "a foreign pickle with a digest": lambda path: write_checkpoint(path, {"own": Evil()}, IDENTITY, (10, 30)),
    "a folder": folder,
    "a folder link": lambda path: (folder(path), link(path)),
    "a link": link,
    "a link to nothing": lambda path: (path.unlink(), path.symlink_to("nowhere")),
    "a pipe": pipe,
    "other seed": lambda path: half_way(path, seed=4),
    "other learning rate": lambda path: half_way(path, lr=0.01),
    "other configuration": lambda path: half_way(path, config="1a2b3c4d"),
    "other task": lambda path: half_way(path, task=FlipFlop(bits=1, length=9)),
    "other step range": lambda path: half_way(path, steps=40),
    "wrong shapes": lambda path: half_way(path, units=4),
    "NaN weights": changed(set_nan),
    "an infinite average": changed(set_infinite_average),
    "averages of other shapes": changed(set_averages),
    "a later step": changed(lambda cut: setattr(cut, "step", 29)),
    "a step beyond the end": changed(lambda cut: setattr(cut, "step", 31)),
    "a step before the start": changed(lambda cut: setattr(cut, "step", -1)),
    "a history of later steps": changed(lambda cut: cut.rows.append([25, "train", "all", "loss", 0.1, 0.01, 1.0])),
    "parts that are missing": lambda path: write_checkpoint(
        path, {"own": {"step": 10, "rows": [], "solved": 0, "seconds": 0.0}}, trainer().identity(), (10, 30)
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def whole():
    made = trainer()
    made.fit()
    return made.model.state_dict()


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_what_cannot_be_trusted_is_set_aside(tmp_path, monkeypatch, caplog, whole, damage):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "checkpoint.pt"
    half_way(path)
    damage(path)
    again = trainer()
    with caplog.at_level("WARNING"):
        again.fit(path)
    assert all(torch.equal(value, whole[name]) for name, value in again.model.state_dict().items())
    assert again.history()["step"].min() == 10 and len(caplog.records) == 1
    said = caplog.records[0].getMessage()
    assert "the training begins anew" in said and str(path) in said and "\n" not in said
    assert len(list(tmp_path.glob("checkpoint.pt.*.untrusted"))) == 1 and not (tmp_path / "unpickled").exists()
    caplog.clear()
    last = trainer()
    last.fit(path)  # what it has written itself is trusted again
    assert last.step == 30 and "anew" not in caplog.text and read_checkpoint(path, last.identity(), 30, "cpu")


def test_what_was_refused_has_changed_nothing(tmp_path):
    path = tmp_path / "checkpoint.pt"
    changed(set_averages)(path)
    fresh, tried = trainer(), trainer()
    with pytest.raises(UntrustedError, match="averages have other shapes"):
        tried.resume(path)
    for name, part in tried._parts().items():
        assert repr(part.state_dict()) == repr(fresh._parts()[name].state_dict()), name
    assert (tried.step, tried.rows) == (0, [])


def test_a_carried_state_of_another_shape_is_not_trusted(tmp_path):
    task, path = Text(length=5, symbols=20), tmp_path / "checkpoint.pt"
    settings = {"task": task, "tbptt": 2, "steps": 4, "evaluate_every": 1}
    cut = half_way(path, **settings)
    trainer(**settings).resume(path)
    cut._state = tuple(values[:, :3] for values in cut._state)
    cut.save(path)
    with pytest.raises(UntrustedError, match="the state that it carries"):
        trainer(**settings).resume(path)


def test_a_device_is_no_part_of_a_training_and_a_copy_is_as_good(tmp_path):
    path = tmp_path / "checkpoint.pt"
    half_way(path)
    shutil.copy(path, tmp_path / "copy.pt")
    assert trainer().identity() == trainer(device="cpu:0").identity()
    again = trainer()
    again.resume(tmp_path / "copy.pt")
    assert again.step == 10
