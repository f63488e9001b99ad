"""`import` of other cells than LSTMs: from a file and a CSV to a scored run."""

import numpy as np
import pandas as pd
import pytest
import torch

from lstm_probe.cells import GatedRNN, cell_of
from lstm_probe.cli import main
from lstm_probe.cli.commands.import_ import outputs_of
from lstm_probe.core.errors import InputError
from lstm_probe.formats import load_weights
from lstm_probe.formats.imported import ACTIVATIONS
from lstm_probe.recorder import record
from lstm_probe.runs.run import load_run
from lstm_probe.tasks import get_task
from tests.cli.commands.test_import import FAST
from tests.foreign import keras
from tests.formats.read.test_keras_old_cells import gru_loop, hard, write

N, T, U = 40, 8, 4


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    """Leave out the pictures, which take most of a small run's time."""
    monkeypatch.setattr("lstm_probe.cli.measuring.write_run_report", lambda run, folder: folder)


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(N, T, 2)).astype("f4")


def table(path, x, **columns):
    rows = {"sequence": np.repeat(np.arange(len(x)), x.shape[1]), "x_a": x[..., 0].ravel(), "x_b": x[..., 1].ravel()}
    pd.DataFrame(rows | {name: values.ravel() for name, values in columns.items()}).to_csv(path, index=False)
    return path


def imported(tmp_path, file, rows):
    key = [f"path={file}", "task=table", f"task.path={rows}", f"outputs={tmp_path}/out"]
    assert main(["import", *key, *FAST]) == 0
    (folder,) = (tmp_path / "out" / "runs" / "table").iterdir()
    return load_run(folder)


def lstm_loop(x, kernel, recurrent, bias):
    """h and c of Keras 2.2's LSTM with its hard sigmoid, in float64; blocks i f c o."""
    h = c = np.zeros((len(x), len(recurrent)))
    out = []
    for t in range(x.shape[1]):
        i, f, g, o = np.split(x[:, t] @ kernel + h @ recurrent + bias, 4, axis=1)
        c = hard(f) * c + hard(i) * np.tanh(g)
        h = hard(o) * np.tanh(c)
        out.append((h, c))
    return (np.stack(each, axis=1) for each in zip(*out))


def test_an_lstm_of_keras_2_2_becomes_a_run(tmp_path, x, capsys):
    rng = np.random.default_rng(1)
    arrays = [rng.normal(size=shape).astype("f4").astype(float) for shape in ((2, 4 * U), (U, 4 * U), (4 * U,))]
    head = [rng.normal(size=(U, 1)).astype("f4").astype(float), np.zeros(1)]
    config = {"units": U, "activation": "tanh", "recurrent_activation": "hard_sigmoid", "use_bias": True,
              "unit_forget_bias": True, "return_sequences": True, "go_backwards": False}  # fmt: skip
    file = write(tmp_path / "m.h5", "LSTM", arrays, config, head=head, activation="linear")
    h, c = lstm_loop(x, *arrays)
    run = imported(tmp_path, file, table(tmp_path / "data.csv", x, y_out=h @ head[0], signal_held=c[..., 0]))
    assert run.info["scores"]["y_out"] == pytest.approx(1, abs=1e-6)
    assert cell_of(run.model.lstm).name == "lstm+gates:hard_sigmoid"
    with torch.no_grad():
        rec = record(run.model.lstm, torch.from_numpy(x))
    np.testing.assert_allclose(rec.h.numpy(), h, atol=1e-5)
    np.testing.assert_allclose(rec.c.numpy(), c, atol=1e-5)
    probes = run.probes.query("variable == 'c' and signal == 'signal_held' and unit == 0")
    assert probes["score"].max() > 0.999
    assert "hard_sigmoid is that of Keras 2.2.4: 0.2 x + 0.5" in " ".join(capsys.readouterr().out.split())


