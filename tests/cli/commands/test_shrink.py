"""`shrink`: a run becomes one with fewer units, on which everything works; imported ones too."""

import html
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import lstm_probe as lp
from lstm_probe.cli import main
from lstm_probe.findings.words import shrunk_words
from lstm_probe.network.training import evaluate
from lstm_probe.report import write_report, write_run_report
from lstm_probe.runs.run import RUN_FILES, Run, load_run
from lstm_probe.sizing.sweeps import experiments
from tests.foreign import keras

TRAINED = ["task=flipflop", "task.bits=2", "task.length=16", "units=8", "steps=300", "test_sequences=256",
           "probe.sequences=60", "probe.permutations=99", "probe.bootstrap=20", "probe.untrained=1",
           "probe.variables=[c,h]", "ablate.sequences=40", "ablate.bootstrap=20", "measure=none"]  # fmt: skip


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the pictures, which take most of a small run's time."""
    monkeypatch.setattr("lstm_probe.cli.measuring.write_run_report", lambda run, folder: folder)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Run:
    outputs = tmp_path_factory.mktemp("outputs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lstm_probe.cli.measuring.write_run_report", lambda run, folder: folder)
        assert main(["train", *TRAINED, f"outputs={outputs}"]) == 0
    (folder,) = (outputs / "runs" / "flipflop").iterdir()
    return load_run(folder)


def shrink(run: Run, outputs: Path, *settings: str) -> list[Path]:
    """Make a run smaller; return the folders of all runs in a store."""
    assert main(["shrink", f"run={run.path}", f"outputs={outputs}", "sequences=128", *settings]) == 0
    return sorted((outputs / "runs" / run.info["task"]).glob("*"))


def page_of(run: Run, folder: Path) -> str:
    """Return a run's page as plain text."""
    return html.unescape(write_run_report(run, folder / "page").read_text())


def test_a_smaller_run_is_a_run(large: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder,) = shrink(large, tmp_path, "measure=none")
    said, run = capsys.readouterr().out, load_run(folder)
    units = run.info["units"]
    assert re.fullmatch(rf"shrunk-u{units}-s0-[0-9a-f]{{8}}", folder.name) and 2 <= units <= 5
    assert {path.name for path in folder.iterdir()} == {*RUN_FILES, "shrink.parquet"}
    assert run.model.lstm.hidden_size == units and not run.trained and large.trained
    fresh = run.task.sample(512, seed=77)
    before, now = evaluate(large.model, fresh), evaluate(run.model, fresh)
    assert min(now[name] / before[name] for name in before) >= 0.985
    about = run.info["shrunk"]
    assert about["run"] == large.name and about["scores_before"] == pytest.approx(large.info["scores"], abs=1e-6)
    assert len(about["kept"]["0.forward"]) == units
    assert f"{large.name} has 8 units, now {units}." in said
    assert "Cut exactly, so that no output changes: none." in said and f"{units} with the others merged" in said
    assert all(line in page_of(run, tmp_path) for line in shrunk_words(run.info))
    assert f"export run={folder}" in said
    table = pd.read_parquet(folder / "shrink.parquet")
    share = table[(table["stage"] == "merged") & (table["sequences"] == "check")]["share"].min()
    assert min(run.info["scores"][k] / v for k, v in about["scores_before"].items()) == pytest.approx(share, abs=1e-6)


def test_the_same_command_finds_it_and_another_does_not(
    large: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder,) = shrink(large, tmp_path, "measure=none")
    capsys.readouterr()
    assert shrink(large, tmp_path, "measure=none") == [folder]
    assert "is there already" in capsys.readouterr().err
    before = (folder / "model.safetensors").read_bytes()
    assert shrink(large, tmp_path, "measure=none", "force=true") == [folder]
    assert (folder / "model.safetensors").read_bytes() == before
    assert len(shrink(large, tmp_path, "measure=none", "units=2")) == 2


def test_everything_works_on_it(large: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder,) = shrink(large, tmp_path, "units=3")
    run = load_run(folder)
    assert set(run.probes["unit"]) == {0, 1, 2} == set(run.ablations["unit"])
    assert main(["probe", f"run={folder}", "probe.sequences=40", "probe.permutations=99", "probe.bootstrap=20",
                 "probe.untrained=1", "probe.analyses=[probes]"]) == 0  # fmt: skip
    assert main(["runs", "check=true", f"outputs={tmp_path}"]) == 0
    assert main(["export", f"run={folder}", "format=pytorch", f"path={tmp_path}/small.pt"]) == 0
    with torch.no_grad():
        x = run.task.sample(4).inputs
        made = lp.load_weights(tmp_path / "small.pt").model(x)
        assert torch.allclose(made, run.model(x), atol=1e-6)
    capsys.readouterr()
    (again,) = [path for path in shrink(run, tmp_path, "units=2", "measure=none") if "-u2-" in path.name]
    assert load_run(again).info["shrunk"]["run"] == folder.name


