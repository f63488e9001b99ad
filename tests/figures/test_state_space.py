"""The picture of the state space: points where the table has them, kinds apart, names beside."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection

from lstm_probe.figures import state_space

ABOUT = {"run": "r", "task": "t", "units": 3, "seed": 0, "x_share": 0.614, "y_share": 0.25}


def table(inputs=1, names=True):
    rng = np.random.default_rng(0)
    rows = [
        {**ABOUT, "input": -1, "kind": "path", "number": k, "step": t, "x": x, "y": y, "signals": ""}
        for k in range(3)
        for t, (x, y) in enumerate(rng.normal(size=(9, 2)))
    ]
    for one in range(inputs):
        for number, kind in enumerate(("attractor", "attractor", "neutral", "saddle", "saddle", "saddle")):
            x, y = rng.normal(size=2)
            words = f"bit0={number % 2}" if names and kind != "saddle" else ""
            rows.append(
                {**ABOUT, "input": one, "kind": kind, "number": number, "step": -1, "x": x, "y": y, "signals": words}
            )
    return pd.DataFrame(rows)


@pytest.mark.parametrize("inputs", [1, 2])
def test_points_and_paths_stand_where_the_table_says(inputs):
    made = table(inputs)
    figure = state_space(made)
    assert len(figure.axes) == inputs
    for one, axes in enumerate(figure.axes):
        own = made[made["input"] == one]
        drawn = [c.get_offsets() for c in axes.collections if isinstance(c, PathCollection)]
        for kind, places in zip(("attractor", "neutral", "saddle"), drawn, strict=True):
            expected = own.loc[own["kind"] == kind, ["x", "y"]].to_numpy()
            assert np.allclose(np.asarray(places), expected)
        assert [line.get_xydata().tolist() for line in axes.lines] == [
            path[["x", "y"]].to_numpy().tolist() for _, path in made[made["kind"] == "path"].groupby("number")
        ]
        assert {text.get_text() for text in axes.texts} == {"0", "1", "2"}
        assert axes.get_xlabel() == "first principal component (61 % of variance)"
        assert axes.get_ylabel() == "second (25 %)"


def test_names_stand_beside_and_do_not_leave_the_picture():
    made = table()
    made.loc[made["number"] == 1, "signals"] = "a very long name of a signal=1 " * 9
    figure = state_space(made)
    beside = [text for text in figure.texts if text.get_text()[:1].isdigit()]
    assert [text.get_text()[:3] for text in beside] == ["0  ", "1  ", "2  "]
    assert beside[0].get_text() == "0  bit0=0" and beside[1].get_text().endswith("…")
    figure.draw_without_rendering()
    ends = [text.get_window_extent().x1 for text in beside]
    assert max(ends) <= figure.bbox.x1
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "attractor", "neutral", "saddle", "paths of sequences",
    ]  # fmt: skip


def test_without_points_or_names_there_is_a_picture_still():
    made = table(names=False)
    assert not [text for text in state_space(made).texts if text.get_text()[:1].isdigit()]
    assert len(state_space(made[made["kind"] == "path"]).axes) == 1
