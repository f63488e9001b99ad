"""The picture of sufficient sets shows the numbers of its table, and fits."""

import numpy as np
import pandas as pd
import pytest

from lstm_probe.core.columns import SUFFICIENT_COLUMNS
from lstm_probe.figures.sufficient import sufficient
from lstm_probe.runs.illustrations import set_rows
from tests.figures.made import check_layout, drawn_texts


def set_table(scores, kept, layers=1, **about):
    """A table in which unit k goes as the k-th; `scores` and how many are kept by target."""
    rows = [
        ("r", "t", len(own), 0, k % layers, "forward", k // layers, target, k, k >= len(own) - kept[target], score)
        for target, own in scores.items()
        for k, score in enumerate(own)
    ]
    table = pd.DataFrame(rows, columns=list(SUFFICIENT_COLUMNS))
    checked = {"keep": 0.99, "checked": 0.995, "checked_low": 0.993, "checked_high": 0.997, "spread": None}
    table.attrs["sufficient"] = {name: {**checked, "kept": kept[name], **about.get(name, {})} for name in scores}
    return table


TWO = {"all": [1, 0.999, 0.995, 0.4], "a": [1, np.nan, np.nan, 0.993], "b": [1, 0.998, 0.994, 0.2]}


def lines_of(axes):
    return {line.get_color(): line for line in axes.lines if len(line.get_xdata()) > 2}


def test_curves_marks_and_intervals_are_those_of_the_table():
    about = {"all": {"checked": 0.991, "checked_low": 0.98}, "b": {"spread": [2, 4]}}
    figure = sufficient(set_table(TWO, {"all": 2, "a": 1, "b": 2}, **about))
    curves, dots = figure.axes
    drawn = [line for line in curves.lines if line.get_linestyle() != "None"]
    marks = [line for line in curves.lines if line.get_linestyle() == "None"]
    assert [list(line.get_xdata()) for line in drawn] == [[4, 3, 2, 1], [4, 1], [4, 3, 2, 1]]
    assert list(drawn[0].get_ydata()) == TWO["all"] and list(drawn[1].get_ydata()) == [1, 0.993]
    assert [(*line.get_xdata(), *line.get_ydata()) for line in marks] == [(2, 0.995), (1, 0.993), (2, 0.994)]
    assert drawn[0].get_linewidth() > 1.5 * drawn[1].get_linewidth()
    bars = [tuple(line.get_xdata()) for line in dots.lines if len(line.get_xdata()) == 2]
    assert bars == [(0.98, 0.997), (0.993, 0.997), (0.993, 0.997), (0.99, 0.99)]  # the last is what has to be kept
    assert [line.get_xdata()[0] for line in dots.lines if len(line.get_xdata()) == 1] == [0.991, 0.995, 0.995]
    names = [text.get_text() for text in dots.get_yticklabels()]
    assert names == ["all: 2 of 4", "a: 1 of 4", "b: 2 of 4 (2–4)"]
    low, high = dots.get_xlim()
    assert low < 0.98 and high >= 1
    assert any("in brackets" in text.get_text() for text in drawn_texts(figure))
    check_layout(figure)


def test_a_single_target_is_drawn_once_and_a_set_may_be_empty():
    figure = sufficient(set_table({"all": [1, 0.99], "a": [1, 0.99]}, {"all": 0, "a": 0}))
    assert [text.get_text() for text in figure.axes[1].get_yticklabels()] == ["a: 0 of 2"]
    assert not any("in brackets" in text.get_text() for text in drawn_texts(figure))
    check_layout(figure)


@pytest.mark.parametrize(("targets", "units", "layers"), [(1, 1, 1), (13, 128, 1), (5, 12, 3), (25, 8, 1)])
def test_it_fits(targets, units, layers):
    rng = np.random.default_rng(targets)
    names = ["all", *("target" * (1 + k % 4) + str(k) for k in range(targets))]
    scores = {name: np.sort(rng.uniform(0, 1, units))[::-1].tolist() for name in names}
    spread = {name: {"spread": [1, units], "checked": np.nan if k == 1 else 0.5} for k, name in enumerate(names)}
    check_layout(sufficient(set_table(scores, {name: rng.integers(1, units + 1) for name in names}, layers, **spread)))


def test_the_small_table_says_how_many_and_which():
    table = set_table(TWO, {"all": 2, "a": 1, "b": 2}, a={"checked_low": np.nan, "checked_high": np.nan})
    small = set_rows(table)
    assert small.values.tolist() == [
        ["all", "2 of 4", "99.5 % [99.3, 99.7]", "2, 3"],
        ["a", "1 of 4", "99.5 %", "3"],
        ["b", "2 of 4", "99.5 % [99.3, 99.7]", "2, 3"],
    ]
    assert list(small) == ["target", "units_kept", "kept_on_other_sequences", "which"]
    assert list(set_rows(set_table(TWO, {"all": 2, "a": 0, "b": 2}, layers=2, a={"spread": [0, 3]}))["which"]) == [
        "0·1, 1·1", "none", "0·1, 1·1"
    ]  # fmt: skip
    spread = set_rows(set_table(TWO, {"all": 2, "a": 1, "b": 2}, a={"spread": [1, 3]}, b={"spread": [2, 2]}))
    assert list(spread["spread"]) == ["", "1 to 3", "2"]
    one = set_table({"all": [1, 0.99], "a": [1, 0.99]}, {"all": 1, "a": 1})
    assert set_rows(one)["target"].tolist() == ["a"]
    bare = table.copy()
    bare.attrs = {}
    assert list(set_rows(bare)["kept_on_other_sequences"]) == ["– %"] * 3
    assert set_rows(table[:0]).empty
