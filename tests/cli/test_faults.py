"""What breaks under a command: numbers that are none, memory, disks; and several that make the same runs at once."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from lstm_probe.cli import main
from lstm_probe.runs.run import load_run
from tests import processes
from tests.cli.forked import hidden, lose
from tests.processes import Command

SMALL = [
    "task=flipflop", "task.bits=2", "task.length=12", "steps=60", "evaluate_every=20", "stop_when_solved=false",
    "test_sequences=32", "probe.sequences=30", "probe.permutations=99", "probe.bootstrap=10", "probe.untrained=1",
    "probe.analyses=[probes]", "ablate.analyses=[ablations]", "ablate.sequences=20", "ablate.bootstrap=10",
    "dynamics.analyses=[timescales]", "dynamics.sequences=16", "dynamics.bootstrap=10",
]  # fmt: skip
SCALED = """
from dataclasses import dataclass
from lstm_probe.tasks.memory.flipflop import FlipFlop
from lstm_probe.tasks.parameters import parameter

@dataclass(frozen=True)
class Scaled(FlipFlop):
    name = "scaled"
    summary = "a flip-flop whose outputs are large"
    source = "a test"
    scale: float = parameter(1.0, "what the outputs are multiplied by", 1.0, 1e38)

    def relabel(self, inputs, lengths):
        return {name: values * self.scale for name, values in super().relabel(inputs, lengths).items()}
"""


def train(*arguments, outputs):
    """Return the arguments of a training or, with --multirun, a sweep."""
    given = {text.partition("=")[0] for text in arguments}
    usual = [text for text in SMALL if text.partition("=")[0] not in given]
    return ["train", *usual, *arguments, f"outputs={outputs}"]


def run(*arguments, outputs, **how):
    return processes.run(*train(*arguments, outputs=outputs), **how)


def tables(folder):
    """What is found in a run, without times: its tables and weights."""
    made = load_run(folder)
    made.check()
    own = {name: getattr(made, name).drop(columns="seconds", errors="ignore") for name in ("history", *made.measured)}
    return own, made.read("model.safetensors", bytes)


def assert_same(one, other):
    (own, weights), (others, other_weights) = tables(one), tables(other)
    assert own.keys() == others.keys() and weights == other_weights
    for name, table in own.items():
        pd.testing.assert_frame_equal(table, others[name], check_exact=True)


def words(text):
    return " ".join(text.split())


@pytest.mark.slow
def test_a_loss_that_is_no_number_fails_its_run_and_no_other(tmp_path):
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "tasks.py").write_text(SCALED)
    keys = [
        "--config-dir",
        str(tmp_path / "conf"),
        "--multirun",
        "task=scaled",
        "task.scale=1e30,1",
        "units=2",
        "measure=light",
    ]
    for again in (False, True):
        done = run(*keys, outputs=tmp_path)
        assert done.returncode == 1, done.stderr
        said = words(done.stderr)
        assert "TrainingError: the loss is inf by step 20: lower lr=0.03 or clip=1" in said and "Traceback" not in said
        assert ("is there already" in said) == again and "1 of 2 jobs finished" in done.stdout
        (finished,), (failed,) = tmp_path.glob("runs/scaled/[!.]*"), hidden(tmp_path)
        assert load_run(finished).config["task"]["scale"] == 1.0
        told = json.loads((failed / "run.json").read_text())
        assert told["status"] == "failed" and "the loss is inf" in told["error"]
        assert "Traceback" in (failed / "train.log").read_text() and str(failed / "train.log") in said
    listed = processes.run("runs", f"outputs={tmp_path}", "check=true")
    assert listed.returncode == 0 and "1 run failed" in listed.stdout


def leave_little_memory():
    """Let this process have 1.5 GB more than it has."""
    import resource

    limit = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + 1_500_000_000
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
@pytest.mark.parametrize(
    ("key", "large", "phase", "advice"),
    [("batch", 100_000, "train", "batch, units"), ("test_sequences", 1_000_000, "test", "test_sequences"),
     ("probe.sequences", 500_000, "probe", "probe.sequences"),
     ("ablate.sequences", 900_000, "ablate", "ablate.sequences")],
)  # fmt: skip
def test_memory_that_is_not_enough_is_said_with_what_to_lower(tmp_path, key, large, phase, advice):
    own = [f"{key}={large}", "units=64", "task.length=24", "steps=20"]
    done = run(*own, outputs=tmp_path, preexec_fn=leave_little_memory)
    assert done.returncode == 1, done.stderr
    said = words(done.stderr)
    assert f"NotEnoughMemoryError: the memory is not enough to {phase}; lower {advice}" in said
    assert "Traceback" not in said and not list(tmp_path.glob("runs/flipflop/[!.]*"))
    (failed,) = hidden(tmp_path)
    assert json.loads((failed / "run.json").read_text())["status"] == "failed"
    assert "Traceback" in (failed / "train.log").read_text()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a run that nothing disturbed."""
    outputs = tmp_path_factory.mktemp("whole")
    assert main(train("units=2", outputs=outputs)) == 0
    (folder,) = (outputs / "runs" / "flipflop").iterdir()
    return folder


def told(done, outputs):
    """Return what became of a command."""
    whole = [path.name for path in outputs.glob("runs/*/[!.]*")]
    return {"code": done.returncode, "said": done.stderr, "whole": whole, "hidden": len(hidden(outputs))}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["EIO", "ESTALE"])
