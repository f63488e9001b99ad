"""A place is held by one process at a time, on several machines too, whatever the disk's own locks are worth."""

import errno
import fcntl
import os
import signal
import threading
import time
from pathlib import Path

import filelock
import pytest

from lstm_probe.core import holding
from lstm_probe.core.holding import TakenOverError, confirm, held
from lstm_probe.runs.store import claim, publish
from tests.processes import FRESH

#: What a network disk's locks may be: good on all machines, good within one, none.
LOCKS = ("across", "within", "none")
LEASE = 2.0


def be(machine, locks, lease=LEASE):
    """Let this process be on another machine, and its disk have such locks."""
    holding.LEASE, holding._machine = lease, lambda: machine
    if locks == "within":
        usual = filelock.FileLock
        filelock.FileLock = lambda path, **settings: usual(f"{path}.{machine}", **settings)
    if locks == "none":

        def no_locks(*_):
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

        fcntl.flock = no_locks


@pytest.fixture
def here(monkeypatch):
    """The same for the process of the tests, until the end of one; being `a`, unless told otherwise."""
    for owner, name in ((holding, "LEASE"), (holding, "_machine"), (filelock, "FileLock"), (fcntl, "flock")):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    return be


def started(function, *arguments):
    """Start a process; return it and its end of a pipe, which it gets first."""
    ours, theirs = FRESH.Pipe()
    process = FRESH.Process(target=function, args=(theirs, *arguments), daemon=True)
    process.start()
    return process, ours


def hear(pipe):
    assert pipe.poll(60)
    return pipe.recv()


def holds(pipe, path, machine, locks, lease=LEASE):
    be(machine, locks, lease)
    with held(path):
        pipe.send("held")
        pipe.recv()


def in_turns(pipe, path, machine, locks, times):
    be(machine, locks, 60)
    inside = path.with_name("inside")
    for _ in range(times):
        with held(path):
            os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
            time.sleep(0.01)
            inside.unlink()
    pipe.send("done")


@pytest.mark.parametrize("locks", LOCKS)
def test_processes_of_several_machines_hold_it_in_turns(tmp_path, locks):
    path = tmp_path / ".lock"
    pipes = [started(in_turns, path, machine, locks, 8)[1] for machine in "aabb"]
    assert [hear(pipe) for pipe in pipes] == ["done"] * 4
    assert not list(tmp_path.glob("*claim*")) and not path.exists()


@pytest.mark.parametrize("locks", LOCKS)
def test_who_gives_signs_of_life_is_waited_for(tmp_path, here, locks):
    path = tmp_path / ".lock"
    process, pipe = started(holds, path, "b", locks)
    hear(pipe)
    here("a", locks)
    waited = []

    def waiting():
        waited.append(path)
        threading.Timer(2 * LEASE, pipe.send, ["go"]).start()

    with held(path, waiting) as hold:
        assert waited == [path] and not hold.foreign
    process.join(60)


@pytest.mark.parametrize("locks", LOCKS)
def test_the_place_of_a_machine_that_died_is_taken_over(tmp_path, here, locks):
    path = tmp_path / ".lock"
    process, pipe = started(holds, path, "b", locks)
    hear(pipe)
    here("a", locks)
    waited = []

    def waiting():
        waited.append(path)
        process.kill()

    with held(path, waiting) as hold:
        assert waited == [path] and hold.foreign


@pytest.mark.parametrize("locks", LOCKS)
def test_of_this_machine_a_killed_process_frees_it_at_once(tmp_path, here, locks):
    path = tmp_path / ".lock"
    process, pipe = started(holds, path, "a", locks)
    hear(pipe)
    here("a", locks, 1e9)  # a lease would last as long as this test's patience
    with held(path, process.kill) as hold:
        assert not hold.foreign


def test_where_the_lock_is_held_a_process_of_this_machine_is_waited_for_though_it_stands_still(tmp_path, here):
    path = tmp_path / ".lock"
    process, pipe = started(holds, path, "a", "across")
    hear(pipe)
    here("a", "across")
    os.kill(process.pid, signal.SIGSTOP)

    def go_on():
        os.kill(process.pid, signal.SIGCONT)
        pipe.send("go")

    with held(path, threading.Timer(2 * LEASE, go_on).start) as hold:
        assert not hold.foreign


