"""`import`: networks of other frameworks become runs that everything works on."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from lstm_probe.causal import ablate_units
from lstm_probe.cli import main
from lstm_probe.core.columns import ABLATION_COLUMNS
from lstm_probe.formats import load_weights
from lstm_probe.runs.analyses import ANALYSES
from lstm_probe.runs.run import RUN_FILES, load_run
from tests.foreign import keras

TABLE_FILES = {analysis.file for analysis in ANALYSES.values() if analysis.default}

FAST = [
    "probe.sequences=40", "probe.permutations=99", "probe.bootstrap=20", "probe.untrained=1", "probe.variables=[c,h]",
    "ablate.sequences=32", "ablate.bootstrap=20",
]  # fmt: skip


def rows_of(x, **columns):
    """A table of inputs (sequence, time, 2) and of columns (sequence, time)."""
    n, steps = x.shape[:2]
    table = {"sequence": np.repeat(np.arange(n), steps), "time": np.tile(np.arange(steps), n)}
    table |= {f"x_{k}": x[..., k].ravel() for k in range(x.shape[2])}
    return pd.DataFrame(table | {name: values.ravel() for name, values in columns.items()})


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(0).normal(size=(40, 7, 2)).astype(np.float32)


@pytest.fixture(scope="module")
def files(tmp_path_factory, x):
    """Keras models of several shapes, saved by Keras itself, and what they say of x."""
    k, folder = keras(), tmp_path_factory.mktemp("keras")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras's own, of NumPy
        layers = k.layers
        k.utils.set_random_seed(1)

        def saved(name, *parts, shape=(None, 2)):
            model = k.Sequential([k.Input(shape), *parts])
            model.save(folder / f"{name}.keras")
            return model

        def lstm(units=4, **more):
            return layers.LSTM(units, return_sequences=True, **more)

        models = {
            "linear": saved("linear", lstm(), layers.Dense(1)),
            "squashed": saved("squashed", lstm(), layers.Dense(1, activation="tanh")),
            "yes": saved("yes", lstm(), layers.Dense(1, activation="sigmoid")),
            "softmax": saved("softmax", lstm(), layers.Dense(3, activation="softmax")),
            "last": saved("last", layers.LSTM(4), layers.Dense(1)),
            "bare": saved("bare", lstm()),
            "both": saved("both", layers.Bidirectional(lstm(3)), layers.Dense(1)),
        }
        saved("tokens", layers.Embedding(5, 3), lstm(), layers.Dense(1), shape=(None,))
        return folder, {name: model(x).detach().cpu().numpy() for name, model in models.items()}


@pytest.fixture
def undrawn(monkeypatch):
    """Leave out the pictures, which take most of a small run's time."""
    monkeypatch.setattr("lstm_probe.cli.measuring.write_run_report", lambda run, folder: folder)


def made(tmp_path, path, rows, *more):
    """Import a file with a table, quickly, and return the run."""
    table = tmp_path / "data.csv"
    rows.to_csv(table, index=False)
    code = main(["import", f"path={path}", "task=table", f"task.path={table}", f"outputs={tmp_path}/out", *FAST, *more])
    assert code == 0
    (folder,) = (tmp_path / "out" / "runs" / "table").iterdir()
    return load_run(folder)


