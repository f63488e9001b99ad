"""The local launcher: what its workers do, what a worker's death costs, what is shown, how much time is left."""

import io
import json
import os
import signal
import subprocess
import time
from multiprocessing import Pipe, get_context
from pathlib import Path

import pandas as pd
import pytest
from hydra._internal.callbacks import Callbacks
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.types import HydraContext, RunMode
from rich.console import Console

from lstm_probe.cli import local, local_shown, main
from lstm_probe.cli.jobs import BAD_INPUT, DONE, FAILED, JobOutcome
from lstm_probe.cli.launch import register_schemas
from lstm_probe.cli.local import LocalLauncher, Workers, size_of
from lstm_probe.cli.local_shown import Job, Shown, about, time_left
from lstm_probe.cli.local_worker import Lines, Speaker, Sweep
from lstm_probe.core.console import Doing, set_up_logging
from lstm_probe.core.files import configuration_folder
from lstm_probe.runs.opening import find_runs
from tests.cli import local_stub
from tests.processes import Command


@pytest.fixture
def sweep(tmp_path):
    """What the jobs of a sweep have in common, and the overrides of all."""
    register_schemas("train")
    hydra = Hydra.create_main_hydra2("lstm_probe", create_config_search_path(str(configuration_folder())))
    common = [f"hydra.sweep.dir={tmp_path}", "hydra.mode=MULTIRUN"]
    composed = hydra.compose_config("train", common, run_mode=RunMode.MULTIRUN, with_log_configuration=False)
    context = HydraContext(config_loader=hydra.config_loader, callbacks=Callbacks())
    yield Sweep(local_stub.job, context, composed, ConfigStore.instance())
    local.staff.dismiss()
    GlobalHydra.instance().clear()


def launched(sweep, lines, jobs=2):
    """Launch these jobs."""
    launcher = LocalLauncher(jobs)
    launcher.setup(hydra_context=sweep.hydra_context, task_function=sweep.task_function, config=sweep.config)
    first = ["hydra.mode=MULTIRUN", f"hydra.sweep.dir={sweep.config.hydra.sweep.dir}"]
    return [one.return_value for one in launcher.launch([[*line, *first] for line in lines], 0)]


def test_jobs_are_done_by_few_processes_and_each_death_costs_one(sweep, tmp_path, monkeypatch, capfd):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    units = [2, 13, 3, 14, 4, 15, 5, 6, 7]
    lines = [[f"units={n}"] for n in units] + [["units=8", "task=no_such"]]
    set_up_logging()
    outcomes = launched(sweep, lines)
    assert "OMP_NUM_THREADS" not in os.environ
    status = {13: FAILED, 14: FAILED, 15: FAILED}
    assert [one.status for one in outcomes] == [*(status.get(n, DONE) for n in units), BAD_INPUT]
    assert [one.settings for one in outcomes] == [[f"units={n}"] for n in units] + [["units=8", "task=no_such"]]
    made = [one.run.split() for one in outcomes if one.status == DONE]
    processes = {process for process, *_ in made}
    assert str(os.getpid()) not in processes and len(processes) <= 4  # two, and those after the two that died
    assert max(int(nth) for _, nth, _ in made) >= 2  # a process does several
    assert {threads for *_, threads in made} == {"1"}
    killed, broken, ended, unknown = outcomes[1], outcomes[3], outcomes[5], outcomes[9]
    assert killed.error == [local.cause(-signal.SIGKILL)] and "out of memory?" in killed.error[0]
    assert broken.error[0] == "RuntimeError: a bug"
    assert "a bug" in Path(broken.error[1].removeprefix("The full traceback is in ").removesuffix(".")).read_text()
    assert "exit code 3" in ended.error[0]
    assert "no_such" in unknown.error[0]
    assert {n: json.loads((tmp_path / str(n) / "job.json").read_text())["status"] for n in (1, 3, 5, 9)} == {
        1: FAILED, 3: FAILED, 5: FAILED, 9: BAD_INPUT}  # fmt: skip
    shown = capfd.readouterr()
    assert sorted(shown.out.splitlines()) == sorted(f"units {n}" for n in units if n not in status)
    assert shown.err.count("half a line\n") == 6
    assert "10 of 10 jobs done, 4 failed" in shown.err
    assert f"error: [job 1] {killed.error[0]}\n" in shown.err


