"""Shapes and types in the package's annotations are checked while the tests run."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from jaxtyping import install_import_hook

import tests.typechecking  # noqa: F401  the hook below looks it up by name

install_import_hook("lstm_probe", "tests.typechecking.checked")

import pytest  # noqa: E402
import torch  # noqa: E402

torch.set_num_threads(1)


@pytest.fixture
def rng() -> torch.Generator:
    """A generator of the test's own, always the same."""
    return torch.Generator().manual_seed(0)
