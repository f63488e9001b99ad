"""Checkpoints along a training: in a run's folder, covered by its digests, and looked at by `learning`."""

import hashlib
import shutil

import pandas as pd
import pytest
import torch

import lstm_probe as lp
from lstm_probe.cli import main
from lstm_probe.cli.config import TrainConfig
from lstm_probe.cli.validation import validate
from lstm_probe.core.seeding import derive_seed
from lstm_probe.network.training import Trainer
from lstm_probe.runs.again import analyse_again
from lstm_probe.runs.findings import unit_cards
from lstm_probe.runs.run import CHECKPOINTS, load_run
from lstm_probe.runs.store import result_config

QUICK = [
    "task=parity", "task.length=12", "units=3", "steps=400", "evaluate_every=100", "lr=0.05",
    "stop_when_solved=false", "test_sequences=32", "probe.sequences=60", "probe.permutations=99", "probe.bootstrap=10",
    "probe.untrained=19", "ablate.analyses=[ablations]", "ablate.sequences=20",
    "ablate.bootstrap=10", "dynamics.analyses=[timescales]", "dynamics.sequences=16",
]  # fmt: skip

MORE = ["checkpoints=6", "probe.analyses=[probes,learning]"]


def trained(outputs, *more):
    """Train, and return the one run that there is then."""
    assert main(["train", *QUICK, *more, f"outputs={outputs}"]) == 0
    (folder,) = (path for path in (outputs / "runs" / "parity").iterdir() if not path.name.startswith("."))
    return load_run(folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("with"), *MORE)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("without"), "probe.analyses=[probes]")


def test_they_change_neither_the_training_nor_the_name_of_a_run_without(run, plain):
    assert run.name != plain.name and "checkpoints" not in plain.config and run.config["checkpoints"] == 6
    for name, values in plain.model.state_dict().items():
        assert torch.equal(values, run.model.state_dict()[name])
    timeless = [one.history.drop(columns="seconds") for one in (run, plain)]
    pd.testing.assert_frame_equal(*timeless)
    pd.testing.assert_frame_equal(run.probes.drop(columns="run"), plain.probes.drop(columns="run"))
    one, other = (result_config(TrainConfig(checkpoints=n)) for n in (0, 3))
    assert "checkpoints" not in one and other == {**one, "checkpoints": 3}


def test_the_last_is_the_network_and_the_first_is_untrained(run):
    kept = run.checkpoints
    assert list(kept) == sorted(kept) and len(kept) == 6 and (min(kept), max(kept)) == (0, 400)
    for name, values in kept[400].state_dict().items():
        assert torch.equal(values, run.model.state_dict()[name])
    fresh = lp.SequenceModel(run.task.n_inputs, run.task.n_outputs, 3, seed=derive_seed(0, "weights"))
    for name, values in kept[0].state_dict().items():
        assert torch.equal(values, fresh.state_dict()[name])


def test_the_table_is_that_of_the_librarys_function(run, caplog):
    batch = run.task.sample(60, derive_seed(0, "probe data"))
    settings = run.settings("probe")
    own = {key: settings[key] for key in ("permutations", "bootstrap", "untrained", "folds")}
    table = lp.learning_curves(run.checkpoints, batch, run=run.name, task="parity", **own)
    pd.testing.assert_frame_equal(run.learning, table)
    end = run.learning[run.learning["update"] == 400].reset_index(drop=True)
    probes = run.probes[run.probes["variable"] == "c"].reset_index(drop=True)
    pd.testing.assert_frame_equal(end[["unit", "signal", "effect", "ci_low"]],
                                  probes[["unit", "signal", "effect", "ci_low"]])  # fmt: skip
    assert (run.path / "figures" / "acquisition.svg").is_file() and (run.path / "figures" / "learning.svg").is_file()
    page = (run.path / "report.html").read_text()
    assert "figures/acquisition.svg" in page and "figures/learning.svg" in page and "(learning)" in page
    first = lp.acquired(table).query("signal == 'parity' and tracks")
    said = " ".join(unit_cards(run)["words"])
    assert len(first) and all(f"it told parity from update {k:.0f} on" in said for k in first["acquired"])


