"""`import` scores a network as it computes: on sequences of unequal lengths, from both ends, with steps skipped."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from lstm_probe.cli import main
from lstm_probe.recorder import record
from lstm_probe.runs.run import load_run
from tests.cli.commands.test_import import FAST
from tests.foreign import keras

pytestmark = pytest.mark.filterwarnings("ignore:__array__")  # Keras's own, of NumPy
LENGTHS = (4, 9, 6, 9, 5, 7) * 4


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    """Leave out the pictures, which take most of a small run's time."""
    monkeypatch.setattr("lstm_probe.cli.measuring.write_run_report", lambda run, folder: folder)


@pytest.fixture(scope="module")
def sequences():
    rng = np.random.default_rng(0)
    return [rng.normal(size=(n, 2)).astype(np.float32) for n in LENGTHS]


def table_of(sequences, outputs):
    """A table of each sequence's inputs and of what the network says of it alone."""
    rows = [
        (k, *x, y)
        for k, (xs, ys) in enumerate(zip(sequences, outputs))
        for x, y in zip(np.atleast_2d(xs).tolist(), ys.ravel().tolist())
    ]
    width = len(rows[0]) - 2
    return pd.DataFrame(rows, columns=["sequence", *[f"x_{k}" for k in range(width)], "y_out"])


def made(tmp_path, path, rows, *more):
    table = tmp_path / "data.csv"
    rows.to_csv(table, index=False)
    code = main(["import", f"path={path}", "task=table", f"task.path={table}", f"outputs={tmp_path}/out", *FAST, *more])
    if code:
        return code
    (folder,) = (tmp_path / "out" / "runs" / "table").iterdir()
    return load_run(folder)


def saved(tmp_path, *parts, shape=(None, 2)):
    k = keras()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras's own, of NumPy
        model = k.Sequential([k.Input(shape), *parts])
        rng = np.random.default_rng(1)
        model.set_weights([rng.normal(0, 0.8, w.shape).astype(np.float32) for w in model.get_weights()])
        model.save(tmp_path / "m.keras")
    return model


@pytest.mark.parametrize("layers", [1, 2])
def test_a_bidirectional_state_dict_scores_one_on_its_own_outputs(tmp_path, sequences, layers):
    torch.manual_seed(0)
    net = nn.ModuleDict({"lstm": nn.LSTM(2, 6, layers, batch_first=True, bidirectional=True), "out": nn.Linear(12, 1)})
    torch.save(net.state_dict(), tmp_path / "net.pt")
    with torch.no_grad():
        outputs = [net["out"](net["lstm"](torch.from_numpy(x[None]))[0]).numpy() for x in sequences]
    run = made(tmp_path, tmp_path / "net.pt", table_of(sequences, outputs))
    assert run.info["scores"]["y_out"] == pytest.approx(1, abs=1e-6)
    batch, shown = run.task.sample(99), run.examples
    with torch.no_grad():
        alone = [net["lstm"](x[:n].unsqueeze(0))[0][0] for x, n in zip(batch.inputs, batch.lengths)]
    rec = record(run.model, (batch.inputs, batch.lengths))
    for k, h in enumerate(alone):
        torch.testing.assert_close(rec[layers - 1, "reverse"].h[k, : len(h)], h[:, 6:])
    for x, n, out in zip(shown["inputs"], shown["lengths"], shown["outputs"]):
        with torch.no_grad():
            torch.testing.assert_close(out[:n], net["out"](net["lstm"](x[:n].unsqueeze(0))[0])[0])


@pytest.mark.parametrize(
    "what", ["both ways", "sum", "last steps", "sum of last steps", "backward", "backward, last step"]
)
def test_keras_networks_score_one_on_their_own_outputs(tmp_path, sequences, what):
    layers = keras().layers
    held = layers.LSTM(3, return_sequences="last" not in what, go_backwards="backward" in what)
    if "backward" not in what:
        held = layers.Bidirectional(held, merge_mode="sum" if "sum" in what else "concat")
    model = saved(tmp_path, held, layers.Dense(1))
    outputs = [model(x[None]).detach().numpy()[0] for x in sequences]
    outputs = [np.repeat(y, len(x)) if "last" in what else y for x, y in zip(sequences, outputs)]
    run = made(tmp_path, tmp_path / "m.keras", table_of(sequences, outputs), "measure=none")
    assert run.info["scores"]["y_out"] == pytest.approx(1, abs=1e-6)
    assert run.config["task"]["scored"] == ("last" if "last" in what else "every")


