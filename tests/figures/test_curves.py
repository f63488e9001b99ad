"""Traces, learning curve and capacity curves show the numbers of their tables, and fit."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.container import ErrorbarContainer

from lstm_probe.figures import capacity_curves, learning_curve, traces
from lstm_probe.figures.traces import TRACE_COLUMNS
from lstm_probe.sizing.sweeps import CAPACITY_COLUMNS
from tests.figures.made import check_layout, history


def trace_rows(signal, tracks, true, **other):
    about = {"kind": "continuous", "role": "target", "unit": "3", "variable": "c", "lag": 0, "effect": 0.5}
    frame = pd.DataFrame({"step": range(len(true)), "true": true, "fitted": np.array(true) + 0.1})
    return frame.assign(signal=signal, tracks=tracks, **(about | other))[list(TRACE_COLUMNS)]


def test_traces_draw_signal_and_unit():
    table = pd.concat([trace_rows("count", True, [0.0, 1, 2]), trace_rows("parity", False, [0.0, 1, 0], kind="binary")])
    figure = traces(table)
    first, second = (axes for axes in figure.axes if axes.get_visible())
    assert [list(line.get_ydata()) for line in first.lines] == [[0, 1, 2], [0.1, 1.1, 2.1]]
    assert "effect 0.50" in first.get_title(loc="right")
    assert second.get_title(loc="right") == "best: unit 3, effect 0.50"
    assert figure.legends[0].get_texts()[-1].get_text().endswith("of a unit that was not found to track it")
    assert "best" not in first.get_title(loc="right")


@pytest.mark.parametrize("n", [1, 2, 7, 20])
def test_traces_fit(n):
    tables = [
        trace_rows(f"signal_number_{k}", k % 2 == 0, [0.0, 1000 * k, 0.5], role=["target", "distractor"][k % 2])
        for k in range(n)
    ]
    check_layout(traces(pd.concat(tables)))


def test_learning_curve_draws_validation_scores_and_loss():
    figure = learning_curve(history({"count": [0.1, 0.5, 0.9], "latch": [0.2, 0.9, 1.0]}), solved=0.99)
    left, right = figure.axes
    drawn = {line.get_label(): list(line.get_ydata()) for line in left.lines}
    assert drawn["count"] == [0.1, 0.5, 0.9] and drawn["latch"] == [0.2, 0.9, 1.0]
    assert list(right.lines[0].get_ydata()) == pytest.approx([1, 1 / 2, 1 / 3])
    for axes, up in ((left, "score"), (right, "loss")):
        assert list(axes.lines[0].get_xdata()) == [100, 200, 300]
        assert axes.get_xlabel() == "step" and axes.get_ylabel().startswith(up)
    check_layout(figure)


@pytest.mark.parametrize("targets", [1, 16])
def test_learning_curve_fits(targets):
    check_layout(learning_curve(history({f"target{k}": [0.1 * k / targets] for k in range(targets)})))


def summary(n_targets=2, sizes=(2, 4, 8), n_seeds=2, task="tracking"):
    rows = []
    for units in sizes:
        spread = 0.1 if n_seeds > 1 else np.nan
        rows += [
            (task, units, "score", f"target{k}", 0.5, 0.5 - spread, 0.5 + 2 * spread, n_seeds) for k in range(n_targets)
        ]
        counts = {
            "tracked_signals": 3.0,
            "needed_alone_units": units / 2,
            "needed_together_units": units / 4,
            "not_needed_units": 0.0,
            "all_units": float(units),
        }
        rows += [(task, units, name, "", value, value, value, n_seeds) for name, value in counts.items()]
    return pd.DataFrame(rows, columns=list(CAPACITY_COLUMNS))


def test_capacity_curves_draw_means_and_intervals():
    scores, signals, units = capacity_curves(summary()).axes
    bars = [c for c in scores.containers if isinstance(c, ErrorbarContainer)]
    assert [bar.get_label() for bar in bars] == ["target0", "target1"]
    for segment in bars[0].lines[2][0].get_segments():
        assert sorted(segment[:, 1]) == pytest.approx([0.4, 0.7])
    assert [axes.get_xlabel() for axes in (scores, signals, units)] == ["units"] * 3
    assert list(signals.containers[0].lines[0].get_ydata()) == [3, 3, 3]
    assert {bar.get_label(): list(bar.lines[0].get_ydata()) for bar in units.containers} == {
        "alone": [0.5] * 3, "together": [0.25] * 3, "not\nneeded": [0] * 3,
    }  # fmt: skip
    assert [tick.get_text() for tick in scores.get_xticklabels()] == ["2", "4", "8"]


def test_where_nothing_is_known_of_need_the_panel_says_so():
    table = summary()
    figure = capacity_curves(table[~table["quantity"].str.contains("needed")])
    assert [text.get_text() for text in figure.axes[2].texts] == ["not measured"] and not figure.axes[2].containers
    check_layout(figure)


@pytest.mark.parametrize(
    "table",
    [
        summary(),
        summary(1, (16,), 1),
        summary(16, tuple(range(1, 40)), 1),
        pd.concat([summary(task="tracking, layers=2"), summary(task="dyck1", n_seeds=5)]),
    ],
)
def test_capacity_curves_fit(table):
    check_layout(capacity_curves(table))