def test_it_is_covered_by_the_digests(run, tmp_path):
    content = (run.path / CHECKPOINTS).read_bytes()
    assert run.files[CHECKPOINTS] == {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    folder = tmp_path / run.name
    shutil.copytree(run.path, folder)
    (folder / CHECKPOINTS).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    damaged = load_run(folder)
    with pytest.raises(lp.InputError, match=rf"{CHECKPOINTS}: damaged \(its checksum is wrong\)"):
        _ = damaged.checkpoints
    with pytest.raises(lp.InputError, match="its checksum is wrong"):
        damaged.check()


def test_an_interrupted_training_ends_with_the_same_file(run, tmp_path, monkeypatch):
    save = Trainer.save
    monkeypatch.setattr("lstm_probe.network.training.CHECKPOINT_SECONDS", 0)

    def cut(self, path):
        save(self, path)
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "save", cut)
    assert main(["train", *QUICK, *MORE, f"outputs={tmp_path}"]) == 130
    monkeypatch.setattr(Trainer, "save", save)
    assert (trained(tmp_path, *MORE).path / CHECKPOINTS).read_bytes() == (run.path / CHECKPOINTS).read_bytes()


def test_a_run_without_says_how_to_get_some(plain, capsys):
    with pytest.raises(lp.InputError, match="has no checkpoints of its training; `train` keeps some"):
        _ = plain.checkpoints
    settings = {**plain.settings("probe"), "analyses": ["populations", "learning"]}
    with pytest.raises(lp.InputError, match=r"as in checkpoints=20"):
        analyse_again(plain, "probe", settings)
    assert not (plain.path / "analyses").exists()
    assert main(["probe", f"run={plain.path}", "probe.analyses=[learning]"]) == 2
    assert "has no checkpoints of its training" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["train", "probe.analyses=[learning]"], "checkpoints=0: probe.analyses=[learning] needs some, as in checkpoi"),
        (["train", "checkpoints=-1"], "checkpoints=-1: must be a whole number from 0 to 1000"),
        (["import", "path=a.pt", "probe.analyses=[learning]"], "a network made elsewhere has no checkpoints"),
        (["train", "probe.analyses=[aligned]"], "probe.event: a value is missing, for probe.analyses=[aligned]: what"),
        (["probe", "run=r", "probe.analyses=[aligned]"], "as in probe.event=count"),
        (
            ["train", *QUICK, "probe.analyses=[aligned]", "probe.event=parities"],
            "event=parities: no such signal. Did you mean",
        ),
        (["train", *QUICK, "probe.analyses=[aligned]", "probe.event=parity", "probe.after=12"], "after=12: must be"),
    ],
)
def test_what_an_analysis_needs_is_asked_for_before_anything_is_trained(arguments, told, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(Trainer, "fit", None)
    own = [] if arguments[0] == "probe" else [f"outputs={tmp_path}"]
    assert main([*arguments, *own]) == 2
    assert told in " ".join(capsys.readouterr().err.split()) and not list(tmp_path.glob("runs/*/*"))


def test_nothing_is_missing_of_what_is_not_asked_for():
    assert not validate(TrainConfig()) and not validate(TrainConfig(checkpoints=4))


def test_averages_around_an_event_are_made_on_demand(plain):
    settings = {**plain.settings("probe"), "analyses": ["aligned"], "event": "parity", "by": "parity", "after": 3}
    _, tables = analyse_again(plain, "probe", settings)
    batch = plain.task.sample(60, derive_seed(0, "probe data"))
    rec = lp.record(plain.model, batch.inputs, lengths=batch.lengths)
    expected = lp.aligned_averages(
        rec, batch.signals, event="parity", by="parity", after=3, run=plain.name, task="parity"
    )
    pd.testing.assert_frame_equal(tables["aligned"], expected)