def test_a_keras_file_and_a_table_become_a_run(files, x, tmp_path, capsys):
    folder, says = files
    run = made(tmp_path, folder / "linear.keras", rows_of(x, y=says["linear"][..., 0], signal_sum=x.sum(2).cumsum(1)))
    said = capsys.readouterr()
    assert "4 units; 2 inputs; 1 output" in said.out and "Learned: its one target solved" in said.out
    assert "40 sequences of 7 steps; all are used for measuring" in said.err
    assert run.info["scores"]["y"] == pytest.approx(1, abs=1e-6) and run.info["solved"]
    assert {path.name for path in run.path.iterdir()} == {*RUN_FILES, *TABLE_FILES, "report.html", "figures"}
    assert not list((run.path / "figures").glob("learning*"))
    with torch.no_grad():
        own = run.model(torch.from_numpy(x))
    np.testing.assert_allclose(own.numpy(), says["linear"], atol=1e-5)
    batch = run.task.sample(999)
    assert batch.inputs.shape == (40, 7, 2) and set(run.probes["signal"]) == {"y", "signal_sum", "step"}
    effects = ablate_units(run.model, batch, bootstrap=0).set_index("unit")["score_drop"]
    assert np.allclose(run.ablations.groupby("unit")["intact"].first(), 1) and len(effects) == 4
    settings = [f"run={run.path}", "seed=1"]
    assert main(["probe", *settings, *[s for s in FAST if s.startswith("probe")]]) == 0
    assert main(["ablate", *settings, *[s for s in FAST if s.startswith("ablate")]]) == 0
    assert main(["report", f"outputs={tmp_path}/out"]) == 0 and main(["runs", f"outputs={tmp_path}/out"]) == 0
    assert "4 units of linear.keras" in (tmp_path / "out" / "report" / "index.html").read_text()
    again = ["task=table", f"task.path={tmp_path}/data.csv", f"outputs={tmp_path}/out", *FAST]
    assert main(["import", f"path={folder}/linear.keras", *again]) == 0
    assert "is there already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("squashed", lambda says: says[..., 0]),  # numbers: compared with what is behind the tanh
        ("yes", lambda says: (says[..., 0] > np.median(says)).astype(int)),
        ("softmax", lambda says: says.argmax(-1)),
        ("last", lambda says: np.repeat(says, 7, axis=1)),
    ],
)
def test_scores_are_those_of_the_foreign_network(files, x, tmp_path, undrawn, name, column):
    folder, says = files
    truth = column(says[name])
    run = made(tmp_path, folder / f"{name}.keras", rows_of(x, y=truth))
    share = (says[name][..., 0] > 0.5) == truth if name == "yes" else 1
    expected = 1.0
    if name == "yes":
        chance = max(truth.mean(), 1 - truth.mean())
        expected = max(0, (np.mean(share) - chance) / (1 - chance))
    assert run.info["scores"]["y"] == pytest.approx(expected, abs=1e-5)
    assert run.config["task"]["scored"] == ("last" if name == "last" else "every")
    assert len(run.ablations) == 4


@pytest.mark.parametrize(
    ("name", "column", "scored", "why"),
    [("bare", "y", False, "no readout was taken, as what reads the LSTM is nothing"),
     ("softmax", "y", False, "3 outputs, and the targets (y) need 1"),
     ("linear", "signal_y", False, "there are no targets")],
)  # fmt: skip
def test_what_cannot_be_measured_is_said(files, x, tmp_path, capsys, name, column, scored, why):
    run = made(tmp_path, files[0] / f"{name}.keras", rows_of(x, **{column: x.sum(2).cumsum(1)}))
    said = " ".join(capsys.readouterr().out.split())
    assert why in said and ("Not scored" in said) != scored
    assert run.ablations.empty and list(run.ablations.columns) == list(ABLATION_COLUMNS)
    assert bool(run.info["scores"]) == scored and why in run.info["not_ablated"]
    assert set(run.probes["direction"]) == {"forward"}
    assert why in " ".join((run.path / "report.html").read_text().split())
    assert "idle" not in said
    assert main(["ablate", f"run={run.path}", "ablate.mode=zero"]) == 2
    assert why in capsys.readouterr().err
    assert main(["dynamics", f"run={run.path}", "dynamics.analyses=[timescales,erasure]"]) == 0
    said = capsys.readouterr()
    assert "how long each unit's memory lasts" in said.out
    assert f"erasure: not measured: {run.info['not_ablated']}" in " ".join(said.err.split())
    assert main(["runs", f"outputs={tmp_path}/out"]) == 0


def test_both_directions_are_probed_and_clamped(files, x, tmp_path, undrawn, capsys):
    run = made(tmp_path, files[0] / "both.keras", rows_of(x, y=files[1]["both"][..., 0]))
    assert run.info["scores"]["y"] == pytest.approx(1, abs=1e-5) and "not_ablated" not in run.info
    for table in (run.probes, run.ablations):
        assert set(table["direction"]) == {"forward", "reverse"}
    assert (run.ablations["intact"] > 0.999).all() and (run.ablations["score_drop"] > 0).any()
    # What no state has that is read from both ends does not take the rest away.
    assert main(["dynamics", f"run={run.path}", "dynamics.analyses=[timescales,fixed_points]"]) == 0
    said = capsys.readouterr()
    assert "how long each unit's memory lasts" in said.out
    assert "fixed_points: not measured: fixed points: the layer is bidirectional" in " ".join(said.err.split())


