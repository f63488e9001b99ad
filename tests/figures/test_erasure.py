"""The figure of erasure: dots at what is left, bands at what random directions leave, hollow what was not taken out."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

import lstm_probe as lp
from lstm_probe.figures.erasure import OWN
from lstm_probe.figures.style import INK


def table(signals, targets, left, **other):
    """A table of what each signal leaves of each target."""
    rows = [
        {"signal": signal, "target": target, "left": left[k][j], "ci_low": left[k][j] - 0.1,
         "ci_high": left[k][j] + 0.1,
         "control_mean": 0.7, "control_low": 0.4, "control_high": 0.9, "controls": 20, "gone": k != 1, **other}
        for k, signal in enumerate(signals) for j, target in enumerate(targets)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_what_is_drawn_is_what_the_table_says():
    left = [[0.1, 0.9], [0.8, 0.2], [0.5, 0.6]]
    figure = lp.figures.erasure(table(["a", "b", "c"], ["a", "b"], left))
    for j, axes in enumerate(figure.axes):
        assert axes.get_title(loc="left") == "ab"[j]
        dots = [line for line in axes.lines if line.get_marker() == "o"]
        assert [(float(d.get_xdata()[0]), float(d.get_ydata()[0])) for d in dots] == [
            (left[k][j], float(k)) for k in range(3)
        ]
        assert [to_hex(d.get_color()) == to_hex(OWN) for d in dots] == [k == j for k in range(3)]
        assert [d.get_markerfacecolor() == "white" for d in dots] == [False, True, False]
        bars = [(round(p.get_x(), 6), round(p.get_x() + p.get_width(), 6)) for p in axes.patches]
        assert bars == [(0.4, 0.9)] * 3
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["a", "b", "c"]
    told = [text.get_text() for text in figure.legends[0].get_texts()]
    assert told == ["its own target", "another", "not taken out", "20 random directions"]


def test_without_controls_there_are_no_bands():
    nothing = dict.fromkeys(("control_mean", "control_low", "control_high"), np.nan)
    figure = lp.figures.erasure(table(["a"], ["b"], [[0.5]], **nothing))
    assert not figure.axes[0].patches and len(figure.legends[0].get_texts()) == 2
    assert to_hex(figure.axes[0].lines[-1].get_color()) == to_hex(INK)


@pytest.mark.parametrize(("signals", "targets"), [(1, 1), (4, 7), (12, 3)])
def test_names_stay_within_the_figure(signals, targets):
    names = [f"a signal with a long name {k}" for k in range(signals)]
    figure = lp.figures.erasure(table(names, [f"target {k}" for k in range(targets)], np.full((signals, targets), 0.5)))
    figure.canvas.draw()
    width, height = figure.bbox.width, figure.bbox.height
    for text in [t for axes in figure.axes for t in axes.get_yticklabels()] + figure.legends[0].get_texts():
        box = text.get_window_extent()
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height
