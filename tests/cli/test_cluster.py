"""What the leader of a sweep on a cluster makes of what it sees; the cluster itself is played."""

import json
import os
import pickle
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
from hydra._internal.callbacks import Callbacks
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext
from omegaconf import OmegaConf

from lstm_probe.cli import cluster, cluster_slurm, main
from lstm_probe.cli.cluster import ClusterJob
from lstm_probe.cli.cluster_slurm import SlurmArray, look
from lstm_probe.core.errors import InputError
from lstm_probe.core.files import configuration_folder


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def plays(tmp_path, monkeypatch):
    """Put a program of this name first on the path, made of lines of shell."""
    (tmp_path / "bin").mkdir()

    def put(name, *lines):
        path = tmp_path / "bin" / name
        path.write_text("\n".join(["#!/bin/sh", *lines]))
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}{os.environ['PATH']}")

    return put


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A launcher, three jobs, and their tasks at submitit."""
    monkeypatch.setattr(cluster_slurm, "LOOK", 0.0)
    monkeypatch.setattr(cluster_slurm, "PATIENCE", 0.3)
    config = OmegaConf.create({"hydra": {"sweep": {"dir": str(tmp_path / "sweep")}}})
    settings = OmegaConf.to_container(OmegaConf.load(configuration_folder() / "hydra/launcher/slurm_array.yaml"))
    del settings["_target_"]
    launcher = SlurmArray(**settings)
    context = HydraContext(ConfigLoaderImpl(ConfigSearchPathImpl()), Callbacks())
    launcher.setup(hydra_context=context, task_function=len, config=config)
    rest = (tmp_path, context, len, config, ConfigStore.instance())
    jobs = [ClusterJob(k, [f"units={k}", "hydra.sweep.dir=x"], *rest) for k in range(3)]
    names = {"result_pickle": ".pkl", "stdout": ".out"}
    paths = [SimpleNamespace(folder=tmp_path, **{name: tmp_path / f"7_{k}{end}" for name, end in names.items()})
             for k in range(3)]  # fmt: skip
    tasks = [SimpleNamespace(job_id=f"7_{k}", paths=own) for k, own in enumerate(paths)]
    return launcher, jobs, tasks


def done(task, what="success", value=None):
    task.paths.result_pickle.write_bytes(pickle.dumps((what, value)))


@pytest.mark.parametrize(("launcher", "package", "extra"),
                         [("slurm_array", "submitit", "slurm"), ("ray_cluster", "ray", "ray")])  # fmt: skip
def test_without_its_package_a_launcher_names_what_brings_it(tmp_path, monkeypatch, capsys, launcher, package, extra):
    monkeypatch.setattr(cluster, "find_spec", lambda name: None if name == package else 1)
    assert main(["train", "--multirun", "units=2,3", f"hydra/launcher={launcher}"]) == 2
    told = f"hydra/launcher={launcher}: needs {package}; pip install 'lstm-probe[{extra}]'.\n"
    assert capsys.readouterr().err == told
    assert list(tmp_path.iterdir()) == []


def test_without_slurm_it_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["train", "--multirun", "units=2,3", "hydra/launcher=slurm_array"]) == 2
    assert capsys.readouterr().err == (
        "hydra/launcher=slurm_array: there is no Slurm here (no sbatch, srun, squeue); "
        "type the command on a machine of the cluster.\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_preset_says_what_there_is(capsys):
    assert main(["train", "--multirun", "hydra/launcher=slurm_array", "hydra.launcher.partitoin=x"]) == 2
    assert "partitoin" in capsys.readouterr().err
    assert main(["train", "hydra/launcher=slurm_array", "--cfg", "hydra"]) == 0
    assert "cpus_per_task: 1\n" in capsys.readouterr().out


def test_what_slurm_knows_of_an_array(plays):
    plays("squeue", "echo '7_0 RUNNING'", "echo '7_1 OUT_OF_MEMORY'")
    assert look("7") == {"7_0": "RUNNING", "7_1": "OUT_OF_MEMORY", "": ""}
    plays("squeue", "echo 'slurm_load_jobs error: Invalid job id specified' >&2", "exit 1")
    assert look("7") == {"": ""}
    plays("squeue", "echo 'Unable to contact slurm controller' >&2", "exit 1")
    assert look("7") is None


def test_a_task_that_ended_without_a_word_is_named_with_its_log(tmp_path, plays, slurm):
    launcher, jobs, tasks = slurm
    plays("squeue", "echo '7_0 OUT_OF_MEMORY'")
    done(tasks[1], value=JobReturn(_return_value="as it was", status=JobStatus.COMPLETED))
    returned = launcher.wait("7", jobs, tasks)
    assert returned[1].return_value == "as it was"
    told = json.loads((tmp_path / "sweep/0/job.json").read_text())
    assert (told["settings"], told["status"]) == (["units=0"], "failed")
    assert told["error"] == [
        "Slurm ended it: OUT_OF_MEMORY. Ask for more memory by hydra.launcher.mem_gb=<number>.",
        f"Its log is {tmp_path / '7_0.out'}.",
    ]
    assert [one.return_value.error[0] for one in returned[::2]] == [told["error"][0], "Slurm ended it: UNKNOWN."]


def test_while_slurm_is_silent_or_a_task_is_queued_again_it_is_waited_for(tmp_path, plays, slurm):
    launcher, jobs, tasks = slurm
    count = tmp_path / "count"
    # It does not answer, then the tasks are being queued again, both for longer than its patience; then all is done.
    plays(
        "squeue", f"echo >> {count}", f"n=$(wc -l < {count})", "sleep 0.2",
        'if [ "$n" -lt 4 ]; then echo no controller >&2; exit 1; fi',
        'for k in 0 1 2; do echo "7_$k COMPLETING"; done',
        f'if [ "$n" -gt 7 ]; then for k in 0 1 2; do cp {tmp_path}/result {tmp_path}/7_$k.pkl; done; fi',
    )  # fmt: skip
    (tmp_path / "result").write_bytes(
        pickle.dumps(("success", JobReturn(_return_value="done", status=JobStatus.COMPLETED)))
    )
    assert [one.return_value for one in launcher.wait("7", jobs, tasks)] == ["done"] * 3


def test_a_task_that_failed_around_its_run_is_named(tmp_path, slurm):
    launcher, jobs, tasks = slurm
    for task in tasks:
        done(task, "error", "Traceback\n  x\nModuleNotFoundError: No module named 'lstm_probe'\n")
    returned = launcher.wait("7", jobs, tasks)
    assert returned[0].return_value.error == [
        "ModuleNotFoundError: No module named 'lstm_probe'",
        f"Its log is {tmp_path / '7_0.out'}.",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="submitit needs fcntl")
def test_what_sbatch_is_told(tmp_path, plays, slurm):
    launcher, jobs, _ = slurm
    plays("srun")
    plays("sbatch", f"cp $1 {tmp_path}/script", "echo Submitted batch job 7")
    tasks = launcher.submit(jobs)
    assert [task.job_id for task in tasks] == ["7_0", "7_1", "7_2"]
    script = (tmp_path / "script").read_text().splitlines()
    for line in ("--array=0-2%3", "--requeue", "--time=240", "--cpus-per-task=1", "--signal=USR2@120"):
        assert f"#SBATCH {line}" in script
    assert not any("partition" in line or "--mem" in line for line in script)
    plays("sbatch", "echo 'sbatch: error: no such account' >&2", "exit 1")
    with pytest.raises(InputError, match="not taken by Slurm: sbatch: error: no such account"):
        launcher.submit(jobs)


def test_while_a_task_is_queued_again_it_hears_nothing(slurm):
    _, (job, *_), _ = slurm
    before = {kind: signal.signal(kind, signal.SIG_DFL) for kind in (signal.SIGUSR2, signal.SIGTERM)}
    try:
        assert job.checkpoint().function is job
        assert signal.getsignal(signal.SIGUSR2) is signal.SIG_IGN
        # Slurm ends a task with all that it has begun, scontrol among them, while that queues it again.
        asking = subprocess.run(["sh", "-c", "kill -TERM $$; echo asked"], capture_output=True, text=True, check=False)
        assert (asking.returncode, asking.stdout) == (0, "asked\n")
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
