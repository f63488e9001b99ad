"""What all tests of files that claim much have in common."""

import time
import tracemalloc

import pytest

from lstm_probe.core.errors import InputError
from lstm_probe.formats import load_weights


@pytest.fixture(autouse=True)
def few_bytes_and_seconds():
    """Nothing here takes much processor time or memory of Python's and NumPy's."""
    began = time.process_time()
    tracemalloc.start()
    yield
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1e9 and time.process_time() - began < 60


def refused(path, match, **more):
    with pytest.raises(InputError, match=match) as error:
        load_weights(path, **more)
    assert len(error.value.problems) == 1 and len(str(error.value)) < 700