def test_tokens(files, tmp_path, undrawn):
    tokens = np.random.default_rng(1).integers(0, 5, (40, 7, 1))
    run = made(tmp_path, files[0] / "tokens.keras", rows_of(tokens, y=tokens[..., 0] * 0.5))
    network = load_weights(files[0] / "tokens.keras").model
    examples = run.examples
    with torch.no_grad():
        own = network(examples["inputs"][..., 0].long())
    torch.testing.assert_close(examples["outputs"], own)


def test_a_table_that_is_gone_or_has_changed(files, x, tmp_path, capsys):
    folder, says = files
    rows = rows_of(x, y=says["linear"][..., 0])
    run = made(tmp_path, folder / "linear.keras", rows)
    table = tmp_path / "data.csv"
    rows.assign(y=0.5 * rows["y"]).to_csv(table, index=False)
    capsys.readouterr()
    assert main(["probe", f"run={run.path}", "probe.lags=[1]"]) == 2
    assert "has changed" in capsys.readouterr().err
    table.unlink()
    assert main(["probe", f"run={run.path}", "probe.lags=[1]"]) == 2
    assert "no such file" in capsys.readouterr().err
    assert main(["report", f"outputs={tmp_path}/out"]) == 0


def test_other_files_and_built_in_tasks(tmp_path, capsys, undrawn):
    lstm, readout = nn.LSTM(2, 5, 2, batch_first=True).double(), nn.Linear(5, 2).double()
    weights = {f"rnn.{k}": v for k, v in lstm.state_dict().items()} | {
        f"head.{k}": v for k, v in readout.state_dict().items()
    }
    save_file(weights, tmp_path / "w.safetensors")
    task = ["task=flipflop", "task.bits=2", "task.length=12"]
    where = [f"path={tmp_path}/w.safetensors", f"outputs={tmp_path}/out"]
    assert main(["import", *where, *task, "name=mine", *FAST]) == 0
    (folder,) = (tmp_path / "out" / "runs" / "flipflop").iterdir()
    run = load_run(folder)
    assert folder.name.startswith("mine-u5-s0-") and run.info["layers"] == 2
    x = torch.randn(3, 4, 2).double()
    with torch.no_grad():
        torch.testing.assert_close(run.model(x), readout(lstm(x)[0]))
    capsys.readouterr()
    assert main(["import", *where, "task=tracking"]) == 2
    assert "has 7 inputs (up, down, set, reset, flip, tick, noise); the network reads 2." in capsys.readouterr().err


def test_without_a_task_the_weights_are_written_and_the_next_step_is_said(files, tmp_path, capsys):
    path = files[0] / "linear.keras"
    assert main(["import", f"path={path}", f"outputs={tmp_path}/out"]) == 0
    said = capsys.readouterr().out
    assert "4 units; 2 inputs; 1 output" in said and f"import path={path} task=table task.path=data.csv" in said
    written = tmp_path / "out" / "imported" / "linear.safetensors"
    network = load_weights(path)
    for name, values in network.lstm.state_dict().items():
        assert torch.equal(load_file(written)[f"lstm.{name}"], values)
    again = load_weights(written)
    assert torch.equal(again.lstm.weight_hh_l0, network.lstm.weight_hh_l0)
    assert again.readout is not None and not (tmp_path / "out" / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "path: a value is missing"),
        (["path=nothing.keras"], "path=nothing.keras: no such file"),
        (["path=a", "task.path=data.csv"], "for which task?"),
        (["path=a", "task=tabel"], "Did you mean 'table'?"),
        (["path=a", "task=table", "task.path=gone.csv"], "no such file"),
        (["path=a", "name=a/b"], "name=a/b: must be"),
        (["path=a", "units=4"], "units=4: no such key"),
    ],
)
def test_bad_input(tmp_path, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(tmp_path)
    assert main(["import", *arguments]) == 2
    shown = capsys.readouterr().err
    assert said in shown and "Traceback" not in shown and len(shown.splitlines()) <= 2
    assert not list(tmp_path.iterdir())


def test_the_run_tells_where_it_came_from(files, x, tmp_path, undrawn):
    folder, says = files
    run = made(tmp_path, folder / "linear.keras", rows_of(x, y=says["linear"][..., 0]))
    info = json.loads((run.path / "run.json").read_text())
    assert info["source"].startswith("linear.keras, Keras 3") and any("bias" in note for note in info["imported"])
    assert run.config["path"] == str(folder / "linear.keras") and len(run.config["content"]) == 64
    assert run.config["imported"]["units"] == run.config["units"] == 4
