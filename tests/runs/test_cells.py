"""Runs of any cell: trained by configuration, measured, found again, and shown in the cell's own words."""

import hashlib
import html
import importlib
import os
import re
import shlex
import sys
from dataclasses import asdict

import pandas as pd
import pytest
import torch
from torch import nn

import lstm_probe as lp
from lstm_probe.cells.known import NAMES, get_cell, name_of
from lstm_probe.cells.module import GatedRNN
from lstm_probe.cli import main
from lstm_probe.cli.config import SizeConfig, TrainConfig
from lstm_probe.cli.next_step import on_run
from lstm_probe.cli.validation import validate
from lstm_probe.core.errors import InputError
from lstm_probe.dynamics.timescales import drawn
from lstm_probe.network.model import SequenceModel
from lstm_probe.network.training import Trainer
from lstm_probe.report import write_run_report
from lstm_probe.runs.findings import find_in
from lstm_probe.runs.making import Measuring
from lstm_probe.runs.run import load_run
from lstm_probe.runs.settings import COMMANDS, AblateSettings, DynamicsSettings, ProbeSettings, RunSettings
from lstm_probe.runs.store import config_hash, result_config
from lstm_probe.runs.training import train_run
from lstm_probe.runs.where import chosen_runs
from lstm_probe.sizing.settings import SizeSettings, settings_of_run
from lstm_probe.tasks import get_task

TASK = {"name": "flipflop", "bits": 2, "length": 12}
PROBE = {"sequences": 30, "permutations": 99, "bootstrap": 10, "untrained": 1, "rotations": 19}


def trained(outputs, cell, *, light=("probes", "ablations"), page=False, **more):
    """The run of a small network, measured with little."""
    more = {"units": 3, "steps": 20, **more}
    settings = RunSettings(
        task=TASK, cell=cell, evaluate_every=10, stop_when_solved=False, test_sequences=32, outputs=str(outputs),
        probe=ProbeSettings(**PROBE), ablate=AblateSettings(sequences=20, bootstrap=10),
        dynamics=DynamicsSettings(sequences=16, bootstrap=10), **more,
    )  # fmt: skip
    own = {command: asdict(getattr(settings, command)) for command in COMMANDS}
    names = light or tuple(name for one in own.values() for name in one["analyses"])
    return train_run(settings, Measuring(tuple(names), own, 1, write_run_report if page else None))


def text_of(run):
    """What a run's page says."""
    page = (run.path / "report.html").read_text(encoding="utf-8")
    page = re.sub(r"<(script|style).*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


@pytest.mark.parametrize("cell", NAMES)
def test_every_cell_is_trained_and_measured_twice_alike(tmp_path, cell):
    runs = [trained(tmp_path / part, cell) for part in "ab"]
    one, other = (load_run(run.path) for run in runs)
    assert one.name == other.name
    assert one.cell == get_cell(cell)
    for name in ("probes", "ablations"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(other, name))
    assert tuple(one.probes["variable"].unique()) == one.cell.names
    assert set(one.ablations["variable"]) == {one.cell.memory}
    assert find_in(one).variable == one.cell.memory
    batch = one.task.sample(4, 0)
    assert torch.equal(one.model(batch.inputs), other.model(batch.inputs))
    assert one.check() is None
    kept = {key.rpartition(".")[2] for key in one.examples if key.startswith("layer0")}
    assert kept == set(one.cell.names)


def test_what_is_kept_is_the_networks_own_module(tmp_path):
    kinds = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN, "rnn_relu": nn.RNN, "janet": GatedRNN, "slstm": GatedRNN}
    for cell, kind in kinds.items():
        assert type(SequenceModel(2, 1, 3, 2, cell=cell).lstm) is kind
    torch.manual_seed(0)
    model, x = SequenceModel(2, 1, 3, seed=5, cell="gru"), torch.randn(4, 6, 2)
    whole, halves = model(x), []
    state = None
    for part in x.split(3, dim=1):
        outputs, state = model.advance(part, state)
        halves.append(outputs)
    torch.testing.assert_close(whole, torch.cat(halves, dim=1))


