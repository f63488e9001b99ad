"""`import` of networks that are no LSTMs: a file and a CSV become a run with a page."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from lstm_probe.cells.module import GatedRNN
from lstm_probe.cli import main
from lstm_probe.cli.commands import import_
from lstm_probe.formats import Imported
from lstm_probe.runs.run import load_run
from tests.runs.test_cells import text_of

FAST = ["probe.sequences=40", "probe.permutations=99", "probe.bootstrap=20", "probe.untrained=1", "ablate.sequences=32",
        "ablate.bootstrap=20", "dynamics.sequences=16"]  # fmt: skip


def made(cell, **more):
    if cell == "gru":
        return nn.GRU(2, 3, batch_first=True, **more)
    return GatedRNN(2, 3, batch_first=True, cell=cell, **more)


@pytest.mark.parametrize(("cell", "more", "called"), [
    ("gru", {}, "3 GRU units"), ("gru", {"bidirectional": True}, "3 GRU units"),
    ("slstm", {"num_layers": 2}, "3 sLSTM units in each of 2 layers"),
    ("lstm_peepholes", {"backward": True}, "3 LSTM (peepholes) units"),
])  # fmt: skip
def test_a_file_and_a_table_become_a_run(tmp_path, monkeypatch, cell, more, called):
    torch.manual_seed(1)
    layers = made(cell, **more)
    readout = nn.Linear(3 * (1 + layers.bidirectional), 1)
    imported = Imported(lstm=layers.eval(), source="a file, layer rnn", name="rnn", readout=readout)
    monkeypatch.setattr(import_, "load_weights", lambda path, **_: imported)
    (tmp_path / "model.bin").write_bytes(b"weights")
    x = np.random.default_rng(0).normal(size=(60, 7, 2)).astype(np.float32)
    with torch.no_grad():
        y = imported.model(torch.from_numpy(x))[..., 0].numpy()
    table = {"sequence": np.repeat(np.arange(60), 7), "x_1": x[..., 0].ravel(), "x_2": x[..., 1].ravel(),
             "signal_sum": x.sum(2).cumsum(1).ravel(), "y_out": y.ravel()}  # fmt: skip
    pd.DataFrame(table).to_csv(tmp_path / "data.csv", index=False)
    given = [f"path={tmp_path / 'model.bin'}", "task=table", f"task.path={tmp_path / 'data.csv'}"]
    assert main(["import", *given, f"outputs={tmp_path}", *FAST]) == 0
    run = load_run(next((tmp_path / "runs" / "table").glob("u3*")))
    assert run.cell == imported.model.lstm.cell if cell != "gru" else run.cell.name == "gru"
    assert run.info["scores"]["y_out"] == pytest.approx(1, abs=1e-4)  # it is the network's own output
    assert set(run.probes["variable"]) == set(run.cell.names)
    said = text_of(run)
    assert called in said
    with torch.no_grad():
        np.testing.assert_allclose(run.model(torch.from_numpy(x))[..., 0].numpy(), y, atol=1e-6)
    assert main(["probe", f"run={run.path}", "probe.variables=[nothing]"]) == 2