def test_who_is_too_late_by_a_moment_waits(tmp_path, here, monkeypatch):
    here("a", "none", 0.5)
    (tmp_path / ".lock.claim").write_text("01234567 b 1 1")
    look, looks = holding._look, []

    def not_there_yet(claim):
        looks.append(claim)
        return look(claim) if len(looks) > 1 else None

    monkeypatch.setattr(holding, "_look", not_there_yet)
    with held(tmp_path / ".lock") as hold:
        assert hold.foreign


def makes(pipe, folder, machine, locks):
    """Make a run of one file, word by word, and say what came of it."""
    be(machine, locks)
    try:
        with claim(folder) as partial:
            partial.mkdir(exist_ok=True)
            with (partial / "train.log").open("a") as log:
                pipe.send(str(partial))
                pipe.recv()
                log.write("what came too late\n")
                log.flush()
                (partial / "run.json").write_text("made too late")
                publish(partial, folder)
    except TakenOverError as error:
        pipe.send(str(error))


@pytest.mark.parametrize("locks", ["within", "none"])
def test_who_stood_still_for_too_long_harms_nothing(tmp_path, here, locks):
    folder = tmp_path / "runs" / "t" / "u1-s0-00000000"
    process, pipe = started(makes, folder, "b", locks)
    theirs = Path(hear(pipe))
    os.kill(process.pid, signal.SIGSTOP)
    (theirs / "checkpoint.pt").write_text("half")
    here("a", locks)
    with claim(folder) as partial:
        assert (partial / "checkpoint.pt").read_text() == "half" and not theirs.exists()
        pipe.send("go")
        os.kill(process.pid, signal.SIGCONT)
        assert "another one took its place over" in hear(pipe)
        (partial / "run.json").write_text("made in time")
        publish(partial, folder)
    process.join(60)
    found = {path.name: path.read_text() for path in folder.iterdir()}
    assert found == {"run.json": "made in time", "checkpoint.pt": "half", "train.log": ""}
    assert [path.name for path in folder.parent.iterdir() if "lock." not in path.name] == [folder.name]


def test_what_is_published_after_it_was_lost_is_not(tmp_path, here):
    folder = tmp_path / "runs" / "t" / "u1-s0-00000000"
    with pytest.raises(TakenOverError), claim(folder) as partial:
        (folder.parent / f".{folder.name}.lock.claim").write_text("01234567 another 1 1")
        folder.mkdir()
        (folder / "run.json").write_text("theirs")
        partial.mkdir()
        publish(partial, folder)
    assert (folder / "run.json").read_text() == "theirs"


def test_a_claim_that_says_nothing_is_one_until_its_time_is_over(tmp_path, here):
    here("a", "across", 0.5)
    path = tmp_path / ".lock"
    (tmp_path / ".lock.claim").touch()
    waited = []
    with held(path, lambda: waited.append(path)) as hold:
        assert hold.foreign and waited == [path]


def test_a_full_disk_can_still_be_read(tmp_path, monkeypatch):
    write = os.write

    def full(descriptor, content):
        if str(Path(f"/proc/self/fd/{descriptor}").readlink()).endswith(".claim"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(descriptor, content)

    monkeypatch.setattr(os, "write", full)
    path = tmp_path / ".lock"
    with held(path) as hold:
        assert hold.mine() and (tmp_path / ".lock.claim").read_text() == ""
        (tmp_path / "other").touch()
        (tmp_path / "other").replace(tmp_path / ".lock.claim")
        assert not hold.mine()
        with pytest.raises(TakenOverError):
            confirm(path)


def test_a_lock_that_fails_for_another_reason_is_an_error(tmp_path, monkeypatch):
    def fails(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", fails)
    with pytest.raises(OSError, match="Input/output"), held(tmp_path / ".lock"):
        raise AssertionError