def test_runs_of_lstms_keep_their_names_and_others_have_their_own():
    """What `train units=8` was called before there were other cells."""
    plain = TrainConfig(units=8, steps=300, task={"name": "flipflop"})
    resolved = result_config(plain)
    assert "cell" not in resolved
    assert config_hash(resolved) == "de72f753"
    hashes = {config_hash(result_config(TrainConfig(units=8, cell=cell))) for cell in NAMES}
    assert len(hashes) == len(NAMES)
    same = [result_config(TrainConfig(cell=cell)) for cell in ("lstm+no_forget", "lstm_no_forget")]
    assert same[0] == same[1]
    assert same[0]["cell"] == "lstm_no_forget"
    assert result_config(TrainConfig(cell="lstm+gates:sigmoid")) == result_config(TrainConfig())
    asked = ProbeSettings(variables=["h", "c", "i", "f", "g", "o"])
    assert result_config(TrainConfig(probe=asked, ablate=AblateSettings(variable="c"))) == result_config(TrainConfig())


@pytest.mark.parametrize(("given", "own"), [
    ("lstm_peepholes", "lstm_peepholes"), ("lstm+peepholes", "lstm_peepholes"),
    ("gru+reset_before", "gru_reset_before"),
    ("janet+beta:1", "janet"), ("lstm+clip:3", "lstm+clip:3"), ("rnn+input:relu", "rnn_relu"),
])  # fmt: skip
def test_a_cell_has_one_name(given, own):
    assert name_of(given) == own
    assert get_cell(own) == get_cell(given)


@pytest.mark.parametrize(("wrong", "said"), [
    ({"cell": "gruu"}, r"cell=gruu: must be one of lstm, .*Did you mean 'gru'"),
    ({"cell": "gru+peepholes"}, r"gru has no option peepholes"),
    ({"cell": "nowhere:X"}, r"cell=nowhere:X: No module named"),
    ({"cell": "gru", "projection": 2}, r"projection=2: only an LSTM has one, not a GRU"),
    ({"cell": "lstm_peepholes", "projection": 2}, r"projection=2: only an LSTM has one, not an LSTM \(peepholes\)"),
    ({"cell": "gru", "stack": 4}, r"stack=4: only LSTMs are trained as one stack"),
    ({"cell": "rnn", "forget_bias": 1.0}, r"forget_bias=1: an RNN has no forget gate of its own"),
    ({"cell": "lstm_no_forget", "init": "chrono"}, r"init=chrono: draws biases of input and forget gates"),
    ({"init": "chrono", "forget_bias": 1.0}, r"init=chrono: draws the forget gates' biases itself"),
    ({"cell": "gru", "probe": ProbeSettings(variables=["c"])}, r"probe.variables=\[c\]: a GRU has no c; .* h r z n"),
    ({"cell": "gru", "ablate": AblateSettings(variable="f")}, r"ablate.variable=f: a GRU has no f"),
    ({"probe": ProbeSettings(variables=["z"])}, r"probe.variables=\[z\]: an LSTM has no z"),
])  # fmt: skip
def test_what_a_cell_cannot_be_is_said_before_anything_is_made(wrong, said):
    problems = validate(TrainConfig(**wrong))
    assert len(problems) == 1
    assert re.search(said, problems[0]), problems


def test_what_it_can_be_is_legal():
    some = ProbeSettings(variables=["z", "h"])
    for right in ({"cell": "gru", "forget_bias": 1.0}, {"cell": "lstm+peepholes+clip:3"},
                  {"cell": "slstm", "layers": 2}, {"cell": "gru", "probe": some}):  # fmt: skip
        assert validate(TrainConfig(**right)) == []
    assert validate(SizeConfig(cell="gru")) == []
    assert settings_of_run(SizeSettings(cell="gru"), 4, 0).cell == "gru"


