"""Ctrl-C ends a command as an interruption, even where a library swallows it."""

import os
import signal
import subprocess
import time

import pytest
from hydra._internal.hydra import Hydra

from lstm_probe import cli
from lstm_probe.cli import interrupts, main
from lstm_probe.cli.commands import describe
from tests.processes import Command


@pytest.fixture(autouse=True)
def hear_ctrl_c():
    """As in a terminal; what runs in the background may be told to ignore Ctrl-C."""
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL, signal.SIGHUP: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def interrupted_inside(_, kind=signal.SIGINT):
    """What an import does that is cut short and catches everything."""
    try:
        os.kill(os.getpid(), kind)
    except KeyboardInterrupt:
        raise RuntimeError("half imported") from None


@pytest.mark.parametrize(("kind", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_swallowed_interruption_is_still_one(tmp_path, monkeypatch, capfd, kind, code):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(describe, "run", lambda config: interrupted_inside(config, kind))
    monkeypatch.setattr(cli, "silence", lambda *_: None)
    assert main(["describe"]) == code
    assert "Interrupted" in capfd.readouterr().err and not list(tmp_path.iterdir())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(kind) is not interrupts._interrupt


def test_a_launcher_that_takes_it_for_a_failure_of_its_workers_does_not_make_it_one(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Hydra, "multirun", lambda *_: interrupted_inside(None, signal.SIGTERM))
    assert main(["train", "--multirun", "units=2,3"]) == 143
    assert "Interrupted" in capfd.readouterr().err


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_one_that_is_swallowed_without_a_trace_comes_again(tmp_path, monkeypatch, kind):
    """As in a callback of the garbage collector, where Python itself throws errors away."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(interrupts, "AGAIN", 0.1)
    swallowed = []

    def goes_on(_):
        for _ in range(2):
            try:
                os.kill(os.getpid(), kind)
                time.sleep(30)
            except KeyboardInterrupt:
                swallowed.append(kind)
        time.sleep(30)
        pytest.fail("not interrupted")

    monkeypatch.setattr(describe, "run", goes_on)
    assert main(["describe"]) == 128 + kind and swallowed == [kind, kind]


def test_what_is_ignored_stays_so(tmp_path, monkeypatch):
    """As under nohup."""
    monkeypatch.chdir(tmp_path)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    monkeypatch.setattr(describe, "run", lambda _: os.kill(os.getpid(), signal.SIGHUP))
    assert main(["describe"]) == 0


def test_a_second_signal_does_not_cut_the_putting_away_short(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def puts_away(_):
        try:
            os.kill(os.getpid(), signal.SIGHUP)
        finally:
            for kind in (signal.SIGHUP, signal.SIGTERM):
                os.kill(os.getpid(), kind)
            (tmp_path / "away").touch()

    monkeypatch.setattr(describe, "run", puts_away)
    monkeypatch.setattr(cli, "silence", lambda *_: None)
    assert main(["describe"]) == 129 and (tmp_path / "away").exists()


@pytest.mark.parametrize("before", [False, True])
def test_an_error_after_an_earlier_interruption_is_an_error(tmp_path, monkeypatch, before):
    def broken(_):
        raise RuntimeError("a bug")

    monkeypatch.chdir(tmp_path)
    if before:
        monkeypatch.setattr(describe, "run", interrupted_inside)
        assert main(["describe"]) == 130
    monkeypatch.setattr(describe, "run", broken)
    assert main(["describe"]) == 1


LONG = ["task=flipflop", "steps=1000000", "stop_when_solved=false", "evaluate_every=50"]
LAUNCHERS = {
    "local": ["hydra.launcher.jobs=2"],
    "joblib": ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
}


def processes(session):
    """Those of a session that are still there."""
    listed = subprocess.run(["ps", "-eo", "pid,sid,stat"], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listed.splitlines()[1:]]
    return [pid for pid, own, state in rows if int(own) == session and not state.startswith("Z")]


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGKILL, signal.SIGHUP, signal.SIGINT])
def test_workers_go_with_their_leader_and_leave_nothing_half_written(tmp_path, kind, launcher):
    sweep = ["--multirun", "units=2,3,4", *LAUNCHERS[launcher], *LONG, f"outputs={tmp_path}"]
    leader = Command("train", *sweep, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                     start_new_session=True)  # fmt: skip
    for _ in range(1200):
        if len(list(tmp_path.glob("runs/*/.*.partial/train.log"))) == 2 or leader.poll() is not None:
            break
        time.sleep(0.05)
    assert len(processes(leader.pid)) >= 3  # it, and two workers
    leader.send_signal(kind)
    for _ in range(100):  # 5 seconds, and more on a machine that does much else
        leader.poll()
        if not processes(leader.pid):
            break
        time.sleep(0.1)
    assert processes(leader.pid) == []
    said = leader.communicate()[1]
    assert leader.returncode == (-9 if kind == signal.SIGKILL else 128 + kind), said
    assert "Traceback" not in said
    left = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "multirun.yaml"]
    assert [path for path in left if path.suffix in (".lock", ".partial")] == []
    # What was reached stays, to go on from: a whole checkpoint, and the run's log and configuration beside it.
    assert {path.parent for path in left} == {path.parent for path in left if path.name == "checkpoint.pt"}
