"""The pictures of units used show the numbers of their tables, and fit."""

import numpy as np
import pandas as pd
import pytest

from lstm_probe.capacity.used import COLUMNS
from lstm_probe.figures.used import used
from lstm_probe.figures.used_over_sizes import used_over_sizes
from lstm_probe.runs.illustrations import used_rows
from lstm_probe.sizing.used import USED_COLUMNS
from tests.figures.made import check_layout, drawn_texts


def made(best, fewest, random=(), **about):
    """A table in which `best` has the scores by target, of n, n - 1, ... units; `random` those of all, by order."""
    n = max(len(own) for own in best.values())
    rows = [("r", "t", n, 0, "best", 0, name, n - k, score, score, n - k == fewest[name])
            for name, own in best.items() for k, score in enumerate(own)]  # fmt: skip
    rows += [("r", "t", n, 0, "random", draw + 1, name, n - k, score, score, False)
             for draw, own in enumerate(random) for name in best for k, score in enumerate(own)]  # fmt: skip
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    checked = {"of": n, "exact": n, "keep": 0.99, "checked": 0.995, "checked_low": 0.993, "checked_high": 0.997}
    table.attrs["used"] = {name: {**checked, "used": fewest[name], "which": {"0 forward": list(range(fewest[name]))},
                                  **about.get(name, {})} for name in best}  # fmt: skip
    return table


TWO = {"all": [1, 0.999, 0.995, 0.4], "a": [1, 1, 0.999, 0.993], "b": [1, 0.998, 0.994, 0.2]}


def test_curves_marks_bands_and_intervals_are_those_of_the_table():
    random = [[1, 0.9, 0.5, 0.1], [1, 0.7, 0.6, 0.0]]
    figure = used(made(TWO, {"all": 2, "a": 1, "b": 2}, random, b={"checked": 0.98, "checked_low": 0.97}))
    curves, dots = figure.axes
    mean, *drawn = [line for line in curves.lines if line.get_linestyle() != "None"]
    assert list(mean.get_xdata()) == [1, 2, 3, 4] and mean.get_ydata() == pytest.approx([0.05, 0.55, 0.8, 1])
    band = curves.collections[0].get_paths()[0].vertices
    assert {(3.0, 0.7), (3.0, 0.9), (1.0, 0.0), (1.0, 0.1)} <= set(map(tuple, band))
    assert [list(line.get_ydata()) for line in drawn] == [own[::-1] for own in TWO.values()]
    marks = [line for line in curves.lines if line.get_linestyle() == "None"]
    assert [(*line.get_xdata(), *line.get_ydata()) for line in marks] == [(2, 0.995), (1, 0.993), (2, 0.994)]
    assert [text.get_text() for text in dots.get_yticklabels()] == ["all: 2 of 4", "a: 1 of 4", "b: 2 of 4"]
    bars = [tuple(line.get_xdata()) for line in dots.lines if len(line.get_xdata()) == 2]
    assert bars == [(0.993, 0.997), (0.993, 0.997), (0.97, 0.997), (0.99, 0.99)]
    assert any("grey: 2 random orders" in text.get_text() for text in drawn_texts(figure))
    check_layout(figure)


def test_a_single_target_is_drawn_once_and_there_may_be_no_random_order():
    figure = used(made({"all": [1, 0.99], "a": [1, 0.99]}, {"all": 2, "a": 2}))
    assert [text.get_text() for text in figure.axes[1].get_yticklabels()] == ["a: 2 of 2"]
    assert not any("random" in text.get_text() for text in drawn_texts(figure))
    check_layout(figure)


@pytest.mark.parametrize(("targets", "units"), [(1, 2), (13, 128), (25, 8)])
def test_it_fits(targets, units):
    rng = np.random.default_rng(targets)
    names = ["all", *("target" * (1 + k % 4) + str(k) for k in range(targets))]
    scores = {name: np.sort(rng.uniform(0, 1, units))[::-1].tolist() for name in names}
    about = {names[1]: {"checked_low": np.nan, "checked_high": np.nan}}
    check_layout(used(made(scores, {name: rng.integers(1, units + 1) for name in names}, [scores["all"]], **about)))


def test_the_small_table_says_how_many_and_which():
    both = {"0 forward": [0, 2], "0 reverse": [1, 3]}
    none = {"checked_low": np.nan, "checked_high": np.nan}
    small = used_rows(made(TWO, {"all": 2, "a": 1, "b": 2}, b={"which": both, **none}))
    assert small.values.tolist() == [
        ["all", "2 of 4", 4, "99.5 % [99.3, 99.7]", "0, 1"],
        ["a", "1 of 4", 4, "99.5 % [99.3, 99.7]", "0"],
        ["b", "2 of 4", 4, "99.5 %", "0 forward: 0, 2; 0 reverse: 1, 3"],
    ]
    assert list(used_rows(made({"all": [1], "a": [1]}, {"all": 1, "a": 1}))["target"]) == ["a"]
    empty = used_rows(pd.DataFrame(columns=list(COLUMNS)))
    assert empty.empty and list(empty) == list(small)


def test_dots_over_sizes_are_the_networks():
    rows = [("a", 4, 0, 3, 4.0), ("a", 4, 1, 4, 4.0), ("a", 16, 0, 9, 13.0), ("b", 8, 0, 5, np.nan)]
    figure = used_over_sizes(pd.DataFrame(rows, columns=list(USED_COLUMNS)))
    first, second = figure.axes
    dots = [line for line in first.lines if line.get_linestyle() == "None" and len(line.get_xdata())]
    assert [list(line.get_ydata()) for line in dots] == [[3, 4, 9], [4, 4, 13]]
    x = dots[0].get_xdata()
    assert x[0] < 4 < x[1] < 5 and x[2] == 16
    means = [line for line in first.lines if line.get_linestyle() != "None" and list(line.get_xdata()) == [4, 16]]
    assert [list(line.get_ydata()) for line in means] == [[3.5, 9], [4, 13]]
    assert [text.get_text() for text in second.get_legend().get_texts()] == ["all units", "others merged"]
    assert all(list(line.get_xdata()) == list(line.get_ydata()) for line in (first.lines[0], second.lines[0]))
    assert first.get_xscale() == first.get_yscale() == "log"
    check_layout(figure)


def test_a_dashed_line_is_what_is_enough_from_the_start():
    table = pd.DataFrame([("a", 8, 0, 5, np.nan), ("a", 16, 0, 6, np.nan)], columns=list(USED_COLUMNS))
    figure = used_over_sizes(table, trained={"a": 3})
    (axes,) = figure.axes
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert names == ["all units", "trained from\nthe start", "others merged"]
    assert list(axes.lines[1].get_ydata()) == [3, 3] and axes.get_ylim()[0] < 3
    check_layout(figure)
