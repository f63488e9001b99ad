"""Of too few sequences the way out is named: whoever follows it has a table that can be measured on."""

import re

import numpy as np
import pandas as pd
import pytest

from lstm_probe.core.errors import InputError
from lstm_probe.tasks import get_task


def written(folder, lengths, subjects=None):
    """A table of sequences of these lengths; the path."""
    rng = np.random.default_rng(0)
    ids = np.repeat(np.arange(len(lengths)), lengths)
    table = pd.DataFrame({"sequence": ids, "time": np.concatenate([np.arange(n) for n in lengths]),
                          "x_a": rng.normal(size=len(ids)), "y_b": rng.normal(size=len(ids))})  # fmt: skip
    if subjects is not None:
        table["subject"] = np.repeat(subjects, lengths)
    path = folder / "table.csv"
    table.to_csv(path, index=False)
    return str(path)


def held_of(task):
    """How many different sequences come out of it for the test, by drawing more than there are."""
    return len({row.numpy().tobytes() for row in task.sample(1000, seed=0).inputs})


@pytest.mark.parametrize(("lengths", "given", "key"), [
    ([500], {}, "window"), ([500], {"held_out": 0.5}, "window"), ([500], {"held_out": 1.0}, "window"),
    ([500], {"window": 400}, "window"), ([500], {"gaps": "split"}, "window"), ([100] * 6, {}, "window"),
    ([100] * 6, {"held_out": 0.3}, "window"), ([60, 300, 80], {}, "window"), ([12, 12], {}, "window"),
    ([20] * 30, {"held_out": 0.05}, "held_out"), ([20] * 11, {"held_out": 0.1}, "held_out"),
    ([500], {"window": 20, "held_out": 0.1}, "held_out"), ([2] * 6, {}, "held_out"),
    ([2] * 4, {"held_out": 1.0}, "path"), ([2] * 3, {}, "path"),
])  # fmt: skip
def test_the_way_out_is_one(lengths, given, key, tmp_path):
    path = written(tmp_path, lengths)
    with pytest.raises(InputError, match="at least 5 are needed") as error:
        get_task("table", path=path, **given)
    (problem,) = error.value.problems
    assert problem.startswith(f"task.{key}=") and "None" not in problem
    if key == "path":
        assert problem.endswith(": more sequences.")
        return
    (value,) = re.findall(rf"as with task\.{key}=([\d.]+)\.$", problem)
    task = get_task("table", path=path, **given | {key: float(value) if key == "held_out" else int(value)})
    assert held_of(task) >= 5
    if given.get("held_out") != 1:
        assert task.sample_training(3, seed=0).inputs.shape[0] == 3


def test_one_series_is_said_to_be_cut(tmp_path):
    with pytest.raises(InputError, match="out of training") as error:
        get_task("table", path=written(tmp_path, [500]))
    assert error.value.problems == (
        "task.window=null: of 1 sequence, none is held out of training; to measure on them, at least 5 are needed: cut "
        "it into windows, as with task.window=50.",
    )


def test_groups_are_held_out_whole_in_what_is_named(tmp_path):
    path = written(tmp_path, [50] * 6, ["a", "a", "a", "a", "a", "b"])
    with pytest.raises(InputError, match="at least 5 are needed") as error:
        get_task("table", path=path, group_columns=["subject"], held_out=0.2)
    (problem,) = error.value.problems
    key, value = re.findall(r"as with task\.(\w+)=([\d.]+)\.$", problem)[0]
    task = get_task("table", path=path, group_columns=["subject"],
                    **{"held_out": 0.2} | {key: int(value) if key == "window" else float(value)})  # fmt: skip
    assert held_of(task) >= 5