def test_a_file_system_that_is_lost_ends_the_run_with_one_line_and_when_it_is_back_it_goes_on(tmp_path, whole, kind):
    reason = os.strerror(getattr(errno, kind))
    for moment in [0, 5, 12, 25, 45, 65][kind == "EIO" :: 2]:
        outputs = tmp_path / str(moment)
        lost = partial(lose, outputs, moment, getattr(errno, kind))
        first = told(run("units=2", outputs=outputs, preexec_fn=lost), outputs)
        again = told(run("units=2", outputs=outputs), outputs)
        assert first["code"] == 2 and first["whole"] == [] and "Traceback" not in first["said"], first
        (line,) = (text for text in first["said"].splitlines() if reason in text)
        assert str(outputs) in line and "warning" not in line
        assert again["code"] == 0 and again["whole"] == [whole.name] and again["hidden"] == 0, again
        assert_same(outputs / "runs" / "flipflop" / whole.name, whole)


@pytest.mark.slow
def test_a_store_that_is_moved_away_while_a_run_is_made(tmp_path, whole):
    outputs = tmp_path / "outputs"
    long = train("units=2", "steps=100000", outputs=outputs)
    with Command(*long, stderr=subprocess.PIPE, text=True) as process:
        while not list(outputs.glob("runs/*/.*.partial/checkpoint.pt")) and process.poll() is None:
            time.sleep(0.05)
        outputs.rename(tmp_path / "elsewhere")
        said = process.communicate()[1]
    assert process.returncode == 2 and "Traceback" not in said and str(outputs) in said
    assert not list(outputs.glob("runs/*/[!.]*")) and (hidden(tmp_path / "elsewhere")[0] / "checkpoint.pt").is_file()


APART = ["unshare", "--mount", "--map-root-user"]


def can_mount():
    """Return whether a disk of one's own can be had."""
    try:
        with_one = [*APART, "mount", "-t", "tmpfs", "-o", "size=1m", "none", "/mnt"]
        return subprocess.run(with_one, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


@pytest.mark.slow
def test_on_a_disk_that_is_full_nothing_is_half_and_with_room_the_same_command_goes_on(tmp_path, whole):
    if not can_mount():
        pytest.skip("no disk of one's own can be mounted here")
    (tmp_path / "disk").mkdir()
    free = [0, 8, 24, 60, 120, 4000]
    done = subprocess.run([*APART, sys.executable, "-m", "tests.cli.forked", str(tmp_path), *map(str, free)],
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [room for room, *_ in rows] == free
    for room, first, again in rows:
        assert "Traceback" not in first["said"], first
        if room == free[-1]:
            assert first["code"] == 0 and first["whole"] == [whole.name]
        else:
            assert first["code"] == 2 and first["whole"] == [] and "the disk is full" in first["said"], first
        assert again["code"] == 0 and again["whole"] == [whole.name] and again["hidden"] == 0, again
        assert_same(tmp_path / str(room) / "runs" / "flipflop" / whole.name, whole)
    # What was reached before the disk was full is not made again.
    assert rows[0][1]["hidden"] == 0 and any(first["hidden"] for _, first, _ in rows)
    assert any("before it was interrupted" in again["said"] for _, first, again in rows if first["hidden"])


SWEPT = ["steps=400", "measure=light"]  # drawn is nothing


def sweep(outputs, *jobs):
    return Command(*train("--multirun", *jobs, *SWEPT, outputs=outputs), stdout=subprocess.PIPE,
                   stderr=subprocess.PIPE, text=True, start_new_session=True)  # fmt: skip


@pytest.mark.slow
def test_two_sweeps_that_overlap_make_each_run_once(tmp_path):
    outputs = tmp_path / "both"
    both = [sweep(outputs, "units=2,3,4"), sweep(outputs, "units=4,3,5")]
    said = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert all("3 of 3 jobs finished" in out for out, _ in said)
    runs = sorted(outputs.glob("runs/flipflop/*"))
    assert len(runs) == 4 and not hidden(outputs) and not list(outputs.glob("runs/*/.*"))
    # Each of the 6 jobs trained its run, or found that of the other sweep.
    assert sum(err.count("is there already") for _, err in said) == 2
    assert all((folder / "train.log").read_text().count("training u") == 1 for folder in runs)
    for units in (2, 3, 4, 5):
        assert main(train(f"units={units}", *SWEPT, outputs=tmp_path / "alone")) == 0
    for folder in runs:
        assert_same(folder, tmp_path / "alone" / "runs" / "flipflop" / folder.name)


@pytest.mark.slow
def test_one_of_three_that_make_the_same_run_is_killed(tmp_path):
    """Those that wait take its place, one after the other; what it had reached is not lost."""
    outputs, long = tmp_path / "outputs", ["units=2", "steps=1500", "measure=light"]

    def begun(name):
        with (tmp_path / name).open("w") as said:
            return Command(*train(*long, outputs=outputs), stderr=said)

    def said(*names):
        return [(tmp_path / name).read_text() for name in names]

    with begun("first") as first:
        while not list(outputs.glob("runs/*/.*.partial/checkpoint.pt")) and first.poll() is None:
            time.sleep(0.02)
        first.send_signal(signal.SIGSTOP)  # so that it is in the middle when the others come
        others = [begun("second"), begun("third")]
        while not all("another process is making" in text for text in said("second", "third")):
            assert [other.poll() for other in others] == [None, None], said("second", "third")
            time.sleep(0.05)
        first.kill()
    codes = [process.wait() for process in (first, *others)]
    told = said("second", "third")
    assert codes == [-signal.SIGKILL, 0, 0], told
    assert sum("goes on from step" in text for text in told) == sum("is there already" in text for text in told) == 1
    (folder,) = outputs.glob("runs/*/*")
    assert main(train(*long, outputs=tmp_path / "alone")) == 0
    assert_same(folder, next((tmp_path / "alone").glob("runs/*/*")))
