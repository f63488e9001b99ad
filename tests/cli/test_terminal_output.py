"""What every command prints, at 60, 80 and 120 columns and piped: lines that fit, and no word broken."""

import re
from itertools import pairwise

import pytest

from lstm_probe.cli import main
from lstm_probe.cli.config import SCHEMAS
from lstm_probe.core import console
from lstm_probe.core.console import out

WIDTHS = (60, 80, 120)
WIDEST = 400
SMALL = ("probe.permutations=39 probe.bootstrap=20 probe.untrained=2 probe.sequences=60 ablate.sequences=40 "
         "ablate.bootstrap=20 dynamics.sequences=40 dynamics.bootstrap=20 test_sequences=60 steps=300")  # fmt: skip
TRAIN = f"train task=flipflop task.bits=2 units=4 {SMALL}"
PROBE = "probe.permutations=39 probe.bootstrap=20 probe.untrained=2 probe.sequences=60"
#: Lines that are there to be copied, and such with a path, have no end.
COPYABLE = re.compile(r"^ *lstm-probe |^  eval |/")

COMMANDS = (
    "--help",
    "help",
    *(f"{command} --help" for command in SCHEMAS),
    "train --help all",
    "train --help probe",
    "describe units=4000 inputs=7 layers=3 projection=9 unit=3999",
    "tasks",
    "tasks name=dyck1",
    "tasks name=compose",
    TRAIN,
    "runs",
    "runs check=true",
    f"probe run={{run}} card=3 {PROBE}",
    "ablate run={run} ablate.sequences=40 ablate.bootstrap=20 ablate.analyses=[ablations]",
    "dynamics run={run} dynamics.sequences=40 dynamics.bootstrap=20",
    "shrink run={run} units=2 sequences=60 measure=none",
    "export run={run} format=pytorch",
    "figures run={run} only=[units] formats=[svg]",
    "import path={weights}",
    "report",
    "size task=parity largest=2 budget=4 steps=20 test_sequences=60",
    "reproduce",
    "reproduce name=parameters",
    "truth methods=[clamp_zero,weight_norm] knobs=[none,copies]",
)  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A folder with a small run, and what stands for its paths in `COMMANDS`."""
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        out.quiet = True
        try:
            assert main(TRAIN.split()) == 0
        finally:
            out.quiet = False
        run = next(folder.glob("outputs/runs/flipflop/u*")).relative_to(folder)
        yield folder, {"run": str(run), "weights": f"{run}/model.safetensors"}
    console.prefix = ""


def printed(line, width, paths, capsys):
    before = out.width
    out.width = width
    try:
        assert main(line.format(**paths).split()) == 0
    finally:
        out.width = before
    return capsys.readouterr().out


def words_of(text):
    """The words of a text, without what may stand behind them: a colon behind a heading in a list, a comma."""
    return {word.rstrip(":,") for word in text.split() if not re.fullmatch("[─│┐┘├└►▼▁▂▃▄▅▆▇█·…]+", word)}


def checked(text, width, whole):
    """What is wrong with a text of this width, compared with the same at `WIDEST`."""
    wrong = [line for line in text.splitlines() if len(line) > width and not COPYABLE.search(line)]
    wrong += ["colour"] * ("\x1b" in text)
    known = words_of(whole)
    return wrong + sorted(words_of(text) - known)


def test_the_check_finds_what_it_looks_for():
    assert checked("a wo\nrd", 10, "a word") == ["rd", "wo"]
    assert checked("far too long", 5, "far too long") == ["far too long"]
    assert checked("\x1b[31mred", 60, "\x1b[31mred") == ["colour"]
    assert checked("unit: 3", 60, "unit\n3") == []


@pytest.mark.parametrize("line", COMMANDS)
def test_no_word_is_broken_and_no_line_too_long(line, store, monkeypatch, capsys):
    monkeypatch.chdir(store[0])
    whole = printed(line, WIDEST, store[1], capsys)
    assert len(whole) > 30
    for width in WIDTHS:
        assert checked(printed(line, width, store[1], capsys), width, whole) == []


def test_a_task_is_one_line_or_two(store, monkeypatch, capsys):
    monkeypatch.chdir(store[0])
    for width, most in ((60, 3), (80, 2), (120, 1)):
        lines = printed("tasks", width, store[1], capsys).partition("\n\n")[0].splitlines()[1:]
        starts = [n for n, line in enumerate(lines) if not line.startswith(" ")] + [len(lines)]
        assert max(b - a for a, b in pairwise(starts)) <= most


@pytest.mark.parametrize("line", [TRAIN, "tasks name=dyck1", "describe units=3 inputs=2"])
def test_the_next_command_can_be_copied(line, store, monkeypatch, capsys):
    """It stands on one line whatever the width, and is legal."""
    from lstm_probe.cli.overrides import check
    from lstm_probe.core.files import configuration_folder

    monkeypatch.chdir(store[0])
    told = [one for one in printed(line, 40, store[1], capsys).splitlines() if one.startswith("  lstm-probe ")]
    assert 1 <= len(told) <= 2
    for one in told:
        _, command, *settings = one.split()
        check(command, settings, False, [configuration_folder()])
