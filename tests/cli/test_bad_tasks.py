"""What is wrong with a task ends the command with exit code 2 and a short, exact message; nothing is written."""

import pytest

from lstm_probe.cli import main

EVEN = "balanced strings have even lengths, and there is none from here to task.max_length"

#: arguments of `train`, and every line of the message
CASES = [
    # lengths
    ("dyck min_length=3 max_length=3", [f"task.min_length=3: {EVEN}=3."]),
    ("dyck1 min_length=7 max_length=7", [f"task.min_length=7: {EVEN}=7."]),
    ("shuffle min_length=5 max_length=5", [f"task.min_length=5: {EVEN}=5."]),
    ("dyck min_length=20 max_length=10", ["task.min_length=20: must be at most task.max_length=10."]),
    ("anbn max_n=0", ["task.max_n=0: must be a whole number from 1 to 100000."]),
    ("anbncn min_n=9 max_n=3", ["task.min_n=9: must be at most task.max_n=3."]),
    ("tomita grammar=5 min_length=3 max_length=3",
     ["task.min_length=3: grammar 5 has no string of a length from here to task.max_length=3."]),
    ("reber min_length=2 max_length=5", ["task.max_length=5: no embedded Reber string has from 2 to 5 symbols."]),
    ("delayed_recall delay=2 min_delay=5", ["task.min_delay=5: must be at most task.delay=2."]),
    (
        "delay_timing length=5 interval=10",
        ["task.interval=10: must be below task.length=5, else that moment never comes."],
    ),
    ("multiplication min_length=1", ["task.min_length=1: must be 0 or at least 2."]),
    # depths
    ("dyck max_depth=0", ["task.max_depth=0: must be a whole number from 1 to 100."]),
    ("agreement nesting=9 min_attractors=3",
     ["task.nesting=9: must be a whole number from 0 to 4.",
      "task.min_attractors=3: must be at most task.attractors=2."]),
    # alphabets
    ("dyck kinds=65", ["task.kinds=65: must be a whole number from 1 to 64."]),
    ("copy symbols=1", ["task.symbols=1: must be a whole number from 2 to 64."]),
    ("agreement words=0", ["task.words=0: must be a whole number from 1 to 8."]),
    ("tomita grammar=8", ["task.grammar=8: must be a whole number from 1 to 7."]),
    # probabilities
    ("flipflop rate=1.5", ["task.rate=1.5: must be a number from 0.001 to 1."]),
    ("parity rate=0", ["task.rate=0: must be a number from 0.01 to 0.99."]),
    ("tracking rate=-0.1 decay=1 length=1",
     ["task.length=1: must be a whole number from 2 to 100000.", "task.rate=-0.1: must be a number from 0.001 to 0.9.",
      "task.decay=1: must be a number from 0 to 0.999."]),
    # in a part of a composition
    ("compose parts=['parity:rate=7','anbn:max_n=0']",
     ["task.parts: parity:rate=7: rate=7: must be a number from 0.01 to 0.99.",
      "task.parts: anbn:max_n=0: max_n=0: must be a whole number from 1 to 100000."]),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "lines"), CASES, ids=[case[0] for case in CASES])
def test_a_task_that_cannot_be(arguments, lines, tmp_path, capsys):
    name, *parameters = arguments.split()
    outputs = tmp_path / "outputs"
    assert main(["train", f"task={name}", *(f"task.{key}" for key in parameters), f"outputs={outputs}"]) == 2
    assert sorted(capsys.readouterr().err.splitlines()) == sorted(lines)
    assert not outputs.exists()


def test_more_sequences_than_there_are_different_ones(tmp_path, capsys):
    text = tmp_path / "text.txt"
    text.write_text("the quick brown fox jumps over the lazy dog\n" * 12)
    task = ["task=text", f"task.path={text}", "task.length=20", "task.held_out=0.5"]
    settings = ["test_sequences=900", "probe.sequences=100", "ablate.sequences=100", f"outputs={tmp_path / 'outputs'}"]
    assert main(["train", *task, *settings]) == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "different sequences" in line]
    assert lines[0].startswith("test_sequences=900: there are only 2")
    assert not list(tmp_path.glob("outputs/runs/*/*"))


def test_only_running_text_carries_the_state_on(tmp_path, capsys):
    outputs = tmp_path / "outputs"
    assert main(["train", "tbptt=4", f"outputs={outputs}"]) == 2
    assert capsys.readouterr().err == ("tbptt=4: the sequences of tracking do not follow one another; it must be 1.\n")
    text = tmp_path / "text.txt"
    text.write_text("the quick brown fox jumps over the lazy dog\n" * 50)
    sizes = ["test_sequences=20", "probe.sequences=20", "ablate.sequences=20"]
    task = ["task=text", f"task.path={text}", "task.length=20", "tbptt=99", *sizes]
    assert main(["train", *task, f"outputs={outputs}"]) == 2
    assert capsys.readouterr().err == (
        "tbptt=99: the text to train on has 1760 characters, too few for passages of 99 times task.length=20.\n"
    )
    assert not outputs.exists()
