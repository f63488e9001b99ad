"""`train`, `probe` and `ablate` as commands: files, resumption, interruption, bad places."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import torch

from lstm_probe.cli import main
from lstm_probe.core.columns import (
    ABLATION_COLUMNS,
    CONFOUND_COLUMNS,
    CURVED_COLUMNS,
    MEMORY_COLUMNS,
    POPULATION_COLUMNS,
    SIGNAL_CODE_COLUMNS,
    TUNING_COLUMNS,
)
from lstm_probe.core.run_columns import HISTORY_COLUMNS
from lstm_probe.network.training import Trainer
from lstm_probe.runs.analyses import ANALYSES
from lstm_probe.runs.making import making
from lstm_probe.runs.reached import CHECKPOINT
from lstm_probe.runs.run import RUN_FILES, load_run
from tests import processes
from tests.processes import Command, hear_ctrl_c

TABLE_FILES = {analysis.file for analysis in ANALYSES.values() if analysis.default}

SMALL = [
    "task=flipflop", "task.bits=2", "task.length=16", "units=3", "steps=120", "evaluate_every=20",
    "stop_when_solved=false", "test_sequences=64", "probe.sequences=60", "probe.permutations=199",
    "probe.bootstrap=50", "probe.untrained=2", "ablate.sequences=40", "ablate.bootstrap=50",
]  # fmt: skip
TABLES = ("history", "probes", "populations", "ablations")


def command(outputs, settings=SMALL):
    return [sys.executable, "-m", "lstm_probe", "train", *settings, f"outputs={outputs}"]


def only_run(outputs) -> Path:
    (folder,) = (path for path in (outputs / "runs" / "flipflop").iterdir())
    return folder


def assert_same_tables(one: Path, other: Path) -> None:
    assert (one / "model.safetensors").read_bytes() == (other / "model.safetensors").read_bytes()
    names = sorted(path.name for path in one.glob("*.parquet"))
    assert {"history.parquet", "probes.parquet", "ablations.parquet"} <= {*names}
    assert names == sorted(path.name for path in other.glob("*.parquet"))
    for name in names:
        a, b = (pd.read_parquet(folder / name) for folder in (one, other))
        pd.testing.assert_frame_equal(a.drop(columns="seconds", errors="ignore"),
                                      b.drop(columns="seconds", errors="ignore"), check_exact=True)  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """The folder of one finished run."""
    outputs = tmp_path_factory.mktemp("outputs")
    assert main(["train", *SMALL, f"outputs={outputs}"]) == 0
    return only_run(outputs)


def test_a_run_has_all_its_files_and_columns(finished):
    run = load_run(finished)
    assert {path.name for path in finished.iterdir()} == {*RUN_FILES, *TABLE_FILES, "report.html", "figures"}
    for table, columns in zip(
        (run.history, run.probes, run.populations, run.ablations, run.memory, run.confounds, run.codes, run.tuning),
        (
            HISTORY_COLUMNS,
            CURVED_COLUMNS,
            POPULATION_COLUMNS,
            ABLATION_COLUMNS,
            MEMORY_COLUMNS,
            CONFOUND_COLUMNS,
            SIGNAL_CODE_COLUMNS,
            TUNING_COLUMNS,
        ),
    ):
        assert list(table.columns) == list(columns)
        for name, value in (("run", run.name), ("task", "flipflop"), ("units", 3), ("seed", 0)):
            assert name not in table or (table[name] == value).all()
    assert len(run.probes) == 3 * 6 * len(run.task.sample(1, 0).signals)
    assert len(run.ablations) == 3 * 2
    assert set(run.info["scores"]) == {"bit0", "bit1"} and run.info["status"] == "finished"
    assert set(run.info["seconds"]) == {"train", "test", "probe", "ablate", "dynamics", "report"}
    examples = run.examples
    with torch.no_grad():
        assert torch.equal(run.model(examples["inputs"]), examples["outputs"])
    assert "step 120" in (finished / "train.log").read_text()


def test_what_is_probed_may_be_anything_but_the_memory(tmp_path, capsys):
    keys = ["probe.variables=[h,f]", "probe.lags=[2,0]", "probe.null=roll"]
    keys += ["probe.estimator=logistic", "probe.folds=2"]  # with more it takes long to choose penalties
    assert main(["train", *SMALL, *keys, f"outputs={tmp_path}"]) == 0
    run = load_run(only_run(tmp_path))
    assert set(run.probes["variable"]) == {"h", "f"} and set(run.probes["lag"]) == {0, 2}
    for table in (run.memory, run.confounds, run.codes, run.tuning):
        assert set(table["variable"]) == {"h"}
    assert set(run.confounds["lag"]) == {2} and set(run.memory["lag"]) >= {0, 1, 2}
    again = ["probe", f"run={run.path}", *keys, *(key for key in SMALL if key.startswith("probe."))]
    assert main([*again, "card=1"]) == 0
    assert "Unit 1, h: " in capsys.readouterr().out
    assert (run.path / "figures" / "unit-1-tuning.png").is_file()
    assert main([*again, "card=7"]) == 2
    assert "card=7: no such unit." in capsys.readouterr().err


def test_the_same_command_finds_the_run_and_force_makes_it_again(finished, tmp_path, capsys):
    outputs = tmp_path / "outputs"
    shutil.copytree(finished.parents[2], outputs)
    folder = only_run(outputs)
    before = (folder / "run.json").stat().st_mtime_ns
    assert main(["train", *SMALL, f"outputs={outputs}"]) == 0
    assert "is there already" in capsys.readouterr().err
    assert (folder / "run.json").stat().st_mtime_ns == before
    assert main(["train", *SMALL, f"outputs={outputs}", "force=true"]) == 0
    assert (folder / "run.json").stat().st_mtime_ns > before
    assert_same_tables(finished, folder)


LONGER = [*(text.replace("steps=120", "steps=400") for text in SMALL), "batch=256", "measure=light"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """The folder of a longer run that nothing disturbed."""
    outputs = tmp_path_factory.mktemp("whole")
    assert main(["train", *LONGER, f"outputs={outputs}"]) == 0
    return only_run(outputs)


@pytest.mark.parametrize(("kind", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_goes_on_and_ends_the_same(tmp_path, whole, kind, code):
    hidden = tmp_path / "runs" / "flipflop"
    with Command("train", *LONGER, f"outputs={tmp_path}", stderr=subprocess.PIPE, text=True) as process:
        for _ in range(3000):
            if list(hidden.glob(".*.partial/checkpoint.pt")) or process.poll() is not None:
                break
            time.sleep(0.02)
        process.send_signal(kind)
        said = process.communicate()[1]
        assert process.returncode == code
    assert not [path for path in hidden.iterdir() if not path.name.startswith(".")]
    assert list(hidden.glob(".*.partial/checkpoint.pt"))
    if kind == signal.SIGINT:
        assert "Traceback" not in said and "same command" in said
    assert processes.run("train", *LONGER, f"outputs={tmp_path}").returncode == 0
    cut = only_run(tmp_path)
    assert_same_tables(cut, whole)
    assert "goes on from step" in (cut / "train.log").read_text()


def test_an_interruption_at_once_leaves_nothing(tmp_path):
    outputs = tmp_path / "outputs"
    with subprocess.Popen(command(outputs), stderr=subprocess.PIPE, text=True, preexec_fn=hear_ctrl_c) as process:
        time.sleep(0.7)
        process.send_signal(signal.SIGINT)
        said = process.communicate()[1]
    assert process.returncode == 130 and "Traceback" not in said
    assert not outputs.exists()


def limited(bytes_per_file):
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_per_file, bytes_per_file))


def test_files_that_cannot_be_written_end_the_run_and_leave_nothing(tmp_path):
    outputs = tmp_path / "outputs"
    done = processes.run("train", *SMALL, f"outputs={outputs}", preexec_fn=partial(limited, 9000))
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr and "File too large" in done.stderr
    assert not outputs.exists()


@pytest.mark.parametrize("earlier", [False, True])
def test_a_full_disk_takes_nothing_that_an_interrupted_run_had_reached(tmp_path, earlier):
    partial = tmp_path / ".u3-s0-0.partial"
    if earlier:
        partial.mkdir()
        (partial / CHECKPOINT).write_bytes(b"hours of work")
    with pytest.raises(OSError, match="full"), making(partial, fresh=False):
        raise OSError(errno.ENOSPC, "full")
    assert partial.exists() == earlier
    assert not earlier or (partial / CHECKPOINT).read_bytes() == b"hours of work"


def test_a_place_that_is_a_file(tmp_path, capsys):
    place = tmp_path / "outputs"
    place.write_text("mine")
    assert main(["train", *SMALL, f"outputs={place}"]) == 2
    said = capsys.readouterr().err
    assert str(place) in said and "Traceback" not in said and len(said.splitlines()) <= 2
    assert place.read_text() == "mine"


def test_a_training_that_fails_leaves_its_log(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Trainer, "_update", lambda *_: torch.tensor(torch.nan))
    assert main(["train", *SMALL, f"outputs={tmp_path}"]) == 1
    (folder,) = (tmp_path / "runs" / "flipflop").iterdir()
    assert folder.name.endswith(".partial")
    assert json.loads((folder / "run.json").read_text())["status"] == "failed"
    assert "Traceback" in (folder / "train.log").read_text()
    said = capsys.readouterr().err
    assert "the loss is nan by step 20" in said and "Traceback" not in said
    assert str(folder / "train.log") in said


def test_probe_and_ablate_again(finished, capsys):
    before = {name: (finished / f"{name}.parquet").read_bytes() for name in TABLES}
    again = ["probe.sequences=60", "probe.permutations=199", "probe.bootstrap=50", "probe.untrained=2"]
    assert main(["probe", f"run={finished}", *again, "probe.lags=[0,3]", "probe.variables=[c]"]) == 0
    assert main(["ablate", f"run={finished}", "ablate.variable=h", "ablate.mode=zero", "ablate.sequences=40"]) == 0
    probe, ablate = sorted((finished / "analyses").iterdir(), reverse=True)
    probes = pd.read_parquet(probe / "probes.parquet")
    assert set(probes.lag) == {0, 3} and set(probes.variable) == {"c"}
    ablations = pd.read_parquet(ablate / "ablations.parquet")
    assert set(ablations.variable) == {"h"} and set(ablations["mode"]) == {"zero"}
    assert str(ablate) in capsys.readouterr().out.replace("\n", "")
    assert main(["probe", f"run={finished}", *again]) == 0
    assert "the run's own settings" in capsys.readouterr().err
    assert before == {name: (finished / f"{name}.parquet").read_bytes() for name in TABLES}
    assert len(list((finished / "analyses").iterdir())) == 2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.safetensors", 100, "model.safetensors: damaged"),
        ("config.yaml", 5, "config.yaml: damaged"),
        ("run.json", 20, "run.json: damaged"),
    ],
)
def test_damaged_runs(finished, tmp_path, capsys, name, content, message):
    folder = tmp_path / finished.name
    shutil.copytree(finished, folder)
    (folder / name).write_bytes((folder / name).read_bytes()[:content])
    before = sorted(folder.iterdir())
    assert main(["probe", f"run={folder}", "probe.lags=[1]"]) == 2
    said = capsys.readouterr().err
    assert message in said and "Traceback" not in said
    assert sorted(folder.iterdir()) == before


def test_what_is_no_run(tmp_path, capsys):
    for command_name in ("probe", "ablate"):
        assert main([command_name, f"run={tmp_path}"]) == 2
        assert "no run" in capsys.readouterr().err
        assert main([command_name, f"run={tmp_path}/nowhere"]) == 2
        assert "no such folder" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def drop_rights():
    """Let a process of root's obey the rights of files, as those of others do."""
    import ctypes

    if os.geteuid() == 0:  # Linux's capset: version 3, this process; none of the capabilities
        assert ctypes.CDLL(None).capset((ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="drops rights as Linux has them")
def test_a_finished_run_in_a_store_that_can_only_be_read(finished, tmp_path):
    outputs = tmp_path / "outputs"
    shutil.copytree(finished.parents[2], outputs)
    places = [outputs, *(path for path in outputs.rglob("*") if path.is_dir())]

    def run(*arguments):
        return processes.run(*arguments, preexec_fn=drop_rights, cwd=tmp_path)

    for place in places:
        place.chmod(0o555)
    try:
        again = run("train", *SMALL, "outputs=outputs")
        assert again.returncode == 0 and "is there already" in again.stderr and "report: outputs" in again.stdout
        more = run("train", *SMALL, "outputs=outputs", "probe.analyses=[probes,power]")
        assert more.returncode == 0 and "is there already; not measured: power" in more.stderr
        assert run("runs", "outputs=outputs", "check=true").returncode == 0
        page = run("report", "outputs=elsewhere", "runs=outputs/runs/*/*")
        assert page.returncode == 0 and (tmp_path / "elsewhere" / "report" / "index.html").is_file(), page.stderr
        for arguments in (["force=true"], ["seed=7"]):
            refused = run("train", *SMALL, "outputs=outputs", *arguments)
            assert refused.returncode == 2 and "outputs=outputs: outputs cannot be written to" in refused.stderr
    finally:
        for place in places:
            place.chmod(0o755)
    assert not list(outputs.rglob(".*"))