@pytest.mark.parametrize("cell", ["gru", "slstm", "rnn", "lstm_no_forget"])
def test_a_training_goes_on_where_it_stopped(tmp_path, cell):
    """With running text, whose state is carried from batch to batch."""
    task = get_task("text", path=_text(tmp_path), length=8)

    def made(steps_of=None):
        model = SequenceModel(task.n_inputs, task.n_outputs, 4, 2, seed=3, cell=cell)
        return Trainer(model, task, steps=9, batch=4, tbptt=3, evaluate_every=20, stop_when_solved=False, seed=1)

    whole, first, second = made(), made(), made()
    whole.fit()
    update, done = first._update, []

    def stopping(batch):
        if len(done) == 4:
            raise KeyboardInterrupt
        done.append(batch)
        return update(batch)

    first._update = stopping
    with pytest.raises(KeyboardInterrupt):
        first.fit()
    first.save(tmp_path / "checkpoint.pt")
    second.resume(tmp_path / "checkpoint.pt")
    assert second.step == 4
    assert torch.equal(_flat(second._state), _flat(first._state))


def _text(folder):
    path = folder / "words.txt"
    path.write_text("the quick brown fox jumps over the lazy dog. " * 200)
    return str(path)


def _flat(state):
    parts = [state] if isinstance(state, torch.Tensor) else state
    return torch.cat([part.flatten() for part in parts])


def test_runs_are_chosen_by_their_cell(tmp_path):
    runs = [trained(tmp_path, cell, light=("probes",)) for cell in ("lstm", "gru")]
    for cell, run in zip(("lstm", "gru"), runs):
        assert [one.name for one in chosen_runs(runs, {"cell": cell})[0]] == [run.name]
    assert "cell" not in runs[0].info


def test_a_run_is_chosen_by_its_folder_too(tmp_path, monkeypatch):
    runs = [trained(tmp_path, cell, light=("probes",)) for cell in ("lstm", "gru")]
    monkeypatch.chdir(tmp_path)
    for own in (str(runs[1].path), os.path.relpath(runs[1].path), f"{runs[1].path}/", runs[1].name):
        assert [one.name for one in chosen_runs(runs, {"run": own})[0]] == [runs[1].name]
    assert chosen_runs(runs, {"run": [f"elsewhere/{runs[1].name}", f"{runs[1].path}x"]})[0] == []


@pytest.fixture(scope="module")
def gru(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("gru"), "gru", light=None, page=True, units=4, steps=150)


def test_a_grus_page_speaks_of_a_gru(gru):
    said = text_of(gru)
    for word in ("forget gate", "LSTM", "cell state", "output gate", "tanh(c)", "memory c "):
        assert word not in said, word
    assert "flipflop, 4 GRU units" in said
    assert "Its units are those of a GRU, each with a memory h of its own" in said
    for meaning in get_cell("gru").meanings.values():
        assert meaning in said
    assert "Variables of a unit: h memory, r reset gate, z update gate, n cell input." in said


@pytest.mark.parametrize(("cell", "keeps"), [("gru", "update gate"), ("rnn", None), ("janet", "forget gate")])
def test_what_writes_a_memory_is_told_on_the_page_of_any_cell(tmp_path, cell, keeps):
    run = trained(tmp_path, cell, light=("probes", "ablations", "timescales", "memory_flow"), page=True)
    said = text_of(run)
    assert set(run.memory_flow["variable"]) == {"h"} and "not_measured" not in run.memory_flow.attrs
    assert (f"Dashed: what the {keeps} alone would leave." in said) == (keeps is not None)
    assert (f"outlasts what its {keeps} alone would hold" in said) == (keeps is not None)
    assert "tried by putting events into the input and another sequence's value into the memory." in said
    assert (f"its {keeps} is " if keeps else "a step keeps 0.00 of it") in said
    assert ("forget gate" in said) == (cell == "janet") and "LSTM" not in said
    assert run.memory_flow.attrs["keeps"] == (get_cell(cell).keeps or "")
    assert drawn(run.timescales).empty == (keeps is None)


def test_what_a_cell_has_not_is_said_to_be_not_measured(gru):
    lacking = [name for name in gru.measured if "not_measured" in getattr(gru, name).attrs]
    for name in lacking:
        assert getattr(gru, name).empty
        assert any(line.startswith(f"{name}: not measured: ") for line in gru.info["warnings"])
    assert set(gru.measured) >= {"probes", "ablations", "sets", "sufficient", "memory", "codes"}
    assert not {"probes", "ablations", "memory", "codes", "populations", "tuning"} & {*lacking}


