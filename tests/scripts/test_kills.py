"""A sweep that is killed at any moment goes on, and ends as if nothing had been."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "kills.py"


@pytest.fixture(scope="module")
def kills():
    spec = importlib.util.spec_from_file_location("kills", SCRIPT)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.mark.slow
def test_a_killed_sweep_ends_as_one_that_was_not(kills, tmp_path):
    few = ["probe.analyses=[probes]", "ablate.analyses=[ablations]", "dynamics.analyses=[timescales]"]
    done, wrong = kills.kill_sweeps(tmp_path, 4, 5, ["units=2,3", *few])
    assert done["kills"] >= 4 and wrong == []
    # What is compared is there to differ: a store is not like that of another sweep.
    (run,) = (tmp_path / "whole" / "runs" / "flipflop").glob("u3-*")
    (run / "history.parquet").write_bytes(b"damaged")
    (tmp_path / "whole" / "runs" / "flipflop" / ".left.lock").touch()
    found = kills.compare(tmp_path / "whole", tmp_path / "whole")
    assert len(found) == 2 and ".left.lock" in found[0] and "history.parquet: damaged" in found[1]
