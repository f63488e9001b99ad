"""The `tasks` command and the registry behind it."""

import re
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
import pytest
import torch

from lstm_probe.cli import main
from lstm_probe.cli.commands.tasks import STEPS, choose_sequence, example_lines, example_table
from lstm_probe.core.errors import InputError
from lstm_probe.figures.task_example import EXAMPLE_COLUMNS, PARTS, task_example
from lstm_probe.tasks import TASKS, get_task, list_tasks
from lstm_probe.tasks.base import Smallest
from lstm_probe.tasks.parameters import parameter, problems_of


@dataclass
class Parameters:
    """Parameters such as a task has, without the task."""

    length: int = parameter(10, "steps", 2, 100)
    min_length: int = parameter(0, "steps", 0, 100)
    rate: float = parameter(0.5, "share", 0.0, 1.0)
    mode: str = parameter("a", "word", choices=("a", "b"))


@pytest.mark.parametrize(
    ("parameters", "wrong"),
    [({}, []), ({"rate": 1}, []), ({"rate": float("nan")}, ["rate"]), ({"length": 2.0}, ["length"]),
     ({"length": 1, "rate": 2.0, "mode": "c"}, ["length", "rate", "mode"]), ({"min_length": 10}, []),
     ({"min_length": 11}, ["min_length"]), ({"length": True}, ["length"])],
)  # fmt: skip
def test_parameters_are_checked_all_at_once(parameters, wrong):
    problems = problems_of(Parameters(**parameters))
    assert [line.partition("=")[0] for line in problems] == [f"task.{name}" for name in wrong]


def test_get_task_names_everything_that_is_wrong():
    with pytest.raises(InputError) as caught:
        get_task("flipflop", bits=0, lenght=3, rate=5.0)
    assert len(caught.value.problems) == 3
    assert "Did you mean 'length'?" in str(caught.value)
    with pytest.raises(InputError, match="Did you mean 'tracking'"):
        get_task("trackin")


def test_list_tasks_is_the_registry():
    table = list_tasks()
    assert list(table["name"]) == list(TASKS)
    for row in table.itertuples():
        task = get_task(row.name)
        assert row.inputs.split() == list(task.input_names)
        assert row.signals.split() == list(task.sample(2, seed=1).signals)
    assert list(table.columns)[-2:] == ["smallest", "source"]
    of = table.set_index("name")["smallest"]
    assert of["parity"] == f"1 unit (1 to 1), {get_task('parity').smallest.seconds} s" and of["table"] == ""


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_its_own_smallest_network(name):
    """Measured for each class by itself; what solves a text or a table depends on the user's file."""
    smallest = vars(TASKS[name]).get("smallest")
    if name in ("text", "python_source", "table"):
        assert smallest is None or name == "python_source"
        return
    assert 1 <= (smallest.low or 1) <= smallest.units <= (smallest.high or 64) <= 64 and smallest.seconds > 0
    assert smallest.score is None or 0 <= smallest.score < 0.99


@pytest.mark.parametrize(
    ("smallest", "short", "sentence"),
    [
        (Smallest(1, 0.64), "1 unit, 0.6 s", "Needs 1 unit: half of the trainings of that size solve it, "
         "in 0.6 s each."),
        (Smallest(6, 3.92, 5, 10), "6 units (5 to 10), 3.9 s", "Needs 6 units (95 % interval 5 to 10): half of the "
         "trainings of that size solve it, in 3.9 s each."),
        (Smallest(60, 123.4, 52), "60 units (52 to more than 64), 123 s", "Needs 60 units (95 % interval 52 to more "
         "than 64): half of the trainings of that size solve it, in 123 s each."),
        (Smallest(48, 31.0, score=0.926, note="One seed."), "not solved: 0.93 with 48 units",
         "No size of up to 64 units was solved by half of the trainings; 48 units came nearest with 0.93, "
         "in 31 s. One seed."),
    ],
)  # fmt: skip
def test_the_smallest_network_in_words(smallest, short, sentence, capsys):
    assert smallest.in_short == short and str(smallest) == sentence


