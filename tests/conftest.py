"""Shapes and types in the package's annotations are checked while the tests run; each begins with the same numbers."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from jaxtyping import install_import_hook

import tests.typechecking  # noqa: F401  the hook below looks it up by name

install_import_hook("lstm_probe", "tests.typechecking.checked")

import random  # noqa: E402

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402

torch.set_num_threads(1)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Begin the random numbers of each test, and of what is made for it, anew: none depends on those before it."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002  from which frameworks draw
    torch.manual_seed(0)


@pytest.fixture
def rng() -> torch.Generator:
    """A generator of the test's own, always the same."""
    return torch.Generator().manual_seed(0)
