"""Sweeps on a real Ray cluster: two nodes on this machine, of one core each."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

from lstm_probe.cli import main
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

pytestmark = [pytest.mark.ray, pytest.mark.slow, needed([] if find_spec("ray") else ["ray"], "RAY")]
RAY = str(Path(sys.executable).with_name("ray"))


def processes(of):
    """The numbers of those whose command line has these words."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if of in path.read_bytes().replace(b"\0", b" ").decode(errors="replace"):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def end(folder):
    """Kill what runs in a cluster's folder."""
    for process in processes(str(folder)):
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def start(folder):
    """Start two nodes; return their address, and what went wrong: a port that was free may be taken by now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"127.0.0.1:{port}"
    common = ["--num-cpus=1", "--disable-usage-stats", "--node-ip-address=127.0.0.1"]
    own = {**os.environ, "RAY_TMPDIR": str(folder), "OMP_NUM_THREADS": "1"}
    for where in (["--head", f"--port={port}", "--include-dashboard=false", f"--temp-dir={folder}"],
                  [f"--address={address}"]):  # fmt: skip
        command = [RAY, "start", *where, *common]
        done = subprocess.run(command, env=own, capture_output=True, text=True, timeout=PATIENCE)
        if done.returncode:
            end(folder)
            return address, done.stderr
    return address, ""


@pytest.fixture(scope="module")
def open_to_all():
    """Ray makes a token of its own where none is wanted; one that is left asks every node for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        yield


@pytest.fixture(scope="module")
def cluster(open_to_all):
    """The address of a cluster; its files have a short path, since its sockets lie there."""
    for _ in range(4):
        folder = Path(tempfile.mkdtemp(dir="/tmp"))
        address, wrong = start(folder)
        if not wrong:
            break
        shutil.rmtree(folder, ignore_errors=True)
    else:
        does_not_start("RAY", wrong)
    try:
        yield address
    finally:
        end(folder)
        shutil.rmtree(folder, ignore_errors=True)


def launcher(address):
    return ["hydra/launcher=ray_cluster", f"hydra.launcher.address={address}"]


def worker_of(outputs):
    """The process that makes the run of 2 units and seed 0, as its claim says."""
    (claim,) = outputs.glob("runs/flipflop/.u2-s0-*.lock.claim")
    return int(claim.read_text().split()[2])


def test_a_sweep_gives_the_same_tables_though_a_worker_is_killed(tmp_path, cluster, undisturbed):  # noqa: F811
    with begun([*SWEEP, *launcher(cluster)], tmp_path, {}) as leader:
        wait_for(lambda: checkpoint(tmp_path, 2), leader)
        os.kill(worker_of(tmp_path), signal.SIGKILL)
        out, error = leader.communicate(timeout=PATIENCE)
    assert leader.returncode == 0, out + error
    assert "4 of 4 jobs finished" in out
    assert went_on(tmp_path, 2, 0) > 0
    logs = sorted(tmp_path.glob("sweeps/*/*/job.log"))
    assert len(logs) == 4 and str(logs[0].parents[1]) in error
    assert all(f"units={2 + k // 2} seed={k % 2}" in log.read_text() for k, log in enumerate(logs))
    assert logs[0].read_text().count(f"on {socket.gethostname()}, process ") == 2
    same(tmp_path, undisturbed)


def test_a_run_that_ray_gives_up_is_named_with_its_log_and_ctrl_c_ends_the_others(tmp_path, cluster):
    with begun([*LONG, *launcher(cluster), "hydra.launcher.retries=0"], tmp_path, {}) as leader:
        wait_for(lambda: checkpoint(tmp_path, 2) and checkpoint(tmp_path, 3), leader)
        os.kill(worker_of(tmp_path), signal.SIGKILL)
        (path,) = wait_for(lambda: list(tmp_path.glob("sweeps/*/0/job.json")), leader)
        leader.send_signal(signal.SIGINT)
        out, error = leader.communicate(timeout=PATIENCE)
    told = json.loads(path.read_text())
    assert told["status"] == "failed" and told["error"][0].startswith("Ray ended it: WorkerCrashedError: ")
    assert told["error"][1] == f"Its log is {path.with_name('job.log')}."
    assert leader.returncode == 130 and "Traceback" not in error and "WorkerCrashedError" in out
    assert checkpoint(tmp_path, 2) and checkpoint(tmp_path, 3)


def test_without_a_cluster_it_says_so(tmp_path, capsys):
    assert main([*SWEEP, *launcher("127.0.0.1:1"), f"outputs={tmp_path}"]) == 2
    told = "hydra.launcher.address=127.0.0.1:1: no Ray cluster there (Connection refused)\n"
    assert capsys.readouterr().err == told