def test_one_task_names_its_smallest_network(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["tasks", "name=majority"]) == 0
    assert " ".join(str(get_task("majority").smallest).split()) in " ".join(capsys.readouterr().out.split())


def test_the_catalogue(capsys):
    assert main(["tasks"]) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 100
    for name in TASKS:
        assert re.search(rf"^{name} ", shown, re.MULTILINE)


@pytest.mark.parametrize("name", TASKS)
def test_one_task_in_the_terminal_and_as_a_figure(name, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["tasks", f"name={name}", "seed=3"]) == 0
    shown = capsys.readouterr().out
    assert max(len(line) for line in shown.splitlines()) <= 100
    task = get_task(name)
    for f in fields(task):
        assert f"task.{f.name}" in shown
    for signal in task.sample(1).signals.values():
        assert re.search(rf"^{signal.name} +{signal.kind} +{signal.role} ", shown, re.MULTILINE)
    assert {path.name for path in (tmp_path / "outputs" / "tasks").iterdir()} == {
        f"{name}.svg",
        f"{name}.png",
    }


def test_the_drawn_sequence_is_the_task(tmp_path):
    task = get_task("dyck1")
    batch = choose_sequence(task, seed=3)
    assert len(batch) == 1
    assert int(batch.lengths) <= STEPS
    table = example_table(task, batch)
    assert list(table.columns) == list(EXAMPLE_COLUMNS)
    wide = table.pivot(index="step", columns="name", values="value")
    assert len(wide) == int(batch.lengths)
    depth = np.cumsum(wide["("] - wide[")"])
    np.testing.assert_array_equal(wide["depth"], depth)
    np.testing.assert_array_equal(wide["legal[1]"], depth > 0)
    assert depth.iloc[-1] == 0


def test_long_sequences_are_cut():
    task = get_task("tracking", length=300)
    table = example_table(task, choose_sequence(task, seed=0))
    assert table["step"].max() == STEPS - 1
    assert set(table["part"]) == set(PARTS)


def test_terminal_rows_line_up():
    values = {
        "many": [-2.0, 13.0, 0.0],
        "few": [0.0, 1.0, -1.0],
        "real": [0.25, 1.0, 0.5],
        "flat": [0.3, 0.3, 0.3],
    }
    rows = pd.DataFrame([(name, v) for name, row in values.items() for v in row], columns=["name", "value"])
    assert list(example_lines(rows)) == [
        "  many        -2 13  0",
        "  few          ·  1 -1",
        "  real         ▁  █  ▃  0.25 to 1",
        "  flat         ▁  ▁  ▁  0.3 to 0.3",
    ]
    assert list(example_lines(rows[rows["name"] == "real"], "01234567")) == ["  real         0  7  2  0.25 to 1"]


def test_the_figure_has_a_row_for_each_series_with_its_values():
    task = get_task("flipflop", bits=2)
    table = example_table(task, choose_sequence(task, seed=0))
    figure = task_example(table)
    names = list(table.drop_duplicates(["part", "name"])["name"])
    assert len(figure.axes) == len(names)
    for axes, (_, row) in zip(figure.axes, table.groupby(["part", "name"], sort=False)):
        assert axes.texts[0].get_text() == row["name"].iloc[0]
        drawn = [bar.get_height() for bar in axes.patches] or axes.lines[0].get_ydata()
        np.testing.assert_allclose(drawn, row["value"])


def test_the_example_follows_from_the_seed():
    task = get_task("tracking")
    one, same, other = (choose_sequence(task, seed).inputs for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_a_command_without_a_task_key_does_not_ask_for_one(capsys):
    for words in (["tasks", "name=table", "task.path=a.csv"], ["probe", "run=x", "task.bits=2"]):
        assert main(words) == 2
        assert capsys.readouterr().err.count("\n") == 1, words
