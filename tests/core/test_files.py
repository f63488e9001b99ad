"""Files and folders after errors, full disks and kills; the lock of a place between processes."""

import hashlib
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lstm_probe.core import files
from lstm_probe.core.files import mend_folder, publish_folder, sha256, write_whole
from lstm_probe.core.holding import held
from tests.processes import FRESH


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("content", "want"),
    [
        ("é\n", b"\xc3\xa9\n"),
        (b"\x00abc", b"\x00abc"),
        (memoryview(b"abcd"), b"abcd"),
        ([b"ab", memoryview(b"cd"), b""], b"abcd"),
        ((b"x" for _ in range(9)), b"xxxxxxxxx"),
        (b"", b""),
        ([], b""),
    ],
)
def test_what_is_written_is_what_was_given(tmp_path, content, want):
    told = write_whole(tmp_path / "f", content)
    assert (tmp_path / "f").read_bytes() == want
    assert told == (hashlib.sha256(want).hexdigest(), len(want)) and told[0] == sha256(tmp_path / "f")
    assert names(tmp_path) == ["f"]
    (tmp_path / "open").touch()
    assert (tmp_path / "f").stat().st_mode == (tmp_path / "open").stat().st_mode  # for whom others' files are, too


def breaks():
    yield b"half"
    assert len(names(Path())) == 2  # it is written beside what stands there
    raise KeyboardInterrupt


