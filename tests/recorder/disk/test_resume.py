"""What lies on disk after a kill or on a full disk, and how a recording goes on from there."""

import logging
import resource
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch

import lstm_probe as lp
from lstm_probe.core.errors import InputError
from lstm_probe.recorder.disk import writing as streaming
from tests.recorder.disk.made import batches, content, lstm, tensors


def test_an_interrupted_recording_goes_on_where_it_was(tmp_path, monkeypatch):
    net, given = lstm(), batches(5)
    lp.record(net, given, to=tmp_path / "whole", shard_bytes=30_000)
    made, recorded = [], streaming.Writer._record

    def stops(count):
        for k, batch in enumerate(given):
            if k == count:
                raise KeyboardInterrupt
            yield batch

    def counted(self, *args):
        made.append(self.batches)
        return recorded(self, *args)

    monkeypatch.setattr(streaming.Writer, "_record", counted)
    for count in (2, 3):
        with pytest.raises(KeyboardInterrupt):
            lp.record(net, stops(count), to=tmp_path / "r", shard_bytes=30_000)
        with pytest.raises(InputError, match="unfinished"):
            lp.open_recording(tmp_path / "r")
    (tmp_path / "r" / "shard-00001.safetensors").unlink()  # of batch 0
    lp.record(net, stops(9), to=tmp_path / "r", shard_bytes=30_000)
    assert made == [0, 1, 2, 0, 3, 4]
    lp.record(net, given, to=tmp_path / "r", shard_bytes=30_000)
    assert made == [0, 1, 2, 0, 3, 4] and content(tmp_path / "r") == content(tmp_path / "whole")


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
import lstm_probe as lp
from tests.recorder.disk.made import batches, content, lstm

root, net, given = Path(sys.argv[1]), lstm(), batches(2)
lp.record(net, given, to=root / "whole", shard_bytes=30_000)
count = 0

def deadly(function):
    def call(*args):
        global count
        for _ in range(2):  # before and after
            count -= 1
            if not count:
                os.kill(os.getpid(), signal.SIGKILL)
            result = function(*args) if _ == 0 else result
        return result
    return call

os.fsync, Path.replace = deadly(lambda file: None), deadly(Path.replace)
point = survived = 0
while not survived:
    point += 1
    folder = root / str(point)
    child = os.fork()
    if not child:
        count = point
        lp.record(net, iter(given), to=folder, shard_bytes=30_000)
        os._exit(0)
    survived = os.waitpid(child, 0)[1] == 0
    count = 0
    lp.record(net, iter(given), to=folder, shard_bytes=30_000)
    assert content(folder) == content(root / "whole"), point
print(point)
"""


@pytest.mark.slow
def test_killed_at_any_point_and_resumed_it_is_the_same_bytes(tmp_path):
    command = [sys.executable, "-W", "ignore", "-c", KILLED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 40


SLOW = """
import sys, time
import lstm_probe as lp
from tests.recorder.disk.made import batches, lstm

def slow():
    for batch in batches(20):
        time.sleep(0.2)
        yield batch

lp.record(lstm(), slow(), to=sys.argv[1])
"""


def test_killed_from_outside_and_resumed_it_is_the_same_bytes(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", SLOW, str(tmp_path / "r")])
    while not (tmp_path / "r" / "shard-00003.safetensors").exists():
        assert process.poll() is None
        time.sleep(0.01)
    with pytest.raises(InputError, match="another process is recording into it"):
        lp.record(lstm(), batches(20), to=tmp_path / "r")
    process.send_signal(signal.SIGKILL)
    process.wait()
    lp.record(lstm(), iter(batches(20)), to=tmp_path / "r")
    lp.record(lstm(), batches(20), to=tmp_path / "whole")
    assert content(tmp_path / "r") == content(tmp_path / "whole")


@pytest.mark.parametrize(
    ("problem", "change"),
    [
        ("other weights", {"net": lambda: lstm(seed=1)}),
        ("lstm: ", {"net": lambda: lstm(bias=False)}),
        ("variables: h c i f g o there, h c here", {"variables": "ch"}),
        ("shard_bytes: None there, 90000 here", {"shard_bytes": 90_000}),
        ("batch 1 is not the one", {"given": lambda: batches(2, sequences=5)}),
        ("batch 0 is not the one", {"given": lambda: [b.inputs for b in batches(2)]}),
        ("more batches are recorded there than the 1 given", {"given": lambda: batches(1)}),
    ],
)
def test_a_resume_that_does_not_fit_is_refused_and_changes_nothing(tmp_path, problem, change):
    lp.record(lstm(), batches(1) + batches(2)[1:], to=tmp_path / "r")
    before = content(tmp_path / "r")
    net, given = change.pop("net", lstm)(), change.pop("given", lambda: batches(2))()
    if problem.startswith("batch 1"):
        given[0] = batches(1)[0]
    with pytest.raises(InputError, match=problem):
        lp.record(net, given, to=tmp_path / "r", **change)
    assert content(tmp_path / "r") == before


def test_more_batches_can_be_added_to_a_finished_recording(tmp_path):
    lp.record(lstm(), batches(2), to=tmp_path / "r")
    lp.record(lstm(), batches(4), to=tmp_path / "r")
    lp.record(lstm(), batches(4), to=tmp_path / "whole")
    assert content(tmp_path / "r") == content(tmp_path / "whole")


def test_how_much_disk_it_takes_is_said_first(tmp_path, caplog, monkeypatch):
    caplog.set_level(logging.INFO, logger="lstm_probe")
    net, given, seen = lstm(), tensors(*[(64, 50)] * 3), []
    monkeypatch.setattr(streaming.Writer, "_write", lambda *_: seen.append(list(caplog.messages)))
    with pytest.raises(InputError):  # nothing was written
        lp.record(net, given, to=tmp_path / "r")
    values = 3 * 64 * (50 * (7 + 6 * 5) * 4 + 8)
    assert seen[0] and f"about {values / 1e6:.1f} MB for 3 batches" in seen[0][0]
    monkeypatch.undo()
    lp.record(net, iter(given), to=tmp_path / "s")
    assert "for each batch of 64 sequences; how many there are is not known" in caplog.messages[-1]
    lp.record(net, iter(given), to=tmp_path / "t", sequences=192)
    assert f"about {values / 1e6:.1f} MB for 192 sequences" in caplog.messages[-1]
    used = shutil._ntuple_diskusage(10**9, 10**9, 10**6)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: used)
    with pytest.raises(OSError, match=r"needs about 1\.4 MB for 3 batches, but the disk has 1\.0 MB free"):
        lp.record(net, given, to=tmp_path / "u")
    assert not (tmp_path / "u").exists()
    (tmp_path / "t" / "shard-00001.safetensors").unlink()
    lp.record(net, given, to=tmp_path / "t")  # for what is missing there is room
    lp.open_recording(tmp_path / "t").verify()


def test_a_full_disk_leaves_no_half_shard(tmp_path):
    net, given = lstm(), tensors((4, 9), (400, 50), (4, 9))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            lp.record(net, given, to=tmp_path / "r")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(content(tmp_path / "r")) == ["index.json", "shard-00000.safetensors"]
    assert torch.equal(lp.record(net, given, to=tmp_path / "r").c[4:404], lp.record(net, given[1]).c)
