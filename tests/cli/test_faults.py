"""What breaks under a command: numbers that are none, memory, disks; and several that make the same runs at once."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from lstm_probe.cli import main
from lstm_probe.runs.run import load_run

ENV = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
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


def command(*arguments, outputs):
    """Return the command line of a training or, with --multirun, a sweep."""
    return [sys.executable, "-m", "lstm_probe", "train", *SMALL, *arguments, f"outputs={outputs}"]


def run(*arguments, outputs, **how):
    return subprocess.run(
        command(*arguments, outputs=outputs), capture_output=True, text=True, check=False, env=ENV, **how
    )


def hidden(outputs):
    """The hidden folders of runs that are not finished."""
    return sorted(path for path in outputs.glob("runs/*/.*") if path.name.endswith(".partial"))


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
def test_a_loss_that_is_no_number_fails_its_run_and_the_sweep_goes_on(tmp_path):
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "tasks.py").write_text(SCALED)
    keys = ["--config-dir", str(tmp_path / "conf"), "--multirun", "task=scaled", "task.scale=1e30,1", "units=2"]
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
    listed = subprocess.run([sys.executable, "-m", "lstm_probe", "runs", f"outputs={tmp_path}", "check=true"],
                            capture_output=True, text=True, check=False, env=ENV)  # fmt: skip
    assert listed.returncode == 0 and "1 run failed" in listed.stdout


LITTLE_MEMORY = """
import resource, sys
import lstm_probe.cli.commands.train, lstm_probe.report
from lstm_probe.cli import main
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
raise SystemExit(main(sys.argv[2:]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
@pytest.mark.parametrize(
    ("key", "small", "large", "phase", "advice"),
    [("batch", 16, 300_000, "train", "batch, units"), ("test_sequences", 32, 1_000_000, "test", "test_sequences"),
     ("probe.sequences", 30, 500_000, "probe", "probe.sequences"),
     ("ablate.sequences", 20, 900_000, "ablate", "ablate.sequences")],
)  # fmt: skip
def test_memory_that_is_not_enough_fails_its_run_and_the_sweep_goes_on(tmp_path, key, small, large, phase, advice):
    own = command("--multirun", f"{key}={large},{small}", "units=64", "task.length=24", "steps=20", outputs=tmp_path)
    own[1:3] = ["-c", LITTLE_MEMORY, "600000000"]
    done = subprocess.run(own, capture_output=True, text=True, check=False, env=ENV)
    assert done.returncode == 1, done.stderr
    said = words(done.stderr)
    assert f"NotEnoughMemoryError: the memory is not enough to {phase}; lower {advice}" in said
    assert "Traceback" not in said and "1 of 2 jobs finished" in done.stdout
    (failed,) = hidden(tmp_path)
    assert json.loads((failed / "run.json").read_text())["status"] == "failed"
    assert "Traceback" in (failed / "train.log").read_text()
    (finished,) = tmp_path.glob("runs/flipflop/[!.]*")
    load_run(finished).check()


LOST = """
import errno, os, sys
from pathlib import Path
from lstm_probe.cli import main
from tests.cli.test_faults import SMALL, losing

outputs, kind = sys.argv[1:3]
import lstm_probe.cli.commands.train, lstm_probe.report
for moment in map(int, sys.argv[3:]):
    place = Path(outputs, str(moment))
    for lost in (True, False):
        child = os.fork()
        if not child:
            if lost:
                losing(place, moment, getattr(errno, kind))
            with open(f"{place}-{lost}.txt", "w") as said:
                os.dup2(said.fileno(), 1)
                os.dup2(said.fileno(), 2)
                code = main(["train", *SMALL, "units=2", f"outputs={place}"])
                sys.stdout.flush()
            os._exit(code)
        print(moment, lost, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def losing(place, moment, code):
    """From the n-th on, let nothing be opened, made, renamed, listed or removed below a folder."""
    left, own = [moment], str(place)

    def lose(event, arguments):
        if event != "open" and not event.startswith(("os.", "shutil.")):
            return
        named = [str(one) for one in arguments if isinstance(one, str | os.PathLike) and str(one).startswith(own)]
        if named:
            left[0] -= 1
            if left[0] < 0:
                raise OSError(code, os.strerror(code), named[0])

    sys.addaudithook(lose)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a run that nothing disturbed."""
    outputs = tmp_path_factory.mktemp("whole")
    assert main(["train", *SMALL, "units=2", f"outputs={outputs}"]) == 0
    (folder,) = (outputs / "runs" / "flipflop").iterdir()
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["EIO", "ESTALE"])
def test_a_file_system_that_is_lost_ends_the_run_with_one_line_and_when_it_is_back_it_goes_on(tmp_path, whole, kind):
    import errno

    moments = [1, 4, 9, 16, 25, 40, 60, 80, 100000][(kind == "EIO") :: 2]
    done = subprocess.run([sys.executable, "-c", LOST, str(tmp_path), kind, *map(str, moments)],
                          capture_output=True, text=True, check=True, env=ENV)  # fmt: skip
    codes = {
        (int(moment), lost == "True"): int(code) for moment, lost, code in map(str.split, done.stdout.splitlines())
    }
    for moment in moments:
        place = tmp_path / str(moment)
        said = Path(f"{place}-True.txt").read_text()
        if moment < 1000:
            assert codes[moment, True] == 2, said
            assert os.strerror(getattr(errno, kind)) in said and str(place) in said and "Traceback" not in said
        assert codes[moment, False] == 0, Path(f"{place}-False.txt").read_text()
        (folder,) = (place / "runs" / "flipflop").iterdir()
        assert_same(folder, whole)


@pytest.mark.slow
def test_a_store_that_is_moved_away_while_a_run_is_made(tmp_path, whole):
    outputs = tmp_path / "outputs"
    with subprocess.Popen(command("units=2", "steps=100000", outputs=outputs), stderr=subprocess.PIPE, text=True,
                          env=ENV) as process:  # fmt: skip
        while not list(outputs.glob("runs/*/.*.partial/checkpoint.pt")) and process.poll() is None:
            time.sleep(0.05)
        outputs.rename(tmp_path / "elsewhere")
        said = process.communicate()[1]
    assert process.returncode == 2 and "Traceback" not in said and str(outputs) in said
    assert not list(outputs.glob("runs/*/[!.]*")) and (hidden(tmp_path / "elsewhere")[0] / "checkpoint.pt").is_file()