def test_a_file_is_written_beside_it(large: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder,) = shrink(large, tmp_path, "measure=none", "format=pytorch")
    small, said = load_run(folder), capsys.readouterr().out
    state = torch.load(tmp_path / "exports" / f"{folder.name}.pt", weights_only=True)
    assert any(torch.equal(value, small.model.readout.weight) for value in state.values())
    assert f"{folder.name}.pt" in said and "lstm-probe export" not in said


def test_a_sweep_counts_only_what_was_trained(large: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder,) = shrink(large, tmp_path, "units=2", "measure=none")
    seen: list[str] = []

    def capacity(runs: list[Run]) -> pd.DataFrame:
        seen.extend(run.name for own in experiments(runs).values() for run in own)
        raise RuntimeError

    monkeypatch.setattr("lstm_probe.report.sweep_page.capacity_table", capacity)
    with pytest.raises(RuntimeError):
        write_report([large, load_run(folder)], tmp_path)
    assert seen == [large.name]


def test_it_is_trained_on_demand(large: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder,) = shrink(large, tmp_path, "units=2", "tune=200", "measure=none")
    assert 0 < load_run(folder).info["steps_done"] <= 200
    assert "updates, all attempts counted: " in capsys.readouterr().out


def test_an_imported_keras_file_with_a_table(large: Run, tmp_path: Path) -> None:
    keras()
    lp.export(large.model, tmp_path / "model.keras", format="keras")
    batch = large.task.sample(64, seed=5)
    n, steps = batch.inputs.shape[:2]
    rows = {"sequence": np.repeat(np.arange(n), steps)}
    rows |= {f"x_{k}": batch.inputs[..., k].flatten().numpy() for k in range(2)}
    for name, values in batch.targets.items():
        rows |= {f"y_{name}": values.flatten().numpy()}
    pd.DataFrame(rows).to_csv(tmp_path / "data.csv", index=False)
    assert main(["import", f"path={tmp_path}/model.keras", "task=table", f"task.path={tmp_path}/data.csv",
                 "measure=none", f"outputs={tmp_path}"]) == 0  # fmt: skip
    (folder,) = (tmp_path / "runs" / "table").iterdir()
    imported = load_run(folder)
    small = load_run(next(path for path in shrink(imported, tmp_path, "tune=200", "measure=none")
                          if path.name.startswith("shrunk")))  # fmt: skip
    assert small.info["units"] < 8 and small.info["learned"] == imported.info["learned"]
    fresh = large.task.sample(256, seed=6)
    specs = {name.removeprefix("y_"): score for name, score in small.info["scores"].items()}
    assert set(specs) == set(evaluate(large.model, fresh))
    with torch.no_grad():
        before, now = (fresh.scores(model(fresh.inputs)) for model in (large.model, small.model))
    assert min(now[name] / before[name] for name in before) >= 0.97


def test_of_a_run_that_is_not_scored_the_outputs_are_kept(large: Run, tmp_path: Path) -> None:
    keras()
    lp.export(large.model, tmp_path / "model.keras", format="keras")
    x = large.task.sample(64, seed=5).inputs
    rows = {"sequence": np.repeat(np.arange(64), 16), **{f"x_{k}": x[..., k].flatten().numpy() for k in range(2)}}
    pd.DataFrame({**rows, "signal_a": rows["x_0"]}).to_csv(tmp_path / "data.csv", index=False)
    assert main(["import", f"path={tmp_path}/model.keras", "task=table", f"task.path={tmp_path}/data.csv",
                 "measure=none", f"outputs={tmp_path}"]) == 0  # fmt: skip
    (folder,) = (tmp_path / "runs" / "table").iterdir()
    small = load_run(next(path for path in shrink(load_run(folder), tmp_path, "measure=none")
                          if path.name.startswith("shrunk")))  # fmt: skip
    assert small.info["scores"] == {} and "not_scored" in small.info and small.info["units"] < 8
    assert any("of the variance of the output that changes most is kept" in line for line in shrunk_words(small.info))
    fresh = large.task.sample(256, seed=6).inputs
    with torch.no_grad():
        before, now = large.model(fresh), small.model(fresh)
    assert float(((now - before).square().mean((0, 1)) / before.flatten(0, 1).var(0)).max()) <= 0.03


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["keep=1"], "keep=1: must be a number from 0.01 to 0.9999"),
        (["units=0"], "units=0: must be a whole number from 1"),
        (["units=8"], "units=8: must be below 8, which is what u8-s0-"),
        (["tune=-1"], "tune=-1: must be a whole number from 0"),
        (["sequences=15"], "sequences=15: must be a whole number from 16"),
    ],
)
def test_bad_input(
    large: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], settings: list[str], said: str
) -> None:
    assert main(["shrink", f"run={large.path}", f"outputs={tmp_path}/out", *settings]) == 2
    assert said in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_run_that_did_not_learn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", *[s for s in TRAINED if not s.startswith("steps")], "steps=1", f"outputs={tmp_path}"]) == 0
    (folder,) = (tmp_path / "runs" / "flipflop").iterdir()
    assert main(["shrink", f"run={folder}", f"outputs={tmp_path}/out"]) == 2
    assert "targets: none was learned" in capsys.readouterr().err and not (tmp_path / "out").exists()