def test_the_largest_begin_first_and_a_single_job_stays_here(sweep, monkeypatch):
    given = []

    def give(self, worker):
        given.append(worker.job.number)
        worker.job.started = time.monotonic()

    def hear(self, sweep, shown):
        for worker in self.all:
            if worker.job is not None:
                worker.job.outcome, worker.job = JobOutcome([]), None

    def start(self, sweep):
        self.all.append(local.Worker(get_context("spawn").Process(), Pipe()[0]))
        return self.all[-1]

    monkeypatch.setattr(Workers, "_start", start)
    monkeypatch.setattr(Workers, "_give", give)
    monkeypatch.setattr(Workers, "_hear", hear)
    launched(sweep, [["units=2"], ["units=32"], [], ["units=8"], ["units=32", "seed=1"]])
    local.staff.all.clear()
    assert given == [1, 2, 4, 3, 0]  # one without units has the configuration's 32
    (alone,) = launched(sweep, [["units=6"]])
    assert alone.run.split()[0] == str(os.getpid())


def test_as_many_workers_as_cores_for_their_threads(sweep, monkeypatch):
    asked = []
    monkeypatch.setattr(local, "cores", lambda: 8)
    monkeypatch.setattr(Workers, "do", lambda self, sweep, jobs, most: asked.append(most) or [
        setattr(job, "outcome", JobOutcome([])) for job in jobs])  # fmt: skip
    lines = [["units=2"]] * 20
    launched(sweep, lines, None)
    launched(sweep, lines[:3], None)
    launched(sweep, lines, 5)
    sweep.config.threads = 4
    launched(sweep, lines, None)
    sweep.config.threads = 100
    launched(sweep, lines, None)
    assert asked == [8, 3, 5, 2, 1]


@pytest.mark.parametrize(("lines", "size"), [(["units=4", "units=8"], 8), (["seed=3"], 32), (["+units=5"], 5),
                                              (["units=choice(2,4)"], 32)])  # fmt: skip
def test_the_size_of_a_job(lines, size, sweep):
    assert size_of(lines, sweep.config) == size


def finished(size, seconds, **settings):
    return Job(0, [], [], size, 0.0, outcome=JobOutcome([], seconds=seconds, **settings))


def test_time_left_as_counted_by_hand():
    waiting = [Job(0, [], [], size) for size in (4, 8, 4)]
    assert time_left(waiting, 2, 100.0) is None
    assert time_left([finished(4, 1.0, found=True), finished(4, 9.0, status=FAILED), *waiting], 2, 100.0) is None
    # 8 units: 10 s; 4 units: (4 + 6) / 2 = 5 s; one of 8 has run for 7 s, one of 4 for longer than it should.
    ended = [finished(8, 10.0), finished(4, 4.0), finished(4, 6.0), finished(4, 0.1, found=True)]
    running = [Job(0, [], [], 8, 93.0), Job(0, [], [], 4, 50.0)]
    assert time_left([*ended, *running], 2, 100.0) == 3.0
    # free after 0 s: 8 units until 10; free after 3 s: 4 until 8, then 4 until 13.
    assert time_left([*ended, *running, *waiting], 2, 100.0) == 13.0
    assert time_left([*ended, *running, *waiting], 4, 100.0) == 10.0
    # 16 units are nearer to 8 than to 4, 5 to 4
    assert time_left([*ended, Job(0, [], [], 16), Job(0, [], [], 5)], 1, 100.0) == 15.0
    assert time_left(ended, 2, 100.0) == 0.0


@pytest.mark.parametrize(("seconds", "said"), [(0.2, "10 s"), (54, "50 s"), (56, "1 min"), (3540, "59 min"),
                                                (3600, "1 h"), (169200, "47 h"), (2592000, "30 days")])  # fmt: skip
def test_times_in_words(seconds, said):
    assert about(seconds) == said