def test_targets_along_a_network_that_answers_at_the_end_are_not_scored(tmp_path, sequences, capsys):
    layers = keras().layers
    saved(tmp_path, layers.Bidirectional(layers.LSTM(3)), layers.Dense(1))
    assert (
        main(["import", f"path={tmp_path}/m.keras", "task=flipflop", "task.bits=2", f"outputs={tmp_path}/out", *FAST])
        == 0
    )
    said = " ".join(capsys.readouterr().out.split())
    assert "gives an output at the end of a sequence alone, and targets count at other steps" in said


def test_tokens_that_are_skipped(tmp_path, capsys):
    layers, rng = keras().layers, np.random.default_rng(0)
    parts = [layers.Embedding(7, 3, mask_zero=True), layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
             layers.Dense(1)]  # fmt: skip
    model = saved(tmp_path, *parts, shape=(None,))
    tokens = [rng.integers(1, 7, (n, 1)) for n in LENGTHS]
    rows = table_of(tokens, [model(x.T).detach().numpy()[0] for x in tokens])
    run = made(tmp_path, tmp_path / "m.keras", rows, "measure=none")
    assert run.info["scores"]["y_out"] == pytest.approx(1, abs=1e-6)
    rows.loc[3, "x_0"] = 0
    capsys.readouterr()
    assert made(tmp_path, tmp_path / "m.keras", rows, "measure=none") == 2
    assert "the token is 0 at some step; the network skips such steps: leave them out." in capsys.readouterr().err


def test_a_seeded_decoder_is_not_scored(tmp_path, sequences, capsys):
    k = keras()
    x, y = k.Input((None, 2)), k.Input((None, 2))
    _, h, c = k.layers.LSTM(3, return_state=True)(x)
    out = k.layers.LSTM(3, return_sequences=True, name="decoder")(y, initial_state=[h, c])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        k.Model([x, y], k.layers.Dense(1)(out)).save(tmp_path / "m.keras")
    rows = table_of(sequences, [np.cumsum(x[:, 0]) for x in sequences])
    run = made(tmp_path, tmp_path / "m.keras", rows, "layer=decoder")
    assert run.info["scores"] == {} and "receives its initial state" in run.info["not_scored"]
    assert "Not scored" in " ".join(capsys.readouterr().out.split())


def test_a_readout_is_named_and_a_function_said(tmp_path, capsys):
    layers = keras().layers
    model = saved(tmp_path, layers.LSTM(3, return_sequences=True), layers.Dense(2, name="head"))
    model.save_weights(tmp_path / "m.weights.h5")
    path = [f"path={tmp_path}/m.weights.h5", f"outputs={tmp_path}/out"]
    assert main(["import", *path]) == 0
    assert "no readout taken" in capsys.readouterr().out
    assert main(["import", *path, "readout=head", "recurrent_activation=sigmoid"]) == 0
    assert "2 outputs" in capsys.readouterr().out
    assert main(["import", *path, "readout=other"]) == 2
    assert "readout=other: is no Dense" in capsys.readouterr().err
    assert main(["import", *path, "recurrent_activation=hard_sigmoid"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "hard_sigmoid is that of Keras 3.0: x / 6 + 0.5" in said and "GatedRNN(cell='lstm+gates:hard_" in said
    assert main(["import", *path, "recurrent_activation=hard"]) == 2
    assert "recurrent_activation=hard: must be one of sigmoid, hard_sigmoid, tanh" in capsys.readouterr().err


def test_of_a_backward_layer_it_is_said_how_pytorch_runs_it(tmp_path, capsys):
    saved(tmp_path, keras().layers.LSTM(3, return_sequences=True, go_backwards=True))
    assert main(["import", f"path={tmp_path}/m.keras", f"outputs={tmp_path}/out"]) == 0
    assert "give an nn.LSTM the steps in reverse order" in " ".join(capsys.readouterr().out.split())
