"""Optuna's plugin for Hydra: what a job counts for, what is refused, and a search with stand-ins for trainings."""

import json
import math
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from lstm_probe.cli import main, optuna
from lstm_probe.cli.jobs import BAD_INPUT, FAILED, JobOutcome

pytestmark = pytest.mark.filterwarnings("ignore")  # Optuna 2 has many of its own

OPTUNA = ["train", "--multirun", "hydra/launcher=basic", "hydra/sweeper=optuna", "hydra.sweeper.sampler.seed=0"]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def train(monkeypatch):
    """Puts a stand-in for `train` into its place, whose score is highest for 8 units and lr=0.01."""

    def run(config):
        if config.units == 13:
            raise RuntimeError("a bug")
        folder = Path(config.outputs) / "runs" / "stub" / f"u{config.units}-lr{config.lr:g}"
        folder.mkdir(parents=True, exist_ok=True)
        score = 1 - abs(config.units - 8) / 100 - abs(math.log10(config.lr) + 2) / 10
        (folder / "run.json").write_text(json.dumps({"scores": {"a": 1.0, "b": score}, "units": config.units}))
        return folder

    module = ModuleType("lstm_probe.cli.commands.train")
    module.run = run
    monkeypatch.setitem(sys.modules, "lstm_probe.cli.commands.train", module)


def test_what_a_job_counts_for():
    assert float(JobOutcome([], scores={"a": 0.9, "b": 0.4}, units=8)) == 0.4
    assert list(JobOutcome([], scores={"a": 0.9}, units=8)) == [0.9, 8.0]
    failed = JobOutcome([], FAILED, scores={"a": 0.9}, error=["RuntimeError: a bug"])
    for one, words in ((failed, "a bug"), (JobOutcome([]), "no score"), (JobOutcome([], BAD_INPUT), "no score"),
                       (JobOutcome([], scores={"a": math.nan}), "no score")):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            float(one)


def test_a_search_finds_the_highest_score_and_a_failed_job_is_told(train, elsewhere, capsys):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    searched = ["units=choice(2,8,13,64)", "lr=tag(log,interval(0.001,0.1))", "hydra.sweeper.n_trials=12"]
    assert main([*OPTUNA, *searched]) == 1
    shown = capsys.readouterr()
    jobs = [json.loads(path.read_text()) for path in elsewhere.glob("outputs/sweeps/*/*/job.json")]
    failed = [job for job in jobs if job["status"] == FAILED]
    assert len(jobs) == 12 and 0 < len(failed) < 12
    assert all(job["settings"][0] == "units=13" for job in failed) and "RuntimeError: a bug" in shown.out
    (found,) = elsewhere.glob("outputs/sweeps/*/optimization_results.yaml")
    best = max((job for job in jobs if job["scores"]), key=lambda job: job["scores"]["b"])
    told = yaml.safe_load(found.read_text())
    assert told["best_value"] == best["scores"]["b"] and best["settings"][0] == "units=8"
    assert f"The best of the search: units=8 lr={told['best_params']['lr']}" in shown.out


def test_two_directions_are_the_score_and_the_units(train, elsewhere, capsys):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    searched = ["units=choice(2,4,8,64)", "hydra/sweeper/sampler=nsgaii", "hydra.sweeper.n_trials=12",
                "hydra.sweeper.direction=[maximize,minimize]"]  # fmt: skip
    assert main([*OPTUNA, *searched]) == 0
    best = [line for line in capsys.readouterr().out.splitlines() if line.startswith("One of the best")]
    assert best and not any("units=64" in line for line in best)  # worse than 8 units, and more


@pytest.mark.parametrize(
    ("sampler", "searched"),
    [("grid", "units=choice(2,4)"), ("random", "units=range(2,9)"), ("tpe", "lr=interval(0.003,0.1)"),
     ("nsgaii", "units=choice(2,4)")],
)  # fmt: skip
def test_the_samplers_that_the_guide_names(sampler, searched, train, elsewhere, capsys):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    words = [f"hydra/sweeper/sampler={sampler}", searched, "hydra.sweeper.n_trials=2"]
    seeded = [word for word in OPTUNA if sampler != "grid" or "seed" not in word]
    assert main([*seeded, *words]) == 0
    assert "2 of 2 jobs finished" in capsys.readouterr().out


def test_a_study_on_disk_goes_on(train, elsewhere, capsys):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    kept = [f"hydra.sweeper.storage=sqlite:///{elsewhere}/study.db", "hydra.sweeper.study_name=mine"]
    bests = []
    for searched in ("units=choice(8)", "units=choice(8)"):
        assert main([*OPTUNA, searched, "lr=interval(0.003,0.1)", "hydra.sweeper.n_trials=1", *kept]) == 0
        found = max(elsewhere.glob("outputs/sweeps/*/optimization_results.yaml"))
        bests.append(yaml.safe_load(found.read_text())["best_value"])
    assert bests[1] >= bests[0]  # of both trials


def test_where_no_job_has_a_score_that_is_said(train, elsewhere, capsys):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    assert main([*OPTUNA, "units=choice(13)", "hydra.sweeper.n_trials=2"]) == 1
    shown = capsys.readouterr()
    assert "0 of 2 jobs finished" in shown.out and "No trials are completed yet" in shown.err


@pytest.mark.parametrize(
    "line",
    ["hydra.sweeper.custom_search_space=os.system", "hydra.sweeper.sampler._target_=os.system",
     "+hydra.sweeper.sampler.more={_target_:os.system}"],
)  # fmt: skip
def test_no_other_object_is_made(line, train, capsys, elsewhere):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    assert main([*OPTUNA, "units=choice(2,8)", line]) == 2
    assert "not taken" in capsys.readouterr().err and not list(elsewhere.iterdir())


def test_a_sampler_of_an_own_file_is_refused_where_the_plugin_does_not_bring_it():
    assert optuna.allowed({"sampler": {"_target_": "os.system"}}) == {"sampler": {"_target_": "os.system"}}
    assert optuna.allowed({"params": None}) == {"params": None}
