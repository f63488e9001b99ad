"""Tuning and memory curves: what is drawn is the tables', and everything fits."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import FillBetweenPolyCollection, LineCollection
from matplotlib.colors import same_color

from lstm_probe.core.columns import MEMORY_COLUMNS, TUNING_COLUMNS
from lstm_probe.figures.memory import memory, spread_out
from lstm_probe.figures.style import GREY
from lstm_probe.figures.tuning import tuning
from tests.figures.made import check_layout

ABOUT = {
    "run": "r", "task": "t", "units": 8, "seed": 0, "layer": 0, "direction": "forward", "variable": "c", "unit": 3,
    "signal": "count", "kind": "continuous", "role": "target", "lag": 0,
}  # fmt: skip


def curve(level, mean, sd=0.5, **other):
    frame = pd.DataFrame({"level": np.array(level, float), "mean": mean})
    frame = frame.assign(low=frame.level, high=frame.level, n=9, sd=sd, ci_low=frame["mean"] - 0.1)
    return frame.assign(ci_high=frame["mean"] + 0.2, **(ABOUT | other))[list(TUNING_COLUMNS)]


def test_tuning_draws_mean_interval_and_spread():
    table = pd.concat(
        [
            curve([-2, 0, 3], [1.0, 2, 4]),
            curve([0, 1, 2], [5.0, 6, 5], sd=0.25, signal="label", kind="categorical", role="latent", lag=2, unit=7),
        ]
    )
    first, second = tuning(table).axes
    assert [axes.get_xlabel() for axes in (first, second)] == ["count", "label\n2 steps ago (latent)"]
    assert [axes.get_ylabel() for axes in (first, second)] == ["c of unit 3", "c of unit 7"]
    assert list(zip(*first.lines[0].get_data())) == [(-2, 1), (0, 2), (3, 4)]
    band = next(c for c in first.collections if isinstance(c, FillBetweenPolyCollection))
    assert {(-2, 0.5), (-2, 1.5), (3, 3.5), (3, 4.5)} <= {tuple(v) for v in band.get_paths()[0].vertices}
    # Classes are points apart: no line leads from one to the next.
    assert second.lines[0].get_linestyle() == "None" and list(second.lines[0].get_ydata()) == [5, 6, 5]
    ends = [s[:, 1].tolist() for c in second.collections if isinstance(c, LineCollection) for s in c.get_segments()]
    assert ends[:3] == [[4.75, 5.25], [5.75, 6.25], [4.75, 5.25]]
    assert np.array(ends[3:]) == pytest.approx(np.array([[4.9, 5.2], [5.9, 6.2], [4.9, 5.2]]))


@pytest.mark.parametrize("n", [1, 2, 5, 12])
def test_tuning_fits(n):
    tables = [
        curve(np.arange(12) * 10.0 ** (k % 5), np.linspace(-1, 1, 12) * 10.0 ** (3 - k), 10.0 ** (2 - k), unit=100 + k,
              signal=f"a_signal_with_a_name_{k}", role=["target", "distractor"][k % 2], layer=k % 2, lag=k // 3)
        for k in range(n)
    ]  # fmt: skip
    figure = tuning(pd.concat(tables))
    check_layout(figure)
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert labels == ["c of unit 100" if n == 1 else f"c of unit {k % 2}·{100 + k}" for k in range(n)]


def test_an_interval_beside_the_mean_is_drawn_as_far_as_it_goes():
    table = curve([0, 1], [1.0, 2.0]).assign(ci_low=[1.5, 1.5], ci_high=[3.0, 1.75])
    (axes,) = tuning(table).axes
    bars = next(c for c in axes.collections if isinstance(c, LineCollection))
    assert [segment[:, 1].tolist() for segment in bars.get_segments()] == [[1, 3], [1.5, 2]]


def test_classes_stand_one_beside_the_other_under_their_own_values():
    (axes,) = tuning(curve([-1, 0.5, 1e6], [1.0, 2, 4], kind="categorical")).axes
    assert list(zip(*axes.lines[0].get_data())) == [(0, 1), (1, 2), (2, 4)]
    assert [(text.get_position()[0], text.get_text()) for text in axes.get_xticklabels()] == [
        (0, "-1"), (1, "0.5"), (2, "1000000")
    ]  # fmt: skip


def test_many_classes_have_labels_that_can_be_read():
    check_layout(tuning(curve(np.arange(64), np.arange(64.0), kind="categorical")))


def remembered(units=8, signals=("count",), lags=(0, 1, 2, 3, 5, 8, 13, 21), layers=1, seed=0):
    """Unit k remembers for longer the higher its number; all of them in every signal alike."""
    rows = []
    for layer in range(layers):
        for k in range(units):
            for n, signal in enumerate(signals):
                for lag in lags:
                    effect = 0.9 * np.exp(-lag / (k + 1))
                    role = ["target", "distractor"][n % 2]
                    baselines = {"untrained": 0.2 + layer / 10 - lag / 100, "signal_itself": 1 / (1 + lag)}
                    rows.append(ABOUT | {"layer": layer, "unit": k, "signal": signal, "role": role, "lag": lag}
                                | {"metric": "r2", "score": effect, "effect": effect} | baselines)  # fmt: skip
    return pd.DataFrame(rows).reindex(columns=list(MEMORY_COLUMNS), fill_value=0.0)


def drawn(axes):
    """Lines in data coordinates by name: names stand beside the lines in their colour and order of drawing."""
    names = {text.get_color(): text.get_text() for text in axes.texts if not same_color(text.get_color(), GREY)}
    lines = [line for line in axes.lines if line.get_transform() == axes.transData]
    return lines, {names.get(line.get_color()): list(line.get_ydata()) for line in lines[2:]}


def test_memory_draws_the_five_best_units_and_two_baselines():
    table = remembered().sample(frac=1, random_state=0)
    (axes,) = memory(table).axes
    lines, units = drawn(axes)
    assert sorted(units) == [f"unit {k}" for k in (3, 4, 5, 6, 7)]
    lags = [0, 1, 2, 3, 5, 8, 13, 21]
    for name, effect in units.items():
        assert effect == pytest.approx([0.9 * np.exp(-lag / (int(name[5:]) + 1)) for lag in lags])
    assert list(lines[0].get_xdata()) == lags and list(axes.get_xticks()) == lags
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("steps ago", "effect")  # lags run along, effects up
    assert list(lines[0].get_ydata()) == pytest.approx([0.2 - lag / 100 for lag in lags])
    assert list(lines[1].get_ydata()) == pytest.approx([1 / (1 + lag) for lag in lags])
    assert {text.get_text() for text in axes.texts} == {*units, "untrained", "signal itself"}


def test_names_of_layers_a_level_to_beat_and_no_panel_without_a_score():
    table = remembered(units=2, signals=("a", "flat", "b"), layers=2)
    table.loc[table.signal == "flat", ["score", "effect"]] = np.nan
    figure = memory(table.assign(variable="h"))
    # Targets first; of two layers' untrained units the better ones count.
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["a", "b"]
    lines, units = drawn(figure.axes[0])
    assert sorted(units) == ["unit 0·0", "unit 0·1", "unit 1·0", "unit 1·1"]
    assert lines[0].get_ydata()[0] == pytest.approx(0.3)
    assert "unit's output h" in figure.texts[0].get_text()


@pytest.mark.parametrize(("units", "signals", "lags"), [(1, 1, (0,)), (3, 2, (0, 4)), (40, 7, (0, 1, 2, 3, 5, 8, 13))])
def test_memory_fits(units, signals, lags):
    check_layout(memory(remembered(units, [f"signal_with_a_name_{k}" for k in range(signals)], lags)))


@pytest.mark.parametrize("seed", range(5))
def test_names_are_moved_apart_and_no_further(seed):
    places = np.sort(np.random.default_rng(seed).random(7)).tolist()
    got = spread_out(places, 0.1, 0.0, 1.0)
    assert np.diff(got).min() >= 0.1 - 1e-12 and got[0] >= 0 and got[-1] <= 1
    apart = np.linspace(0.05, 0.95, 7).tolist()
    assert spread_out(apart, 0.1, 0.0, 1.0) == pytest.approx(apart)
