"""A store of some dozens of runs, really written, for the tests of what reads them all."""

import importlib.util
from pathlib import Path

from lstm_probe.cli import main
from lstm_probe.runs.opening import find_runs
from tests.runs.test_again import QUICK

SCRIPT = Path(__file__).parents[2] / "scripts" / "benchmarks" / "many_runs.py"


def write_copies():
    """The function of the benchmarks that writes copies of a run."""
    spec = importlib.util.spec_from_file_location("many_runs", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.write_copies


def make_store(outputs, n=30):
    """Train two sizes of a small task, and write copies of both, n runs in all."""
    for units in (2, 3):
        own = [word for word in QUICK if not word.startswith("units=")]
        assert main(["train", *own, f"units={units}", f"outputs={outputs}"]) == 0
    trained, damaged = find_runs(outputs)
    assert not damaged and len(trained) == 2
    for run in trained:
        write_copies()(run, outputs, n // 2 - 1)
