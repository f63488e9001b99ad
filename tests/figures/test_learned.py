"""Effects along a training, and averages around events, are drawn as their tables have them, and fit."""

import numpy as np
import pandas as pd
import pytest

from lstm_probe.figures import acquisition, aligned
from lstm_probe.probing.analyses.aligned import COLUMNS as ALIGNED
from lstm_probe.probing.analyses.learning import COLUMNS
from tests.figures.made import check_layout

ABOUT = {"run": "r", "task": "t", "units": 4, "seed": 0, "layer": 0, "direction": "forward", "variable": "c"}


def along(effects, updates=(0, 10, 50), **other):
    """The effects of units of signals, by (signal, unit, tracks); other columns are the same in all rows."""
    rows = [
        {**ABOUT, "unit": unit, "signal": signal, "kind": "continuous", "role": "target", "lag": 0, "metric": "r2",
         "update": update, "effect": effect, "ci_low": effect - 0.1, "ci_high": effect + 0.1, "bar": 0.25,
         "tracks": tracks, "task_score": k / 10, "after": "", **other}
        for (signal, unit, tracks), own in effects.items() for k, (update, effect) in enumerate(zip(updates, own))
    ]  # fmt: skip
    return pd.DataFrame(rows)[list(COLUMNS)]


def test_the_best_unit_of_each_signal_is_drawn_and_the_tasks_score():
    table = along({
        ("count", 0, False): [0.1, 0.2, 0.95], ("count", 2, True): [0.0, 0.5, 0.9], ("count", 3, True): [0, 0, 0.8],
        ("bit", 1, False): [0.3, 0.2, 0.1], ("none", 1, False): [np.nan] * 3,
    })  # fmt: skip
    figure = acquisition(table)
    drawn = {line.get_label(): line for line in figure.axes[0].lines}
    assert list(drawn) == ["count: unit 2", "bit: unit 1 (not tracked)", "lowest score of a target"]
    assert list(drawn["count: unit 2"].get_ydata()) == [0, 0.5, 0.9]
    assert list(drawn["count: unit 2"].get_xdata()) == [0, 10, 50]
    assert list(drawn["bit: unit 1 (not tracked)"].get_ydata()) == [0.3, 0.2, 0.1]
    assert list(drawn["lowest score of a target"].get_ydata()) == [0, 0.1, 0.2]
    assert len(figure.axes[0].collections) == 1  # an interval of what is tracked
    assert list(figure.axes[0].get_xticks()) == [0, 10, 50]
    check_layout(figure)
    unscored = acquisition(along({("count", 2, True): [0.0, 0.5, 0.9]}, task_score=np.nan))
    assert len(unscored.axes[0].lines) == 1


@pytest.mark.parametrize("n", [1, 16])
@pytest.mark.parametrize(
    "updates", [(0,), (3000,), tuple(range(30)), (0, 8, 19, 32, 49, 71, 99, 310, 1432, 3000, 100_000)]
)
def test_acquisition_fits(n, updates):
    own = {(f"signal_number_{k}", k, k % 2 == 0): np.linspace(0, k / n, len(updates)) for k in range(n)}
    check_layout(acquisition(along(own, updates)))


def around(units, conditions, offsets=range(-3, 6), **other):
    rows = [
        {**ABOUT, "unit": unit, "event": "latch", "by": "parity", "condition": condition, "offset": offset,
         "n_events": 9 + k, "n_sequences": 5, "mean": unit + k * offset, "sd": 1.0, "ci_low": unit + k * offset - 1,
         "ci_high": unit + k * offset + 1, **other}
        for unit in units for k, condition in enumerate(conditions) for offset in offsets
    ]  # fmt: skip
    return pd.DataFrame(rows)[list(ALIGNED)]


def test_a_panel_for_each_unit_and_a_line_for_each_condition():
    figure = aligned(around([2, 5], ["0", "1"]))
    assert [axes.get_ylabel() for axes in figure.axes] == ["c of unit 2", "c of unit 5"]
    _, first, second = figure.axes[1].lines  # after the event's own line
    assert list(first.get_ydata()) == [5] * 9 and list(second.get_ydata()) == [5 + k for k in range(-3, 6)]
    assert list(second.get_xdata()) == list(range(-3, 6)) and figure.axes[1].get_xlabel() == "steps since latch"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["parity 0", "parity 1"]
    assert not aligned(around([2], ["all"])).legends


@pytest.mark.parametrize("units", [1, 6])
@pytest.mark.parametrize(("n", "offsets"), [(1, range(-10, 21)), (2, range(1)), (8, range(-100, 300)), (30, range(2))])
def test_averages_fit(units, n, offsets):
    figure = aligned(around(range(units), [f"condition{k}" for k in range(n)], offsets))
    assert len(figure.axes[0].lines) == 1 + min(n, 10)
    check_layout(figure)
    nothing = around(range(units), ["a", "b"], offsets, ci_low=np.nan, ci_high=np.nan)
    check_layout(aligned(nothing))
