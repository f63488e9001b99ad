"""What was meant by a command line that is not quite right: the command to type, exit code 2, and nothing else."""

import subprocess
import sys

import pytest

from lstm_probe.cli import main
from lstm_probe.core import console

from .test_light import CODE, HEAVY

RUN = "outputs/runs/tracking/u32-s0-1a2b3c4d"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Every test runs in an empty folder, which stays so."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    console.prefix = ""
    assert list(tmp_path.iterdir()) == []


def answered(line: str, capsys) -> list[str]:
    assert main(line.split("|") if "|" in line else line.split()) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and "Traceback" not in shown.err
    return shown.err.splitlines()


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        # a key without =
        ("train units 32", "train units=32"),
        ("train unit 32", "train units=32"),
        ("train units = 32", "train units=32"),
        ("train units= 32", "train units=32"),
        ("train units =32", "train units=32"),
        ("train units: 32", "train units=32"),
        ("train task dyck1 units 8 seed=1", "train task=dyck1 units=8 seed=1"),
        ("train num_units 32", "train units=32"),
        ("train forget_bias -1", "train forget_bias=-1"),
        ("describe units 64 inputs 50", "describe units=64 inputs=50"),
        ("tasks name dyck1", "tasks name=dyck1"),
        ("size task parity budget 8", "size task=parity budget=8"),
        (f"probe run {RUN} card 3", f"probe run={RUN} card=3"),
        (f"probe run={RUN} variables c,h", f"probe run={RUN} 'probe.variables=[c,h]'"),
        ("train task.bits 2 task flipflop", "train task.bits=2 task=flipflop"),
        ("train units 2,4 seed 0,1", "train --multirun units=2,4 seed=0,1"),
        ("train -m units 2,4", "train -m units=2,4"),
        # a key with dashes
        ("train --units 32", "train units=32"),
        ("train --units=32", "train units=32"),
        ("train -units 32", "train units=32"),
        ("train units=4 8", "train units=4 seed=8"),  # not units=8: that is given
        ("train --hidden-size 16 --lr .01", "train units=16 lr=.01"),
        ("train --force", "train force=true"),
        ("train --no-force units=2", "train force=false units=2"),
        (f"probe --run {RUN}", f"probe run={RUN}"),
        ("reproduce --name dyck1", "reproduce name=dyck1"),
        ("train --cfg job --units 4", "train --cfg job units=4"),
        ("train --mutlirun units 2,4", "train --multirun units=2,4"),
        # a key without its value
        ("train units", "train units=32"),
        ("report outputs", "report outputs=outputs"),
        ("runs check", "runs check=true"),
        ("reproduce all", "reproduce all=true"),
        ("tasks name", "tasks name=dyck1"),
        # a value without its key
        ("tasks dyck1", "tasks name=dyck1"),
        ("describe 32", "describe units=32"),
        ("train 32", "train units=32"),
        ("train dyck1 8", "train task=dyck1 units=8"),
        ("train trakcing", "train task=tracking"),
        ("train capacity", "train experiment=capacity"),
        ("train data.csv", "train task=table task.path=data.csv"),
        ("size parity", "size task=parity"),
        ("reproduce flipflop", "reproduce name=flipflop"),
        ("import model.keras", "import path=model.keras"),
        (f"probe {RUN} 3", f"probe run={RUN} card=3"),
        (f"export {RUN} onnx", f"export run={RUN} format=onnx"),
        (f"report|{RUN}s with spaces/*", f"report 'runs={RUN}s with spaces/*'"),
        # a wrong command
        ("trian units=4", "train units=4"),
        ("trian units 4", "train units=4"),
        ("fit --units 4", "train units=4"),
        ("list", "runs"),
        ("units=4", "train units=4"),
        ("units 4", "train units=4"),
        ("inputs=4", "describe inputs=4"),
        ("--units 4 train", "train units=4"),
        ("--multirun train units=2,4", "train --multirun units=2,4"),
        ("dyck1", "tasks name=dyck1"),
        ("64", "train units=64"),
        ("model.onnx", "import path=model.onnx"),
        ("check runs", "runs check=true"),
    ],
)  # fmt: skip
def test_the_command_to_type(line, meant, capsys):
    assert answered(line, capsys)[-1] == f"Did you mean: lstm-probe {meant}"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "train units 0",
            ["units 0: a setting is written units=0.", "units=0: must be a whole number from 1 to 4096."],
        ),
        ("train units 32 foo", ["units 32: a setting is written units=32.", "foo: no such key; a setting is written"]),
        ("train foo", ["foo: no such key; a setting is written key=value. All keys: lstm-probe train --help all"]),
        ("train --foo 3", ["foo=3: no such key."]),
        ("train --foo", ["--foo: no such flag."]),
        ("size units 4", ["units=4: no such key. Size finds the units itself"]),
        ("train task", ["task: a value is missing; it must be one of adding"]),
        (
            "probe 3",
            [
                "3: a setting is written card=3.",
                "run: a value is missing; write run=<folder of the run; or a pattern, for several>",
            ],
        ),
        ("nonsense", ["nonsense: no such command. There are describe, tasks, train"]),
    ],
)
def test_what_is_wrong_where_nothing_can_be_told(line, said, capsys):
    lines = answered(line, capsys)
    assert len(lines) == len(said)
    assert all(one.startswith(start) for one, start in zip(lines, said))


@pytest.mark.parametrize("line", ["tasks dyck1", "train units 32", "train --units=32", "train quick", "dyck1"])
def test_nothing_heavy_is_imported(line, elsewhere):
    done = subprocess.run([sys.executable, "-c", CODE, *line.split()], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "Did you mean: lstm-probe " in done.stderr
    assert not HEAVY & set(done.stdout.split())