def test_cards_and_pictures_of_tables_alone():
    """A table does not say of which cell it is; its recording does."""
    torch.manual_seed(0)
    rec = lp.record(nn.GRU(2, 3, batch_first=True), torch.randn(40, 8, 2))
    signals = {"sum": rec.inputs.sum(2).cumsum(1).numpy()}
    probes = lp.probe_units(rec, signals, permutations=19, bootstrap=10, untrained=1)
    cards = lp.unit_cards(probes)
    assert len(cards) == 3
    assert not any("output gate" in words for words in cards["words"])
    with pytest.raises(InputError, match="a GRU has no c"):
        validate_variables(["c"])


def validate_variables(names):
    """As a run's own settings are looked at."""
    from lstm_probe.runs.settings import of_cell

    of_cell("probe", {"variables": names}, get_cell("gru"))


OWN = """
import torch
import lstm_probe as lp

def step(w, read, state, see):
    s, g = (read + state["h"] @ w["weight_hh"].T).chunk(2, dim=-1)
    f, g = see("f", torch.sigmoid(s)), see("g", torch.tanh(g))
    return {"h": see("h", (1 - f) * state["h"] + f * g * SCALE)}

VARIABLES = (lp.Variable("h", "output and memory", "output"), lp.Variable("f", "gate: how much is new", "gate", 0, 1),
             lp.Variable("g", "candidate: what is new", "input"))
MINE = lp.Cell("a_cell_of_mine:MINE", "MINE", VARIABLES, ("f", "g"), step)
"""


def test_a_cell_of_ones_own_is_another_when_its_file_changes(tmp_path, monkeypatch, caplog):
    made, file = [], tmp_path / "a_cell_of_mine.py"
    monkeypatch.syspath_prepend(tmp_path)
    for text in (OWN, OWN.replace("SCALE", "0.5"), OWN):
        file.write_text(text.replace("SCALE", "1.0"))
        importlib.invalidate_caches()
        monkeypatch.delitem(sys.modules, "a_cell_of_mine", raising=False)
        made.append(trained(tmp_path / "runs", "a_cell_of_mine:MINE"))
    assert made[0].name == made[2].name != made[1].name
    assert made[0].config["cell_source"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert "has changed" not in caplog.text and load_run(made[2].path).cell.title == "MINE"
    assert "has changed" not in caplog.text
    assert load_run(made[1].path).cell.title == "MINE"
    assert f"{made[1].path}: the source of its cell has changed since it was made" in caplog.text


QUICK = ["test_sequences=16", "probe.sequences=20", "probe.permutations=19", "probe.bootstrap=10", "probe.untrained=1",
         "ablate.sequences=16", "ablate.bootstrap=10", "measure=light"]  # fmt: skip


def test_a_cell_of_ones_own_is_named_on_the_command_line(tmp_path, monkeypatch, capsys):
    """As the program runs that is installed: the folder where one is is not among those of modules."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a_cell_of_mine.py").write_text(OWN.replace("SCALE", "1.0"))
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place not in ("", str(tmp_path))])
    importlib.invalidate_caches()
    try:
        assert main(["train", "cell=a_cell_of_mine:MINE", "units=3", "steps=2", "task=parity", *QUICK]) == 0
        (run,) = tmp_path.glob("outputs/runs/parity/*")
        card = on_run("probe", load_run(run), card="1")
        assert card == f"lstm-probe probe run={run} card=1 own_cell=a_cell_of_mine:MINE"
        words = [*shlex.split(card)[1:], "probe.lags=[1]", *(one for one in QUICK if one.startswith("probe"))]
        sys.modules.pop("a_cell_of_mine")
        assert main([word for word in words if not word.startswith("own_cell")]) == 2
        assert "a command does where it is told own_cell=a_cell_of_mine:MINE" in " ".join(
            capsys.readouterr().err.split()
        )
        assert main(words) == 0 and "MINE" in capsys.readouterr().out
    finally:
        sys.modules.pop("a_cell_of_mine", None)
