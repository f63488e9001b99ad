"""Without a GPU, too: no analysis mixes tensors of the model's device with tensors of the CPU."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch.utils.backend_registration")


@pytest.mark.slow
def test_no_table_mixes_devices():
    """In a process of its own: the device takes PyTorch's place for backends of one's own, which stays taken."""
    done = subprocess.run([sys.executable, "-m", "tests.pretended"], cwd=Path(__file__).parents[1], text=True,
                          capture_output=True)  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout == "done\n"