def test_what_stood_there_stays_when_writing_fails(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_whole(Path("f"), "old")
    with pytest.raises(KeyboardInterrupt):
        write_whole(Path("f"), breaks())
    assert Path("f").read_text() == "old" and names(tmp_path) == ["f"]
    Path("folder").mkdir()
    for path in (Path("folder"), Path("nowhere/f")):
        with pytest.raises(OSError, match=str(path)) as caught:
            write_whole(path, "new")
        assert caught.value.filename == str(path)  # not that of a hidden file
    assert names(tmp_path) == ["f", "folder"]


def test_a_full_disk_leaves_nothing_behind(tmp_path):
    write_whole(tmp_path / "f", "old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_whole(tmp_path / "f", [bytes(6_000)] * 20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "f").read_text() == "old" and names(tmp_path) == ["f"]


@pytest.fixture
def calls(monkeypatch):
    """What reaches the disk, in order: names of what is synced, and of what is renamed to what."""
    seen, sync, rename, replace = [], os.fsync, Path.rename, Path.replace

    def watched_sync(descriptor):
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        seen.append(("sync", path.name, path.stat().st_size if path.is_file() else None))
        sync(descriptor)

    def watched(function):
        def call(path, target):
            seen.append(("rename", path.name, target.name))
            return function(path, target)

        return call

    monkeypatch.setattr(os, "fsync", watched_sync)
    monkeypatch.setattr(Path, "rename", watched(rename))
    monkeypatch.setattr(Path, "replace", watched(replace))
    return seen


def test_a_file_is_on_the_disk_before_its_name_and_its_name_before_the_end(tmp_path, calls):
    write_whole(tmp_path / "f", [b"ab", b"cde"])
    (first, partial, size), (second, source, target), last = calls
    assert (first, size, second, target) == ("sync", 5, "rename", "f") and source == partial
    assert partial.startswith(".f.") and last == ("sync", tmp_path.name, None)


def made_folder(path, content="new"):
    (path / "inner").mkdir(parents=True)
    (path / "a").write_text(content)
    (path / "inner" / "b").write_text(content)
    return path


@pytest.mark.parametrize("replaced", [False, True])
def test_a_folder_is_on_the_disk_before_its_name_and_its_name_before_the_end(tmp_path, calls, replaced):
    partial, folder = made_folder(tmp_path / ".x.partial"), tmp_path / "x"
    if replaced:
        made_folder(folder, "old")
    publish_folder(partial, folder)
    k = next(k for k, call in enumerate(calls) if call[0] == "rename")
    assert sorted(name for _, name, _ in calls[:k]) == [".x.partial", "a", "b", "inner"]
    renamed = [("rename", "x", ".x.old")] * replaced + [("rename", ".x.partial", "x")]
    assert calls[k:] == [*renamed, ("sync", tmp_path.name, None)]
    assert names(tmp_path) == ["x"] and (folder / "inner" / "b").read_text() == "new"


def test_a_folder_that_can_not_take_its_place_leaves_the_old_one(tmp_path, monkeypatch):
    folder = made_folder(tmp_path / "x", "old")
    with pytest.raises(FileNotFoundError):
        publish_folder(tmp_path / ".x.partial", folder)  # there is none
    partial, rename = made_folder(tmp_path / ".x.partial"), Path.rename

    def full(path, target):
        if path == partial:
            raise OSError("no room")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(OSError, match="no room"):
        publish_folder(partial, folder)
    assert names(tmp_path) == [".x.partial", "x"] and (folder / "a").read_text() == "old"


def test_what_a_killed_writer_left_is_not_published(tmp_path):
    partial = made_folder(tmp_path / ".x.partial")
    (partial / "inner" / ".b.01234567.partial").write_text("half")
    publish_folder(partial, tmp_path / "x")
    assert names(tmp_path / "x") == ["a", "inner"] and names(tmp_path / "x" / "inner") == ["b"]


@pytest.mark.parametrize("new_is_in", [False, True])
def test_an_exchange_that_was_cut_in_two_is_put_right(tmp_path, new_is_in):
    made_folder(tmp_path / ".x.old", "old")
    if new_is_in:
        made_folder(tmp_path / "x")
    for _ in range(2):
        mend_folder(tmp_path / "x")
        assert names(tmp_path) == ["x"] and (tmp_path / "x" / "a").read_text() == ("new" if new_is_in else "old")


@pytest.mark.parametrize("moment", [0, 1, 2, 3])
def test_what_others_put_into_a_folder_meanwhile_stays_wherever_its_exchange_is_cut(tmp_path, moment):
    folder, partial = made_folder(tmp_path / "x", "old"), made_folder(tmp_path / ".x.partial")
    for name in ("done", ".half.partial"):
        made_folder(folder / "analyses" / name, name)
    left, rename = [moment], os.rename

    def cut(*paths):
        left[0] -= 1
        if not left[0]:
            os._exit(0)
        rename(*paths)

    process = os.fork()
    if not process:
        os.rename = cut
        Path.rename = lambda path, target: cut(path, target)
        publish_folder(partial, folder, keep=True)
        os._exit(0)
    os.waitpid(process, 0)
    if moment == 3:  # and somebody was there before it was put right
        made_folder(folder / "analyses" / "later", "later")
    mend_folder(folder)
    assert (folder / "a").read_text() == ("old" if moment in (1, 2) else "new")
    made = {path.name: (path / "a").read_text() for path in (folder / "analyses").iterdir()}
    assert made == {name: name for name in ("done", ".half.partial", *["later"] * (moment == 3))}
    assert names(tmp_path) == sorted(["x", *[".x.partial"] * (moment in (1, 2))])


KILLED = """
import os, signal, sys
from pathlib import Path
from lstm_probe.core.files import publish_folder, write_whole

left, place = int(sys.argv[1]), Path(sys.argv[2])

def deadly(function):
    def call(*args):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args)
    return call

os.fsync, Path.replace, Path.rename = deadly(os.fsync), deadly(Path.replace), deadly(Path.rename)
write_whole(place / "f", "new" * 1000)
publish_folder(place / ".x.partial", place / "x")
"""


def test_a_kill_at_any_moment_leaves_the_old_or_the_new(tmp_path):
    seen = []
    for moment in range(1, 20):
        place = tmp_path / str(moment)
        made_folder(place / ".x.partial", "new" * 1000)
        made_folder(place / "x", "old")
        (place / "f").write_text("old")
        done = subprocess.run([sys.executable, "-c", KILLED, str(moment), str(place)], check=False)
        mend_folder(place / "x")
        found = [path.read_text() for path in (place / "f", place / "x" / "a", place / "x" / "inner" / "b")]
        assert set(found) <= {"old", "new" * 1000} and found[1] == found[2]
        seen.append((len(found[0]) > 3, len(found[1]) > 3))
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
        write_whole(place / "f", "again")
        assert (place / "f").read_text() == "again"
    # The file, its rename, its name; 4 things of the folder, 2 renames, its name; and the one that lives: 11 in all.
    assert seen == sorted(seen) and len(seen) == 11 and set(seen) == {(False, False), (True, False), (True, True)}


def hold(path, started, going, order):
    with held(path):
        started.set()
        assert going.wait(60)
        order.put("first")


def take(path, order):
    with held(path):
        order.put("second")


def holder(path):
    """Start a process that holds a lock; return it, the event that lets it go, and the order of those that had it."""
    started, going, order = FRESH.Event(), FRESH.Event(), FRESH.Queue()
    process = FRESH.Process(target=hold, args=(path, started, going, order))
    process.start()
    assert started.wait(60)
    return process, going, order


def test_a_lock_is_held_by_one_process_at_a_time(tmp_path):
    path = tmp_path / "folder" / ".lock"
    first, going, order = holder(path)
    second = FRESH.Process(target=take, args=(path, order))
    second.start()

    def refuse():
        raise RuntimeError("held")

    with pytest.raises(RuntimeError, match="held"), held(path, refuse):
        raise AssertionError
    second.join(1)
    assert second.is_alive() and order.empty()
    going.set()
    assert [order.get(timeout=60) for _ in range(2)] == ["first", "second"]
    for process in (first, second):
        process.join(60)
        assert process.exitcode == 0
    with held(path, refuse):
        pass
    assert names(path.parent) == []


def test_a_lock_whose_folder_goes_while_it_is_waited_for_is_taken_anew(tmp_path):
    path = tmp_path / "folder" / ".lock"
    other, going, _ = holder(path)

    def waiting():
        going.set()
        other.join(60)
        path.parent.rmdir()

    with held(path, waiting):
        assert path.exists()


def test_a_lock_goes_with_its_process(tmp_path):
    path = tmp_path / ".lock"
    other, _, _ = holder(path)
    waited = []

    def waiting():
        waited.append(path)
        other.kill()

    with held(path, waiting):
        assert waited == [path]
    other.join(60)


def test_a_disk_that_can_not_sync_names_is_no_error_but_a_bad_one_is(tmp_path, monkeypatch):
    for number, wanted in ((22, None), (5, OSError)):

        def fails(descriptor, number=number):
            if Path(f"/proc/self/fd/{descriptor}").is_dir():
                raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, "fsync", fails)
        if wanted is None:
            files.sync(tmp_path)
        else:
            with pytest.raises(wanted):
                files.sync(tmp_path)