@pytest.mark.parametrize("width", [80, 40])
def test_the_lines_of_running_jobs_fit(width, monkeypatch):
    settings = [[f"units={n}", "task=flipflop", f"task.p_pulse=0.{n}", f"seed={n}", "steps=40"] for n in range(30)]
    jobs = [Job(n, [], own, 4.0) for n, own in enumerate(settings)]
    for job in jobs[:20]:
        job.started = 0.0
    jobs[0].outcome = JobOutcome([], seconds=30.0)
    jobs[1].outcome = JobOutcome([], FAILED)
    jobs[2].doing = Doing("training", 400, 1000, 0.517)
    jobs[3].doing = Doing("comparing with untrained networks, of which there are many")
    monkeypatch.setattr(local_shown.time, "monotonic", lambda: 20.0)
    screen = Console(file=io.StringIO(), width=width, height=10, force_terminal=True, color_system=None)
    screen.print(Shown(jobs, 20))
    lines = screen.file.getvalue().splitlines()
    assert len(lines) == 9 and max(map(len, lines)) <= width
    assert lines[0].startswith("2: units=2 ") and "task=flipflop" not in lines[0] and "━" * 10 in lines[0]
    assert width < 80 or lines[0].split() == ["2:", "units=2", "task.p_pulse=0.2", "seed=2", "training", "━" * 10,
                                              "score", "0.52"]  # fmt: skip
    assert ("score 0.52" in lines[0]) == (width == 80)
    assert lines[7] == "and 11 more" and "2 of 30 jobs done, 1 failed" in lines[8]
    assert width < 80 or "about 40 s left" in lines[8]


def test_lines_come_whole_and_a_leader_that_is_gone_is_no_error():
    ours, theirs = Pipe()
    speaker = Speaker(theirs)
    stream = Lines(speaker, "out")
    assert stream.write("one\ntwo") == 7 and stream.writable()
    stream.write("\n\nthree\n")
    stream.write("half")
    for n in range(3):
        speaker.doing(Doing("training", n, 10))
    speaker.doing(Doing("probing"))
    sent = [ours.recv() for _ in range(4)]
    assert sent == [("out", "one"), ("out", "two\n\nthree"), ("doing", Doing("training", 0, 10)),
                    ("doing", Doing("probing"))]  # fmt: skip
    assert not ours.poll()
    ours.close()
    stream.write("nobody\n")
    theirs.close()


SMALL = ("task=flipflop", "task.bits=2", "task.length=12", "steps=300", "evaluate_every=50", "stop_when_solved=false",
         "test_sequences=32", "probe.sequences=30", "probe.permutations=19", "probe.bootstrap=10", "probe.untrained=1",
         "probe.analyses=[probes]", "ablate.analyses=[dimension]", "dynamics.analyses=[state_space]",
         "units=2,3", "seed=0")  # fmt: skip


def started(outputs, *words):
    return Command("train", "--multirun", *SMALL, *words, f"outputs={outputs}", stdout=subprocess.PIPE,
                   stderr=subprocess.PIPE, text=True)  # fmt: skip


def workers_of(process):
    listed = subprocess.run(["ps", "-ewwo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(maxsplit=2) for line in listed.splitlines()]
    return [int(pid) for pid, parent, args in rows if parent == str(process.pid) and "spawn_main" in args]


@pytest.mark.slow
def test_the_same_command_finishes_what_a_killed_worker_left(tmp_path):
    leader = started(tmp_path / "killed", "hydra.launcher.jobs=1")
    begun = "killed/runs/flipflop/.u3*.partial/train.log"
    while not (half := list(tmp_path.glob(begun))) and leader.poll() is None:
        time.sleep(0.01)
    (worker,) = workers_of(leader)
    os.kill(worker, signal.SIGKILL)
    out, err = leader.communicate()
    assert leader.returncode == 1, err
    assert half and "job 1 (units=3) failed: Its process was killed by signal 9 (SIGKILL); out of memory?" in out
    assert "1 of 2 jobs finished" in out
    again, whole = started(tmp_path / "killed"), started(tmp_path / "whole", "hydra/launcher=basic")
    out, err = again.communicate()
    assert again.returncode == 0, err
    assert "found" in out and "2 of 2 jobs finished, 1 of them found." in out
    whole.communicate()
    (runs, damaged), (others, _) = find_runs(tmp_path / "killed"), find_runs(tmp_path / "whole")
    assert [run.name for run in runs] == [run.name for run in others] and len(runs) == 2 and not damaged
    for run, other in zip(runs, others, strict=True):
        run.check()
        for name in ("history", "probes"):
            tables = [getattr(one, name).drop(columns="seconds", errors="ignore") for one in (run, other)]
            pd.testing.assert_frame_equal(*tables, check_exact=True)
    assert not list((tmp_path / "killed" / "runs").rglob(".*"))


@pytest.mark.parametrize("jobs", [0, -3])
def test_a_sweep_of_fewer_jobs_than_one_at_a_time_is_refused(jobs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--multirun", "seed=0,1", "units=2", f"hydra.launcher.jobs={jobs}"]) == 2
    assert f"hydra.launcher.jobs={jobs}: must be a whole number from 1 on, or null." in capsys.readouterr().err
    assert not any(tmp_path.iterdir())
