"""The figure of a search for the smallest size: the curve, its band, every training, the answer."""

import numpy as np
import pandas as pd
import pytest

from lstm_probe.core.run_columns import SIZE_CURVE_COLUMNS, SIZE_TRIAL_COLUMNS
from lstm_probe.figures.size_search import size_search

TRIALS = pd.DataFrame(
    [("a", "parity", 2, 0, False, 0.4, "y", 1.0, False), ("b", "parity", 4, 0, True, 0.99, "y", 1.0, False),
     ("c", "parity", 4, 1, True, 0.995, "y", 1.0, True), ("d", "parity", 1, 0, False, -0.3, "y", 1.0, False),
     ("e", "parity", 4, 2, True, 0.997, "y", 1.0, True)],
    columns=list(SIZE_TRIAL_COLUMNS),
)  # fmt: skip


def curve(largest):
    units = np.arange(1, largest + 1)
    p = units / (largest + 1)
    return pd.DataFrame(
        {
            "target": "all",
            "units": units,
            "p_solved": p,
            "ci_low": p / 2,
            "ci_high": np.sqrt(p),
            "tried": 0,
            "solved": 0,
        }
    )[list(SIZE_CURVE_COLUMNS)]


def test_the_curve_and_a_dot_for_each_training():
    table = curve(16)
    (axes,) = size_search(table, TRIALS, units=4, low=3, high=6).axes
    lines = {line.get_label(): line for line in axes.lines}
    assert np.array_equal(lines["P(solved), 95 % band"].get_ydata(), table["p_solved"])
    assert lines["score, solved"].get_ydata() == pytest.approx([0.99, 0.995, 0.997])
    assert lines["score, not solved"].get_ydata() == pytest.approx([0.4, 0.0])  # what is worse than chance lies there
    left, middle, right = lines["score, solved"].get_xdata()
    assert left < middle < right and middle == pytest.approx(4) and right / left < 1.1
    assert list(lines["answer: 4"].get_xdata()) == [4, 4]
    (interval,) = (patch for patch in axes.patches if patch.get_label() == "95 % interval")
    assert interval.get_x() == pytest.approx(3, rel=0.05)
    assert interval.get_x() + interval.get_width() == pytest.approx(6, rel=0.05)
    assert axes.get_title(loc="left") == "parity: 4 units"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1", "2", "4", "8", "16"]


def test_few_trainings_have_dots_and_no_band():
    (axes,) = size_search(curve(16), TRIALS[:4], units=4, low=1, high=None).axes
    assert not axes.patches and not axes.collections
    lines = {line.get_label(): line for line in axes.lines}
    assert "P(solved)" in lines and len(lines["score, solved"].get_xdata()) == 2


@pytest.mark.parametrize(("units", "low", "title"), [(None, None, "more than 6 units"), (1, 1, "1 unit")])
def test_answers_at_the_ends(units, low, title):
    (axes,) = size_search(curve(6), TRIALS, units=units, low=low, high=None).axes
    assert axes.get_title(loc="left") == f"parity: {title}"
    assert any(line.get_label().startswith("answer") for line in axes.lines) == (units is not None)
    assert [tick.get_text() for tick in axes.get_xticklabels()] == [str(k) for k in range(1, 7)]
    (interval,) = (patch for patch in axes.patches if patch.get_label() == "95 % interval")
    assert interval.get_x() + interval.get_width() > 6
