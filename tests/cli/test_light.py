"""What a command answers without torch and the like: a wrong folder is refused at once."""

import subprocess
import sys

import pytest

HEAVY = {"torch", "numpy", "pandas", "pyarrow", "scipy", "sklearn", "matplotlib", "xarray"}
#: Runs a command line, and then says which modules are loaded.
CODE = """
import sys
from lstm_probe.cli import main
code = main(sys.argv[1:])
print(*sys.modules, file=sys.stdout)
sys.exit(code)
"""


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("probe run=nowhere", 2, "run=nowhere: no such folder"),
        ("probe run=nowhere card=3", 2, "run=nowhere: no such folder"),
        ("ablate run=nowhere", 2, "run=nowhere: no such folder"),
        ("shrink run=nowhere", 2, "run=nowhere: no such folder"),
        ("export run=nowhere format=onnx", 2, "run=nowhere: no such folder"),
        ("export run=nowhere format=onnx path=m.pt", 2, "path=m.pt: must end in .onnx"),
        ("figures run=nowhere", 2, "run=nowhere: no such folder"),
        ("figures run=nowhere width=colum", 2, "width=colum: must be one of column, page, or inches from 3 to 40."),
        ("report", 2, "outputs=outputs: no finished run there"),
        ("report runs=nothing", 2, "runs=nothing: no finished run there"),
        ("runs", 0, ""),
        ("train units=0", 2, "units=0: must be a whole number"),
        ("size budget=1", 2, "budget=1: must be a whole number from 4"),
    ],
)
def test_answers_that_need_nothing_heavy(line, code, said, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", CODE, *line.split()], capture_output=True, text=True, cwd=tmp_path, timeout=120
    )
    assert (done.returncode, done.stderr.startswith(said)) == (code, True), done.stderr
    loaded = set(done.stdout.split())
    assert "lstm_probe.cli.launch" in loaded
    assert not HEAVY & loaded
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_pages_of_runs_that_have_their_pictures_need_nothing_that_draws_or_fits():
    code = "import sys, lstm_probe.report, lstm_probe.sizing.stored; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    loaded = set(done.stdout.split())
    assert "lstm_probe.report.sweep_page" in loaded
    assert not {"matplotlib", "seaborn", "sklearn", "scipy.stats", "scipy.optimize"} & loaded
