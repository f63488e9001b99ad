"""Sweeps on a real Slurm of one node on this machine: see scripts/slurm_local.py."""

import json
import os
import signal
import subprocess

import pytest

from scripts import slurm_local
from tests.cli.on_cluster import (
    LONG,
    PATIENCE,
    SWEEP,
    begun,
    checkpoint,
    does_not_start,
    needed,
    same,
    undisturbed,  # noqa: F401  a fixture
    wait_for,
    went_on,
)

pytestmark = [pytest.mark.slurm, pytest.mark.slow, needed(slurm_local.missing(), "SLURM")]
LAUNCHER = ["hydra/launcher=slurm_array"]
#: So that a task that has ended without a word is noticed after seconds.
SOON = "from lstm_probe.cli import cluster_slurm\ncluster_slurm.LOOK, cluster_slurm.PATIENCE = 1.0, 2.0"


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slurm")
    try:
        try:
            started = slurm_local.start(folder)
        except RuntimeError as error:
            does_not_start("SLURM", error)
        yield started
    finally:
        slurm_local.stop(folder)
        running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout.splitlines()
        assert [line for line in running if str(folder) in line] == []


def said(slurm, *command, check=True):
    return subprocess.run(command, env={**os.environ, **slurm}, capture_output=True, text=True, check=check).stdout


def running(slurm):
    """The tasks that run, in order."""
    return sorted(said(slurm, "squeue", "--noheader", "--array", "--states=RUNNING", "--format=%i").split())


def again_soon(slurm):
    """Let tasks that were queued again begin now, not in two minutes."""
    for task in said(slurm, "squeue", "--noheader", "--array", "--states=PENDING", "--format=%i %r").splitlines():
        if task.endswith(" BeginTime"):
            said(slurm, "scontrol", "update", f"jobid={task.split()[0]}", "starttime=now")


def test_a_sweep_gives_the_same_tables_though_jobs_are_queued_again(tmp_path, slurm, undisturbed):  # noqa: F811
    with begun([*SWEEP, *LAUNCHER, "hydra.launcher.mem_gb=0.5"], tmp_path, slurm) as leader:
        wait_for(lambda: checkpoint(tmp_path, 2, 0) and checkpoint(tmp_path, 2, 1), leader)
        first, second = running(slurm)
        assert first.endswith("_0") and second.endswith("_1")
        said(slurm, "scontrol", "requeue", first)
        # As Slurm does some time before the time limit. The task may be queued again before this has asked once more.
        said(slurm, "scancel", "--signal=USR2", f"{second}.0", check=False)
        wait_for(lambda: again_soon(slurm) or len(list(tmp_path.glob("runs/flipflop/u*"))) == 4, leader)
        out, error = leader.communicate(timeout=PATIENCE)
    assert leader.returncode == 0, out + error
    assert "4 of 4 jobs finished" in out and "its log" not in out.lower()
    assert went_on(tmp_path, 2, 0) > 0 and went_on(tmp_path, 2, 1) > 0
    assert went_on(tmp_path, 3, 0) == went_on(tmp_path, 3, 1) == 0
    (sweep,) = tmp_path.glob("sweeps/*")
    logs = sorted((sweep / "slurm").glob("*_log.out"))
    assert str(sweep / "slurm") in error and len(logs) == 4
    assert all(f"units={2 + k // 2} seed={k % 2}" in log.read_text() for k, log in enumerate(logs))
    same(tmp_path, undisturbed)


def test_a_job_that_slurm_ends_is_named_with_its_log_and_ctrl_c_leaves_the_others(tmp_path, slurm):
    with begun([*LONG, *LAUNCHER], tmp_path, slurm, before=SOON) as leader:
        wait_for(lambda: checkpoint(tmp_path, 2) and checkpoint(tmp_path, 3), leader)
        first, second = running(slurm)
        said(slurm, "scancel", first)
        (path,) = wait_for(lambda: list(tmp_path.glob("sweeps/*/0/job.json")), leader)
        leader.send_signal(signal.SIGINT)
        out, error = leader.communicate(timeout=PATIENCE)
    told = json.loads(path.read_text())
    (log,) = tmp_path.glob("sweeps/*/slurm/*_0_0_log.out")
    assert told["status"] == "failed" and "units=2" in told["settings"]
    assert told["error"] == ["Slurm ended it: CANCELLED.", f"Its log is {log}."]
    assert leader.returncode == 130 and "Traceback" not in error
    array = first.partition("_")[0]
    assert f"To end it: scancel {array}\n" in error and error.endswith("continues where this one stopped.\n")
    assert "CANCELLED" in out and log.name in "".join(out.split())
    assert running(slurm) == [second]
    said(slurm, "scancel", array)


def test_what_slurm_does_not_take_is_said_as_slurm_says_it(tmp_path, slurm):
    with begun([*SWEEP, *LAUNCHER, "hydra.launcher.partition=elsewhere"], tmp_path, slurm) as process:
        _, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2 and "Traceback" not in error
    assert "hydra/launcher=slurm_array: not taken by Slurm: sbatch: error: " in error
    assert "nvalid partition" in error