def test_a_gru_classifier_is_scored_on_its_own_classes(tmp_path, x):
    rng = np.random.default_rng(1)
    arrays = [rng.normal(size=shape).astype("f4").astype(float) for shape in ((2, 3 * U), (U, 3 * U), (2, 3 * U))]
    head = [rng.normal(size=(U, 3)).astype("f4").astype(float), np.zeros(3)]
    config = {"units": U, "activation": "tanh", "recurrent_activation": "hard_sigmoid", "reset_after": True,
              "return_sequences": False}  # fmt: skip
    file = write(tmp_path / "m.h5", "GRU", arrays, config, head=head)
    says = (gru_loop(x, *arrays, hard, True) @ head[0]).argmax(-1)
    classes = np.full((N, T), "", dtype=object)
    classes[:, -1] = np.array([*"abc"], dtype=object)[says[:, -1]]
    rows = table(tmp_path / "data.csv", x, y_class=classes)
    got = load_weights(file)
    task = get_task("table", path=str(rows)).for_network(3, got.last_step)
    assert outputs_of(got, task) == (None, None)
    batch = task.sample(N)
    with torch.no_grad():
        ours = got.model(batch.inputs)[:, -1].argmax(-1)
    assert (ours == batch.targets["y_class"][:, -1].long().squeeze(-1)).all()


FUNCTIONS = {"gelu": torch.nn.functional.gelu, **ACTIVATIONS}


@pytest.mark.parametrize("activation", FUNCTIONS)
def test_classes_are_scored_before_a_function_only_where_they_are_the_same_behind_it(tmp_path, x, activation):
    rng = np.random.default_rng(1)
    arrays = [rng.normal(size=shape).astype("f4") for shape in ((2, 3 * U), (U, 3 * U), (2, 3 * U))]
    config = {"units": U, "recurrent_activation": "sigmoid", "reset_after": True, "return_sequences": True}
    classes = np.array([*"abc"], dtype=object)[rng.integers(0, 3, (N, T))]
    before = torch.from_numpy(rng.normal(size=(500, 3)))
    behind = FUNCTIONS[activation](before)
    same = {3: bool((behind.argmax(-1) == before.argmax(-1)).all())}
    middle = 0.5 if activation == "sigmoid" else 0.0
    same[1] = activation != "softmax" and bool(((behind > middle) == (before > 0)).all() and (behind < middle).any())
    for n, y in ((3, classes), (1, rng.integers(0, 2, (N, T)))):
        head = [rng.normal(size=(U, n)).astype("f4"), np.zeros(n, "f4")]
        got = load_weights(write(tmp_path / "m.h5", "GRU", arrays, config, head=head, activation=activation))
        task = get_task("table", path=str(table(tmp_path / "data.csv", x, y_class=y))).for_network(n, False)
        why = f"its outputs go through {activation}, and what goes into it does not tell which class they say"
        if {target.loss for target in task.targets} & {"class", "binary"}:
            # What is not known here, such as gelu, is not trusted with a sign either.
            assert outputs_of(got, task) == ((None if same[n] and activation in ACTIVATIONS else why), None)


@pytest.mark.filterwarnings("ignore:__array__")  # Keras's own, of NumPy
@pytest.mark.parametrize("kind", ["GRU", "SimpleRNN"])
@pytest.mark.parametrize("backward", [False, True])
def test_weights_alone_say_what_they_are_of(tmp_path, capsys, kind, backward):
    k = keras()
    own = {"recurrent_activation": "softsign"} if kind == "GRU" else {"activation": "relu"}
    model = k.Sequential([k.Input((None, 2)), getattr(k.layers, kind)(3, go_backwards=backward, **own)])
    model.save(tmp_path / "m.keras")
    assert main(["import", f"path={tmp_path}/m.keras", f"outputs={tmp_path}/out", "name=mine"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    name = "gru+gates:softsign" if kind == "GRU" else "rnn+input:relu"
    if kind == "GRU" or backward:
        assert f"GatedRNN(cell='{name}'{', backward=True' * backward}) has them" in said
        GatedRNN(2, 3, cell=name, backward=backward)
    assert "no readout" in said and "3 units; 2 inputs" in said


def test_gates_that_are_not_known_are_asked_for(tmp_path, capsys):
    rng = np.random.default_rng(1)
    arrays = [rng.normal(size=shape) for shape in ((2, 3 * U), (U, 3 * U), (3 * U,))]
    file = write(tmp_path / "m.h5", "GRU", arrays, None, b"2.1.6-tf")
    path = [f"path={file}", f"outputs={tmp_path}/out"]
    assert main(["import", *path]) == 2
    assert "say recurrent_activation=sigmoid if that is what it was trained with" in capsys.readouterr().err
    assert main(["import", *path, "recurrent_activation=hard_sigmoid"]) == 0
    assert "hard_sigmoid is that of Keras 2.1.6-tf: 0.2 x + 0.5" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(InputError, match="do not tell whether"):
        load_weights(file)
