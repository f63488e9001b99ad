"""Pages that several tests look at, made once."""

from pathlib import Path

import pytest

from lstm_probe.report import write_report
from lstm_probe.runs.run import Run
from tests.figures.made import made_run
from tests.report.browser import browser as browser


@pytest.fixture(scope="package")
def one_run_page(tmp_path_factory) -> Path:
    """The page of one run with 8 units, of which 5 are needed, that did not learn parity."""
    outputs = tmp_path_factory.mktemp("one")
    return write_report([made_run(outputs, 8, scores={"parity": 0.3})], outputs)


@pytest.fixture(scope="package")
def sweep(tmp_path_factory) -> list[Run]:
    """Runs with 2, 4 and 8 units, of which only those with 8 learned parity."""
    outputs = tmp_path_factory.mktemp("sweep")
    sizes = [(2, 0), (4, 0), (4, 1), (8, 0)]
    return [made_run(outputs, units, seed, {"parity": 0.02 if units < 8 else 0.995}) for units, seed in sizes]


@pytest.fixture(scope="package")
def sweep_page(sweep) -> Path:
    """The page of that sweep."""
    return write_report(sweep, sweep[0].path.parents[2])
