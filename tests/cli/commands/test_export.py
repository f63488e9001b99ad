"""`export`: a run's network as a file that runs elsewhere, or one short message and nothing."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from lstm_probe.cli import main
from lstm_probe.formats.write import checked
from lstm_probe.runs.run import load_run

RUN = Path(__file__).parents[2] / "data" / "schema1" / "flipflop" / "u2-s0-ac626909"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Every test runs in an empty folder, which it may look at afterwards."""
    monkeypatch.chdir(tmp_path)


def everything():
    return sorted(str(path) for path in Path().rglob("*"))


def told(capsys):
    """What was said on standard output, each run of spaces as one."""
    return " ".join(capsys.readouterr().out.split())


def test_a_run_for_onnxruntime_by_its_name(capsys):
    onnxruntime = pytest.importorskip("onnxruntime")
    assert main(["export", f"run={RUN}", "format=onnx"]) == 0
    said = told(capsys)
    assert f"{RUN.name}, for onnx: outputs/exports/{RUN.name}.onnx Outputs agree to " in said
    assert "Inputs, in this order: pulse0, pulse1. Outputs, in this order: bit0, bit1." in said
    run = load_run(RUN)
    x = run.task.sample(5, seed=9).inputs
    session = onnxruntime.InferenceSession(f"outputs/exports/{RUN.name}.onnx", providers=["CPUExecutionProvider"])
    with torch.no_grad():
        np.testing.assert_allclose(session.run(["outputs"], {"inputs": x.numpy()})[0], run.model(x), atol=1e-5)
    assert everything() == ["outputs", "outputs/exports", f"outputs/exports/{RUN.name}.onnx"]


def test_a_run_for_pytorch_under_a_name_of_the_users(capsys):
    assert main(["export", f"run={RUN}", "path=take home.pt"]) == 0
    said = told(capsys)
    assert "take home.pt, and take_home.py beside it, whose load() returns the module Outputs are the same: " in said
    assert everything() == ["take home.pt", "take_home.py"]
    assert torch.load("take home.pt", weights_only=True)["lstm.weight_hh_l0"].shape == (8, 2)


def test_an_imported_run_says_what_its_outputs_are(capsys, monkeypatch):
    """Classes are scored without what the file applies to its outputs, which would else be thought to be there."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr("lstm_probe.cli.measuring.write_run_report", lambda run, folder: folder)  # takes long
    torch.manual_seed(0)
    lstm, head = nn.LSTM(2, 3, batch_first=True, bidirectional=True), nn.Linear(6, 3)
    weights = {f"{name}.{k}": w for name, part in (("rnn", lstm), ("head", head)) for k, w in part.named_parameters()}
    save_file({name: w.detach() for name, w in weights.items()}, "m.safetensors")
    rows = [[n, *np.random.default_rng([n, t]).normal(size=2), "abc"[(n + t) % 3]] for n in range(20) for t in range(5)]
    pd.DataFrame(rows, columns=["sequence", "x_a", "x_b", "y_c"]).to_csv("data.csv", index=False)
    line = ["task=table", "task.path=data.csv", "measure=none", "outputs=o"]
    assert main(["import", "path=m.safetensors", *line]) == 0
    (run,) = Path("o/runs/table").iterdir()
    there = everything()
    capsys.readouterr()
    assert main(["export", f"run={run}", "format=onnx", "outputs=o"]) == 0
    said = told(capsys)
    assert "Inputs, in this order: x_a, x_b. Outputs, in this order: y_c (3) as logits." in said
    assert "as logits. Outputs y_c, counted from 0: a (0), b (1), c (2)." in said
    assert "Input x_a is given as" not in said  # an imported network is given the numbers as they are
    assert "When it was imported from m.safetensors, " in said and "readout head: the only layer behind" in said
    assert {*everything()} - {*there} == {"o/exports", f"o/exports/{run.name}.onnx"}
    assert load_run(run).check() is None


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("run=nowhere format=onnx", "run=nowhere: no such folder"),
        ("format=onnx", "run: a value is missing"),
        ("run={RUN}", "format: a value is missing; it must be one of pytorch, keras, onnx."),
        ("run={RUN} path=m.tf", "path=m.tf: does not say what it is for; format: a value is missing"),
        ("run={RUN} format=onxx", "format=onxx: must be one of pytorch, keras, onnx or null"),
        ("run={RUN} format=keras path=m.onnx", "path=m.onnx: must end in .keras for format=keras."),
        ("run=. format=onnx", "run=.: no run (it has no run.json)"),
        ("run={RUN} format=onnx path=no/m.onnx", "path=no/m.onnx: cannot be written (no such folder)"),
        ("run={RUN} format=onnx path={RUN}/m.onnx", "is in the run's own folder, which stays as it was made"),
        ("run={RUN} format=onnx outputs=file/o", "outputs=file/o/exports: "),
    ],
)
def test_bad_input_is_answered_shortly_and_nothing_is_left(capsys, line, words):
    pytest.importorskip("onnx")
    Path("file").touch()
    assert main(["export", *line.format(RUN=RUN).split()]) == 2
    said = capsys.readouterr().err.splitlines()
    assert any(words in one for one in said) and len([one for one in said if "earlier version" not in one]) == 1
    assert everything() == ["file"] and not (RUN / "m.onnx").exists()


def test_a_run_that_is_damaged_or_not_finished(capsys):
    shutil.copytree(RUN, RUN.name)
    Path(RUN.name, "model.safetensors").write_bytes(b"x")
    assert main(["export", f"run={RUN.name}", "format=pytorch"]) == 2
    assert f"{RUN.name}/model.safetensors: damaged" in capsys.readouterr().err
    info = Path(RUN.name, "run.json")
    info.write_text(info.read_text().replace('"finished"', '"running"', 1))
    assert main(["export", f"run={RUN.name}", "format=pytorch"]) == 2
    assert "not finished (status running)" in capsys.readouterr().err
    assert not Path("outputs").exists()


def test_outputs_that_differ_leave_nothing(capsys, monkeypatch):
    pytest.importorskip("onnx")
    run = checked._run

    def off(*given):
        said, made = run(*given)
        return said, {name: array * (1 + 2e-5) for name, array in made.items()}

    monkeypatch.setattr(checked, "_run", off)
    assert main(["export", f"run={RUN}", "format=onnx"]) == 2
    assert "differ from the network's own by 2.0e-05 of the largest (at most 1e-05)" in capsys.readouterr().err
    assert not everything()
