"""A folder as the pages' readers have one: a small finished run, a table, networks, a task of their own."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import lstm_probe as lp
from lstm_probe.cli import main

#: Small enough for seconds; what is shown of it is not looked at.
SMALL = [
    "units=8", "steps=20", "test_sequences=16", "task.length=20",
    "probe.sequences=40", "probe.permutations=19", "probe.bootstrap=10", "probe.untrained=1", "probe.variables=[c]",
    "ablate.sequences=16", "ablate.bootstrap=10", "dynamics.sequences=16", "dynamics.bootstrap=10",
]  # fmt: skip

TASK = """
from dataclasses import dataclass
from lstm_probe.tasks.numbers.parity import Parity

@dataclass(frozen=True)
class Mine(Parity):
    name = "mytask"
"""


def table() -> str:
    """Rows of twelve sequences of two subjects, with the columns that the guides name."""
    rng = torch.Generator().manual_seed(0)
    rows = ["sequence,subject,x_light,x_tone,y_press,signal_phase"]
    for sequence in range(24):
        for light, tone in torch.rand(15, 2, generator=rng).tolist():
            rows.append(f"{sequence},{sequence // 4},{light:.3f},{tone:.3f},{light > tone:d},{light + tone:.3f}")
    return "\n".join(rows) + "\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Iterator[Path]:
    """The folder, which is the working directory meanwhile; `place / "run"` leads to the run's."""
    folder, before = tmp_path_factory.mktemp("reader"), Path.cwd()
    os.chdir(folder)
    modules = set(sys.modules)
    try:
        (folder / "data.csv").write_text(table())
        (folder / "FOLDER" / "task").mkdir(parents=True)
        (folder / "FOLDER" / "tasks.py").write_text(TASK)
        for name in ("pytorch", "keras"):
            lp.export(lp.SequenceModel(2, 1, 3), {"pytorch": "model.pt", "keras": "model.keras"}[name], format=name)
        assert main(["train", *SMALL]) == 0
        (run,) = (folder / "outputs" / "runs" / "tracking").iterdir()
        (folder / "run").symlink_to(run)
        yield folder
    finally:
        os.chdir(before)
        for name in set(sys.modules) - modules:
            if name.startswith("FOLDER"):
                del sys.modules[name]
