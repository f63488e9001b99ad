"""Whether larger networks use more units: counts and words of tables whose answer is known."""

import numpy as np
import pandas as pd
import pytest

import lstm_probe as lp
from lstm_probe.runs.run import Run
from lstm_probe.sizing.stored import Stored
from lstm_probe.sizing.used import USED_COLUMNS, trained_sizes, used_table, used_words
from tests.figures.made import made_run
from tests.sizing.made import make_up


def table(*rows):
    return pd.DataFrame([("t", *row, np.nan) for row in rows], columns=list(USED_COLUMNS))


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([(8, 0, 5)], "Used after a merge of the others, without training: 5 of 8 units (1 seed of each size)."),
        ([(8, 0, 5), (8, 1, 7), (16, 0, 6)],
         "5 to 7 of 8, 6 of 16 units (1 to 2 seeds of each size); of 2 pairs of a smaller and a larger network, the "
         "larger one used more in 1 and fewer in 1."),
        ([(8, 0, 5), (16, 0, 5), (32, 0, 9)],
         "5 of 8, 5 of 16, 9 of 32 units (1 seed of each size); of 3 pairs of a smaller and a larger network, the "
         "larger one used more in 2."),
    ],
)  # fmt: skip
def test_words_say_what_was_seen(rows, words):
    assert used_words(table(*rows))["t"].endswith(words)
    assert used_words(table()) == {}


def measured(run, used, *, kept=None, learned=True):
    """The run as if that had been measured: how many are used, and by layer how many are kept unclamped."""
    rows = [(layer, "forward", "all", k < n) for layer, n in enumerate(kept or []) for k in range(8)]
    own = pd.DataFrame({}) if used is None else pd.DataFrame({"kept": [1]})
    own.attrs["used"] = {} if used is None else {"all": {"used": used}}
    sufficient = pd.DataFrame(rows, columns=["layer", "direction", "target", "kept"])
    info = dict(run.info) | {"learned": {"a": True, "b": learned}, "measured": [*run.measured, "used"]}
    made = Run(run.path, info)
    made.__dict__.update(vars(run) | {"info": info, "used": own, "sufficient": sufficient})
    return made


def test_networks_in_which_it_was_measured_count(tmp_path):
    runs = [
        measured(made_run(tmp_path, 8, 0), 5, kept=[6, 7]),
        measured(made_run(tmp_path, 8, 1), 6),
        measured(made_run(tmp_path, 4, 0), 3, kept=[4]),
        measured(made_run(tmp_path, 4, 1), None),
        measured(made_run(tmp_path, 4, 2), 2, learned=False),
        made_run(tmp_path, 16, 0),
    ]
    found = used_table(runs)
    assert list(found) == list(USED_COLUMNS)
    assert found.drop(columns="task").values.tolist()[:2] == [[4, 0, 3, 4.0], [8, 0, 5, 6.5]]
    assert found.iloc[2]["used"] == 6 and np.isnan(found.iloc[2]["unclamped"]) and len(found) == 3
    assert used_table(runs[-1:]).empty


def test_beside_it_stands_how_many_are_enough_from_the_start(tmp_path, monkeypatch):
    make_up(monkeypatch, lambda units, seed: 0.995 if units >= 3 else 0.2)
    size = lp.size("tracking", largest=8, outputs=tmp_path)
    run = measured(made_run(tmp_path, 8, 0), 5)
    (task,) = used_table([run])["task"]
    question = {"task": run.config["task"], "largest": 8}
    assert trained_sizes([run], [Stored(size, question)]) == {task: size}
    assert trained_sizes([run], [Stored(size, question | {"task": {"name": "parity"}})]) == {}
    words = used_words(used_table([run]), {task: size})[task]
    assert words.endswith("Trained from the start, half of the networks solve it with 3 units (95 % interval 3 to 3).")
